"""Evenly spaced rows of long tables, and records of long journals."""

import numpy as np
import pytest

from reverie.core.errors import StorageError
from reverie.storage import tables
from reverie.storage.journal import Journal, read
from reverie.storage.journal_format import Header, first_line
from reverie.storage.journal_sample import BLOCK, BLOCKS, newest, spread
from reverie.storage.table_sample import sample_at

COLUMNS = {"step": tables.whole}


def table(path, rows, end="\n"):
    """Write a table of steps 1, 2, … and their negatives."""
    lines = [f"{step},{-step}" for step in range(1, rows + 1)]
    path.write_text("\n".join(["step,value", *lines]) + end)
    return path


def steps_of(path, most):
    found = sample_at(path, COLUMNS, tables.figure, most)
    assert all(row["value"] == -row["step"] for row in found.rows)
    return [row["step"] for row in found.rows], found.total


def test_a_short_table_is_read_whole_and_a_missing_one_is_empty(tmp_path):
    assert steps_of(table(tmp_path / "a.csv", 5), 5) == ([1, 2, 3, 4, 5], 5)
    assert sample_at(tmp_path / "none.csv", COLUMNS).total == 0
    assert sample_at(table(tmp_path / "a.csv", 5), COLUMNS, tables.figure).is_whole


def test_rows_of_a_long_table_are_evenly_spaced_and_reach_from_end_to_end(tmp_path):
    assert steps_of(table(tmp_path / "a.csv", 9), 3) == ([1, 5, 9], 9)
    steps, total = steps_of(table(tmp_path / "a.csv", 1000), 100)
    assert (steps[0], steps[-1], len(steps), total) == (1, 1000, 100, 1000)
    assert set(np.diff(steps)) <= {10, 11}
    assert not sample_at(tmp_path / "a.csv", COLUMNS, tables.figure, 100).is_whole


@pytest.mark.parametrize("end", ["\n10,", "\n1", "\n10,-1\0\0\0"])
def test_a_row_that_is_being_written_is_left_out(tmp_path, end):
    assert steps_of(table(tmp_path / "a.csv", 9, end), 100) == (list(range(1, 10)), 9)
    assert steps_of(table(tmp_path / "a.csv", 9, end), 3) == ([1, 5, 9], 9)


def test_damage_is_named_by_its_line_in_the_file(tmp_path):
    file = table(tmp_path / "a.csv", 1000, "\n1001,x\n")
    with pytest.raises(StorageError, match=r"a\.csv is damaged: line 1002, value is 'x', not a number"):
        sample_at(file, COLUMNS, tables.figure, 10)
    with pytest.raises(StorageError, match="line 1002, value"):
        sample_at(file, COLUMNS, tables.figure)


def journal(path, steps):
    """Write a journal whose rewards are the steps; return where its records start."""
    own = Journal(path, 2, 1)
    for step in range(1, steps + 1):
        own.append(step, float(step), 1, 0, float(step), [0.0], [0.0, 1.0], [1.0, 2.0])
    own.close()
    return read(path)[0]


def rewards(found):
    return found.records["reward"].astype(int).tolist()


def test_a_short_journal_is_read_whole_and_a_long_one_in_stretches(tmp_path):
    journal(tmp_path / "a.bin", 30)
    assert rewards(spread(tmp_path / "a.bin")) == list(range(1, 31))
    steps = BLOCKS * BLOCK + 1000
    journal(tmp_path / "b.bin", steps)
    found = rewards(spread(tmp_path / "b.bin"))
    assert len(found) == BLOCKS * BLOCK and found[0] == 1 and found[-1] == steps
    assert found == sorted(set(found))


def test_the_newest_records_of_a_journal(tmp_path):
    journal(tmp_path / "a.bin", 30)
    assert rewards(newest(tmp_path / "a.bin", 3)) == [28, 29, 30]
    assert rewards(newest(tmp_path / "a.bin", 300)) == list(range(1, 31))


@pytest.mark.parametrize("cut", [1, 10])
def test_a_record_that_is_being_written_is_not_read(tmp_path, cut):
    journal(tmp_path / "a.bin", 30)
    data = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "a.bin").write_bytes(data[:-cut])
    assert rewards(spread(tmp_path / "a.bin")) == list(range(1, 30))
    (tmp_path / "a.bin").write_bytes(data[:-cut] + bytes(cut))  # its place is there, its content is not
    assert rewards(spread(tmp_path / "a.bin")) == list(range(1, 30))


def test_a_journal_of_an_older_version_is_read_with_its_own_layout(tmp_path):
    (tmp_path / "a.bin").write_bytes(first_line(Header(2, 1, 0, 0, version=1)))
    journal(tmp_path / "a.bin", 30)
    found = spread(tmp_path / "a.bin")
    assert rewards(found) == list(range(1, 31)) and "asked" not in found.records.dtype.names


def test_damage_within_a_journal_is_named(tmp_path):
    start = journal(tmp_path / "a.bin", 30)
    data = bytearray((tmp_path / "a.bin").read_bytes())
    data[start + 3] ^= 1
    (tmp_path / "a.bin").write_bytes(data)
    for select in (spread, lambda path: newest(path, 30)):
        with pytest.raises(StorageError, match=r"a\.bin has damaged records; `reverie recover"):
            select(tmp_path / "a.bin")
    assert rewards(newest(tmp_path / "a.bin", 3)) == [28, 29, 30]  # the fault is elsewhere
