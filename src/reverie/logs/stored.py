"""Logged transitions as a run keeps them, so that it can continue when their source is gone."""

import zlib
from typing import Any, NamedTuple

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import StorageError
from reverie.core.types import Transition
from reverie.data.outliers import without_outliers
from reverie.environments.clipped_values import LARGEST
from reverie.logs.fitting import in_bounds
from reverie.logs.log_data import LogData
from reverie.storage import checkpoint
from reverie.storage.reading import read_whole
from reverie.storage.run import RunDirectory

KIND = "logged transitions"
REMEDY = "restore it from a backup, or `reverie recover` the run"


class LoggedTransitions(NamedTuple):
    """N transitions in the environment's units."""

    observations: np.ndarray  # [N, n], float32
    actions: np.ndarray  # [N, m], float64
    rewards: np.ndarray  # [N], float64
    terminated: np.ndarray  # [N], bool
    next_observations: np.ndarray  # [N, n], float32

    def __len__(self) -> int:
        return len(self.rewards)

    def rows(self, spec: EnvSpec) -> np.ndarray:
        """Return the transitions whose actions lie within the bounds of `spec`, packed [K, width], as replay has them."""
        kept = LoggedTransitions(*(part[in_bounds(self.actions, spec)] for part in self))
        actions = spec.from_world(kept.actions) if len(kept) else kept.actions
        alive = np.where(kept.terminated, 0.0, 1.0)
        return Transition(kept.observations, actions, kept.rewards, alive, kept.next_observations).pack()


def learnable(data: LogData, spec: EnvSpec) -> LoggedTransitions:
    """Return the transitions of a checked log that can be learnt from: within the bounds, and without outliers.

    Values beyond ±1e16 are clipped, as those of an environment are.
    """
    data = data.only(in_bounds(data.actions, spec))
    found = LoggedTransitions(
        data.observations.clip(-LARGEST, LARGEST).astype(np.float32),
        data.actions.astype(float),
        data.rewards.clip(-LARGEST, LARGEST),
        data.terminated,
        data.next_observations.clip(-LARGEST, LARGEST).astype(np.float32),
    )
    if not len(found):
        return found
    rows = found.rows(spec)
    kept = without_outliers(rows, [], spec.observation_dim, spec.action_dim)
    if len(kept) == len(rows):
        return found
    places = _places(rows, kept)
    return LoggedTransitions(*(part[places] for part in found))


def _places(rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return where the rows `kept`, which are in order, are among `rows`."""
    found, start = [], 0
    for row in kept:
        while not np.array_equal(rows[start], row):
            start += 1
        found.append(start)
        start += 1
    return np.array(found, int)


def write(run: RunDirectory, found: LoggedTransitions) -> int:
    """Write transitions into a run directory, completely or not at all, and return the checksum of the file."""
    checkpoint.save(run.logged_file, found._asdict(), {"kind": KIND, "transitions": len(found)})
    return zlib.crc32(read_whole(run.logged_file))


def read(run: RunDirectory, crc: int, spec: EnvSpec) -> LoggedTransitions:
    """Return the transitions that a run keeps.

    crc: of the file, as config.json has it.  Raises StorageError where the file is missing, damaged or another one.
    """
    path = run.logged_file
    data = read_whole(path, REMEDY)
    if zlib.crc32(data) != crc:
        raise StorageError(f"{path} is damaged, or of another run (checksum); {REMEDY}")
    try:
        arrays, facts = checkpoint.read(path)
        found = LoggedTransitions(**{name: arrays[name] for name in LoggedTransitions._fields})
        _require_shapes(found, facts, spec)
    except (StorageError, KeyError, ValueError) as error:
        raise StorageError(f"{path} does not hold the logged transitions of this run ({error}); {REMEDY}") from None
    return found


def _require_shapes(found: LoggedTransitions, facts: dict[str, Any], spec: EnvSpec) -> None:
    n, size = spec.observation_dim, len(found)
    wanted = ((size, n), (size, spec.action_dim), (size,), (size,), (size, n))
    if facts.get("kind") != KIND or tuple(part.shape for part in found) != wanted:
        raise ValueError("other sizes")
    if not all(part.dtype.kind in "fb" and np.isfinite(part).all() for part in found):
        raise ValueError("a number is not finite")
