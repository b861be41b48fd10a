"""The flags of journal records, and checks of the values in them.

A checksum only shows that a record is as it was written, not that its values are valid.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reverie.core.errors import StorageError

TERMINATED, TRUNCATED = 1, 2  # bits of `flags`
ENDS = TERMINATED | TRUNCATED
SOURCES = ("policy", "random", "planner", "human", "log", "safe")  # who chose the action: the next three bits
MOST_FLAGS = ENDS | (len(SOURCES) - 1) << 2
LARGEST = float(np.finfo(np.float32).max)
ROUNDING = 1e-6  # tolerance for actions in [-1, 1]


def flags_of(terminated: bool, truncated: bool, source: str = SOURCES[0]) -> int:
    """Return a record's flags."""
    return TERMINATED * terminated | TRUNCATED * truncated | SOURCES.index(source) << 2


def source_of(flags: int) -> str:
    """Return who chose the action of a record with these flags."""
    return SOURCES[flags >> 2]


def refuse_odd(path: Path, records: np.ndarray, actions: int) -> None:
    """Raise StorageError with the first record that no learner could have written.

    records: all of a journal, in order.  actions: number of discrete actions; 0: continuous.
    """
    wanted = np.arange(1, len(records) + 1, dtype=np.uint64)
    _refuse(path, records, "step", records["step"] == wanted, "steps are missing or doubled")
    episodes = (records["episode"] >= 1) & (records["episode"] <= wanted)
    _refuse(path, records, "episode", episodes, "episodes count from 1, and each has a step")
    for field, fit, sentence in checks(records, actions):
        _refuse(path, records, field, fit, sentence)


def checks(records: np.ndarray, actions: int) -> Iterator[tuple[str, Any, str]]:
    """Yield (field, which records are valid [N], what is required in words), independent of a record's position."""
    most = MOST_FLAGS if "asked" in (records.dtype.fields or ()) else ENDS
    yield "flags", records["flags"] <= most, f"the known ones are 0 to {most}"
    yield "time", np.isfinite(records["time"]), "seconds are finite"
    yield "reward", np.abs(records["reward"]) <= LARGEST, "rewards are finite in float32"
    for name in ("action", "asked"):
        if name not in (records.dtype.fields or ()):
            continue
        taken = records[name]
        if actions:
            fit, wanted = (taken == np.floor(taken)) & (taken >= 0) & (taken < actions), f"they are 0 to {actions - 1}"
        else:
            fit, wanted = np.abs(taken) <= 1 + ROUNDING, "actions lie in [-1, 1]"
        yield name, fit.all(-1), wanted
    for name in ("observation", "next_observation", "state", "next_state"):
        if name in (records.dtype.fields or ()):
            yield name, np.isfinite(records[name]).all(-1), "they are finite"


def _refuse(path: Path, records: np.ndarray, field: str, fit: Any, wanted: str) -> None:
    if not fit.all():
        odd = int(np.argmin(fit))
        value = np.array2string(records[field][odd], threshold=8, separator=", ")
        raise StorageError(
            f"{path}: record {odd + 1} holds {field} {value}: {wanted}; restore the file from a "
            "backup, or `reverie recover` the run (nothing was changed)"
        )
