"""Two sets of books compared: the machine's log and the learner's journal.

A shot is acknowledged when `tell` has returned; the control program then says `learnt` to the machine.  Rows of the
journal name no shots, so they are found by what was measured: two noisy readings are never alike.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reverie.logs.experience_arrays import experience_of
from reverie.storage.run import RunDirectory

FOREIGN = -1  # in place of the number of a shot


class Count(NamedTuple):
    """What two sets of books say of the shots of a run."""

    acknowledged: int  # the control program said to the machine that it had learnt from them
    journalled: int  # transitions in the journal
    lost: int  # acknowledged, but not in the journal
    doubled: int  # in the journal more than once
    foreign: int  # transitions that the machine knows nothing of
    cut_off: int  # answered with a reading, but the control program was killed before `tell` returned

    @property
    def good(self) -> bool:
        """Whether nothing acknowledged was lost or doubled."""
        return not (self.lost or self.doubled or self.foreign)


def read_log(log: Path) -> list[dict[str, Any]]:
    """Return the rows of the machine's log."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def acknowledged(log: Path) -> int:
    """Return the number of shots that were learnt from so far, of a log that is being written."""
    return log.read_text(encoding="utf-8").count('"learnt"') if log.exists() else 0


def compare(log: Path, run: Path) -> Count:
    """Count what a run's journal lost or doubled.  The log may hold other shots too, by other programs."""
    return count(read_log(log), experience_of(RunDirectory(run))[0].next_observations)


def count(rows: Sequence[dict[str, Any]], seen: np.ndarray) -> Count:
    """Count, of the log's rows and the observations [N, n] that the transitions of a journal led to."""
    number_of = {_key(row["orbit"], row["currents"]): row["number"] for row in rows if _is_reading(row)}
    learnt = {row["number"] for row in rows if row["kind"] == "learnt"}
    times = Counter(number_of.get(observation.tobytes(), FOREIGN) for observation in seen)
    foreign = times.pop(FOREIGN, 0)
    first, last = min(times, default=0), max(times, default=0)
    own = {number for number in number_of.values() if first <= number <= last}
    return Count(
        acknowledged=len(learnt),
        journalled=len(seen),
        lost=len(learnt - times.keys()),
        doubled=sum(found - 1 for found in times.values()),
        foreign=foreign,
        cut_off=len(own - times.keys()),
    )


def _is_reading(row: dict[str, Any]) -> bool:
    return row["kind"] == "shot" and row["case"] is None and "orbit" in row


def _key(orbit: list[float], currents: list[float]) -> bytes:
    """Return a reading as the journal has it."""
    return np.array([*orbit, *currents], np.float32).tobytes()
