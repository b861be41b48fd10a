"""The journal survives being torn anywhere, and never half loads."""

import errno
import json
import os
import zlib

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
    with pytest.raises(StorageError, match=r"journal\.bin: record 5 of 12 is damaged, but later ones are intact"):
        Journal(path, N, M)
    assert path.read_bytes() == data


def test_a_missing_record_is_named(path):
    data, size = path.read_bytes(), journals.record_dtype(N, M).itemsize
    start = data.index(b"\n") + 1
    path.write_bytes(data[: start + 3 * size] + data[start + 4 * size :])
    with pytest.raises(StorageError, match="record 4 holds step 5: steps are missing or doubled"):
        Journal(path, N, M)


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"format": "reverie-journal-9"}\n', b"\x80\x02]q\x00."])
def test_a_foreign_file_is_named(path, content):
    path.write_bytes(content)
    with pytest.raises(StorageError, match="not a journal of this version"):
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


# ---- whatever else is in it is named

SIZES = {"format": "reverie-journal-2", "observation_dim": N, "action_dim": M}


@pytest.mark.parametrize(
    "line",
    [
        *(
            json.dumps(SIZES | {name: value}).encode()
            for name in ("observation_dim", "action_dim", "state_dim", "actions")
            for value in (-1, 2**60, 1e400, 2.5, "3", None, True, [], {}, 10**400)
        ),
        *(json.dumps(SIZES | {name: 0}).encode() for name in ("observation_dim", "action_dim")),
        json.dumps(SIZES | {"actions": 1}).encode(),
        json.dumps(SIZES | {"actions": 3}).encode(),  # of two entries
        json.dumps(SIZES)[:-1].encode(),
        b"[" * 50_000,
        b"{" + b" " * 2**21 + json.dumps(SIZES)[1:].encode(),
        json.dumps(list(SIZES.items())).encode(),
        b"null",
        b"",
    ],
    ids=lambda line: line[:90].decode(errors="replace"),
)
def test_a_first_line_that_is_none_is_named(path, line):
    path.write_bytes(line + b"\n" + path.read_bytes().partition(b"\n")[2])
    for read in (journals.read, journals.read_header, lambda path: Journal(path, N, M)):
        with pytest.raises(StorageError, match="not a journal of this version") as told:
            read(path)
        assert str(told.value).isprintable()


def test_a_first_line_of_any_usual_length_is_read_alike_everywhere(path):
    body = path.read_bytes().partition(b"\n")[2]
    path.write_bytes(json.dumps(SIZES | {"names": ["sensor"] * 2000}).encode() + b"\n" + body)
    assert journals.read_header(path)[:2] == (N, M) and len(journals.read(path)[1]) == 12


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("step", 0, "steps are missing or doubled"),
        ("step", 2**64 - 1, "steps are missing or doubled"),
        ("episode", 0, "episodes count from 1"),
        ("episode", 2**32 - 1, "each has a step"),  # each number up to it would be begun
        ("flags", 24, "the known ones are 0 to 23"),
        ("flags", 2**32 - 1, "the known ones are 0 to 23"),
        ("time", NAN, "seconds are finite"),
        ("reward", NAN, "rewards are finite in float32"),
        ("reward", -INF, "rewards are finite in float32"),
        ("reward", 1e300, "rewards are finite in float32"),
        ("action", [NAN, 0], r"actions lie in \[-1, 1\]"),
        ("action", [0, 1.5], r"actions lie in \[-1, 1\]"),
        ("observation", [0, INF, 0], "they are finite"),
        ("next_observation", [0, 0, NAN], "they are finite"),
    ],
)
def test_a_record_whose_checksum_holds_and_whose_values_cannot_be_is_named(path, field, value, says):
    line, _, body = path.read_bytes().partition(b"\n")
    records = np.frombuffer(body, journals.record_dtype(N, M)).copy()
    records[4][field] = value
    records[4]["crc"] = zlib.crc32(records[4].tobytes()[:-4])
    path.write_bytes(line + b"\n" + records.tobytes())
    with pytest.raises(StorageError, match=rf"journal\.bin: record 5 holds {field} .*{says}"):
        Journal(path, N, M)


@pytest.mark.parametrize("value", [-1, 3, 0.5, NAN, 1e30])
def test_a_discrete_action_that_there_is_not_is_named(tmp_path, value):
    journal = Journal(tmp_path / "journal.bin", N, 1, actions=3)
    for step, action in ((1, 0), (2, 2), (3, value)):
        journal.append(step, 0.0, 1, 0, 0.0, [action], [0] * N, [0] * N)
    journal.close()
    with pytest.raises(StorageError, match=r"record 3 holds action .*they are 0 to 2"):
        journals.read(journal.path)
