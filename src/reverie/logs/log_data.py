"""`LogData`: what every reader of logs returns, in the units of the log."""

import dataclasses
from typing import Any

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.words import count

STEP_JUMP, TIME_JUMP = 1.5, 2.5  # times the usual difference of two rows: more is a gap


@dataclasses.dataclass(frozen=True, eq=False)
class LogData:
    """N transitions in the order of the log."""

    name: str  # the file, the run directory, or minari:NAME
    places: np.ndarray  # [N], where each one is: its line of a table, else its number from 1
    place: str  # what such a number counts: "line" or "transition"
    observation_names: tuple[str, ...]  # (): not known
    action_names: tuple[str, ...]
    episode: np.ndarray  # [N]
    step: np.ndarray | None  # [N], as the log counts them
    time: np.ndarray | None  # [N], seconds
    observations: np.ndarray  # [N, n]
    actions: np.ndarray  # [N, m]
    rewards: np.ndarray  # [N]; NaN where they are still to be computed
    terminated: np.ndarray  # [N], bool
    truncated: np.ndarray  # [N], bool
    next_observations: np.ndarray  # [N, n]
    bounds: EnvSpec | None = None  # that the log itself gives for its actions
    observation_units: tuple[str, ...] = ()  # (), or a text for each; "": not known
    action_units: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was assumed or left out on reading, a sentence each

    def __len__(self) -> int:
        return len(self.places)

    def only(self, kept: np.ndarray) -> "LogData":
        """Return the transitions that `kept` [N], a mask, names."""
        return self.changed(
            **{name: value[kept] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        )

    def changed(self, **changes: Any) -> "LogData":
        """Return a copy with other values of some fields."""
        return dataclasses.replace(self, **changes)

    def sensor(self, index: int) -> str:
        """Return what a number of the observation is called in messages."""
        return f"column {self.observation_names[index]}" if self.observation_names else f"observation {index}"

    def actuator(self, index: int) -> str:
        """Return what a number of the action is called in messages."""
        return f"column {self.action_names[index]}" if self.action_names else f"action {index}"

    def at(self, index: int) -> str:
        """Return where a transition is, such as "line 17"."""
        return f"{self.place} {self.places[index]}"

    @property
    def follows(self) -> np.ndarray:
        """Whether each transition but the last [N - 1] is in the same episode as the one after it."""
        return (np.diff(self.episode) == 0) & ~(self.terminated | self.truncated)[:-1]


def episodes_by_ends(ends: np.ndarray) -> np.ndarray:
    """Return the numbers of the episodes [N], from 1, where `ends` [N] says which transitions end one."""
    return 1 + np.concatenate([[0], np.cumsum(ends[:-1])]).astype(np.int64)


def jumps(values: np.ndarray, follows: np.ndarray, most: float) -> np.ndarray:
    """Return after which transitions [N - 1] of an episode a count or a clock jumps.

    values: [N].  follows: see `LogData`.  most: times the median difference.
    """
    difference = np.diff(values)
    usual = difference[follows & (difference > 0)]
    return follows & (difference > most * np.median(usual)) if len(usual) else np.zeros(len(follows), bool)


def joined(data: LogData, terminal_too: bool) -> LogData:
    """Return data with the next row's observation as each transition's next observation.

    A row before a gap, or at the end of an episode, has none, and is left out.  So is a terminated one unless
    `terminal_too`: nothing is learnt from what follows a death, so any next observation will do.
    """
    n = len(data)
    follows = data.follows
    gaps = np.zeros(max(0, n - 1), bool)
    values, most = (data.time, TIME_JUMP) if data.step is None else (data.step, STEP_JUMP)
    if values is not None and n > 1:
        gaps = jumps(values, follows, most) | (follows & (np.diff(values) <= 0))
    after = np.append(follows & ~gaps, False)[:n]
    kept = after | (data.terminated & terminal_too)
    following = np.concatenate([data.observations[1:], data.observations[-1:]])
    found = np.where(after[:, None], following, data.observations)
    whole = data.changed(next_observations=found).only(kept)
    if not gaps.any():
        return whole
    text = f"{count(int(gaps.sum()), 'row')} before a gap left out, since the next observation is not known"
    return whole.changed(notes=(*data.notes, text))
