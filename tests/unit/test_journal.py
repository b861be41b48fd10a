"""The journal survives being torn anywhere, and never half loads."""

import errno
import os

import numpy as np
import pytest

from reverie.core.errors import StorageError
from reverie.storage import journal as journals
from reverie.storage.journal import TRUNCATED, Journal

N, M = 3, 2


def append(journal, first, count):
    for step in range(first, first + count):
        flags = TRUNCATED if step % 5 == 0 else 0
        journal.append(step, 1e9 + step, (step - 1) // 5 + 1, flags, step / 3, [0.1, -0.1], [step] * N, [step + 1] * N)


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / "journal.bin", N, M)
    append(journal, 1, 12)
    journal.close()
    return tmp_path / "journal.bin"


def test_what_was_written_comes_back(path):
    journal = Journal(path, N, M)
    assert journal.cut_bytes == 0
    assert journal.records["step"].tolist() == list(range(1, 13))
    assert journal.records["reward"][6] == 7 / 3
    np.testing.assert_array_equal(journal.records["next_observation"][:, 0], np.arange(2, 14))
    append(journal, 13, 2)
    journal.close()
    assert len(Journal(path, N, M).records) == 14


def test_the_documented_reader_reads_it(path):
    header, _, body = path.read_bytes().partition(b"\n")
    records = np.frombuffer(body, journals.record_dtype(N, M))
    assert records["step"][-1] == 12 and b'"observation_dim": 3' in header


def test_a_tail_torn_at_any_byte_is_cut_and_reported(path):
    data = path.read_bytes()
    size = journals.record_dtype(N, M).itemsize
    for missing in range(1, size):
        path.write_bytes(data[:-missing])
        journal = Journal(path, N, M)
        assert len(journal.records) == 11 and journal.cut_bytes == size - missing
        assert path.stat().st_size == len(data) - missing, "opening changes nothing yet"
        journal.cut()
        journal.close()
        assert path.stat().st_size == len(data) - size
    journal = Journal(path, N, M)
    append(journal, 12, 1)
    journal.close()
    assert path.read_bytes() == data


def test_zeros_that_a_power_cut_left_at_the_end_are_cut(path):
    with open(path, "ab") as file:
        file.write(bytes(300))
    journal = Journal(path, N, M)
    assert len(journal.records) == 12 and journal.cut_bytes == 300


def test_damage_in_the_middle_is_named_and_nothing_is_changed(path):
    data = bytearray(path.read_bytes())
    start = data.index(b"\n") + 1
    data[start + 4 * journals.record_dtype(N, M).itemsize + 30] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"journal\.bin: record 5 of 12 is damaged though later ones are whole"):
        Journal(path, N, M)
    assert path.read_bytes() == data


def test_a_missing_record_is_named(path):
    data, size = path.read_bytes(), journals.record_dtype(N, M).itemsize
    start = data.index(b"\n") + 1
    path.write_bytes(data[: start + 3 * size] + data[start + 4 * size :])
    with pytest.raises(StorageError, match="record 4 holds step 5; steps are missing or doubled"):
        Journal(path, N, M)


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"format": "reverie-journal-9"}\n', b"\x80\x02]q\x00."])
def test_a_foreign_file_is_named(path, content):
    path.write_bytes(content)
    with pytest.raises(StorageError, match="no journal of this version"):
        Journal(path, N, M)


def test_another_environments_journal_is_refused(path):
    with pytest.raises(StorageError, match="another environment"):
        Journal(path, N + 1, M)


def test_a_full_disk_leaves_whole_records(path, monkeypatch):
    journal = Journal(path, N, M)
    real, calls = os.write, []

    def full(handle, data):
        calls.append(1)
        if len(calls) == 1:
            return real(handle, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals.os, "write", full)
    with pytest.raises(StorageError, match=r"cannot write .*journal\.bin: No space left on device; .*--resume"):
        append(journal, 13, 1)
    monkeypatch.undo()
    append(journal, 13, 1)  # room again
    journal.close()
    found = Journal(path, N, M)
    assert len(found.records) == 13 and found.cut_bytes == 0
