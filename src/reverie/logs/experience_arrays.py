"""The experience of a run as plain arrays with names, in the environment's units."""

from typing import NamedTuple

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import StorageError
from reverie.storage import journal
from reverie.storage.experience import SOURCES
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec


class Experience(NamedTuple):
    """N transitions in the order in which they happened."""

    step: np.ndarray  # [N], from 1
    time: np.ndarray  # [N], seconds since 1970
    episode: np.ndarray  # [N], from 1
    observations: np.ndarray  # [N, n], float32
    actions: np.ndarray  # [N, m] as executed: float64 in the environment's units, or int64 of discrete ones
    asked: np.ndarray  # [N, m], what the agent asked for, in the same units; as executed where the run did not note it
    source: np.ndarray  # [N], who chose the action: "policy", "random", "planner", "human", "log" or "safe"
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
        spec.to_world(records["asked" if "asked" in (records.dtype.fields or ()) else "action"]),
        np.array(SOURCES)[flags >> 2],
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
