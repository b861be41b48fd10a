"""The experience of a run as plain arrays with names, in the environment's units."""

import math
from typing import NamedTuple

import numpy as np

from reverie.core.errors import StorageError
from reverie.core.types import EnvSpec
from reverie.storage import journal
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec


class Experience(NamedTuple):
    """N transitions in the order in which they happened."""

    step: np.ndarray  # [N], from 1
    time: np.ndarray  # [N], seconds since 1970
    episode: np.ndarray  # [N], from 1
    observations: np.ndarray  # [N, n], float32
    actions: np.ndarray  # [N, m] as executed: float64 in the environment's units, or int64 of discrete ones
    rewards: np.ndarray  # [N]
    terminated: np.ndarray  # [N], bool
    truncated: np.ndarray  # [N], bool; also where an episode was cut off, so that each episode has an end
    next_observations: np.ndarray  # [N, n], float32

    def __len__(self) -> int:
        return len(self.step)

    def by_episode(self) -> list[np.ndarray]:
        """Return the indices of each episode's transitions, in order."""
        order = np.argsort(self.episode, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.episode[order])) + 1)


class Names(NamedTuple):
    """Names of the columns of observations and actions."""

    observations: tuple[str, ...]
    actions: tuple[str, ...]


def experience_of(run: RunDirectory) -> tuple[Experience, EnvSpec]:
    """Return the experience of a run, which may still be learning, and the sizes and units it has.

    Raises StorageError where the run has no experience yet, or its journal is damaged.
    """
    config = run.read_config()  # first, since it says whether there is a run at all
    header = journal.read_header(run.journal_file)
    spec = units_of(header.world or config.env_spec, run)
    _, records, _ = journal.read(run.journal_file)
    if not len(records):
        raise StorageError(f"{run.path} has no experience yet: not one step was taken")
    episode, flags = records["episode"].astype(np.int64), records["flags"]
    terminated = (flags & journal.TERMINATED).astype(bool)
    last = np.zeros(len(records), bool)
    last[len(records) - 1 - np.unique(episode[::-1], return_index=True)[1]] = (
        True  # episodes of several environments mix
    )
    return Experience(
        records["step"].astype(np.int64),
        records["time"],
        episode,
        records["observation"],
        spec.to_world(records["action"]),
        records["reward"],
        terminated,
        (flags & journal.TRUNCATED).astype(bool) | (last & ~terminated),
        records["next_observation"],
    ), spec


def units_of(written: Spec | None, run: RunDirectory) -> EnvSpec:
    """Return the sizes and units that a run has written down.  Raises StorageError where an older version did not."""
    if written is None:
        raise StorageError(f"{run.path} was written by an older version and does not say what its actions' units are")
    return written.value()


def names_of(spec: EnvSpec) -> Names:
    """Return a name for each number of an observation and an action, such as "arm.0[2]" for a part with several."""
    seen = [
        part if math.prod(shape) == 1 else f"{part}[{index}]"
        for part, _, shape in spec.observations
        for index in range(math.prod(shape))
    ]
    if len(seen) != spec.observation_dim:  # unknown parts
        seen = [f"observation[{index}]" for index in range(spec.observation_dim)]
    return Names(tuple(seen), ("action",) if spec.actions else tuple(f"action[{i}]" for i in range(spec.action_dim)))
