"""What a run with collectors must be: each step once, its tables and its journal in agreement."""

from collections import defaultdict

import numpy as np
import pytest

from logged_env import PROCESS, STEP
from reverie.storage import journal
from reverie.storage.episodes import rows_of
from reverie.storage.experience import ENDS
from reverie.storage.tables import read_rows


def records_of(run):
    return journal.read(run / "experience" / "journal.bin")[1]


def logged(log):
    """Return the lines of the environments' log: (process, its step, whether JAX was imported)."""
    return [tuple(map(int, line.split())) for line in (log.read_text().splitlines() if log.exists() else [])]


def steps_by_process(records):
    """Return the steps of each process in a journal, in order."""
    found = defaultdict(list)
    for process, step, _ in records["next_observation"].tolist():
        found[round(process / PROCESS)].append(round(step / STEP))
    return found


def require_each_once(records, log):
    """Each step of the journal was taken, and is there once; of each process the journal has the first ones, in order.

    Returns the number of steps that were taken and never learnt from.
    """
    taken = defaultdict(list)
    for process, step, _ in logged(log):
        taken[process].append(step)
    for process, steps in steps_by_process(records).items():
        assert steps == list(range(1, len(steps) + 1))
        assert taken[process][: len(steps)] == steps
    return sum(map(len, taken.values())) - len(records)


def require_consistent(run):
    """Tables and journal of a finished run agree, and its episodes are whole or marked as cut off."""
    records = records_of(run)
    written = read_rows(run / "episodes.csv")
    by_number = {int(row["episode"]): row for row in written}
    assert len(by_number) == len(written)
    for row in rows_of(records):
        assert {name: float(by_number[row["episode"]][name]) for name in row} == pytest.approx(row)
    for episode in np.unique(records["episode"]):
        steps = records[records["episode"] == episode]
        processes = np.unique(steps["next_observation"][:, 0])
        assert len(processes) == 1 and len(steps) <= 13  # of one process, in one episode of its environment
        assert not (steps["flags"][:-1] & ENDS).any()
        np.testing.assert_array_equal(steps["observation"][1:], steps["next_observation"][:-1])
