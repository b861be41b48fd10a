import csv
import errno
import os

import numpy as np
import pytest

from reverie.core.errors import StorageError
from reverie.storage import episodes, tables
from reverie.storage.journal import TERMINATED, TRUNCATED
from reverie.storage.tables import Table, read_rows, read_table
from reverie.training import evaluation


def test_rows_come_back_and_a_torn_line_does_not(tmp_path):
    table = Table(tmp_path / "t.csv", ("step", "loss"))
    table.append({"step": 1, "loss": 0.1})
    table.append({"step": 2})
    with open(table.path, "ab") as file:
        file.write(b"3,0.")
    assert read_rows(table.path) == [{"step": "1", "loss": "0.1"}, {"step": "2", "loss": ""}]
    table.replace(read_rows(table.path)[:1])
    table.append({"step": 4, "loss": 1 / 3})
    assert table.path.read_text() == f"step,loss\n1,0.1\n4,{1 / 3!r}\n"


def records(*steps):
    kinds = np.dtype([("step", "u8"), ("time", "f8"), ("episode", "u4"), ("flags", "u4"), ("reward", "f8")])
    return np.array([(i + 1, 10.0 + i, *rest) for i, rest in enumerate(steps)], kinds)


def test_episode_rows_by_hand():
    found = episodes.rows_of(
        records((1, 0, 1.0), (1, TERMINATED, 2.0), (2, 0, 4.0), (3, 0, 8.0), (3, TRUNCATED, 16.0), (4, 0, 1.0))
    )
    assert [tuple(row.values()) for row in found] == [
        (2, 1, 3.0, 2, 1, 0, 1.0),
        (3, 2, 4.0, 1, 0, 0, 0.0),  # cut off: neither terminated nor truncated
        (5, 3, 24.0, 2, 0, 1, 1.0),
    ]  # episode 4 is under way


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_row_is_written_whole_or_not_at_all(at, tmp_path, monkeypatch):
    """On a disk that is almost full: each write takes 3 bytes, and the one `at` raises."""
    table = Table(tmp_path / "t.csv", ("step", "loss"))
    table.append({"step": 1, "loss": 0.125})
    real, calls = os.write, []

    def nearly(handle, data):
        calls.append(handle)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[:3])

    monkeypatch.setattr(os, "write", nearly)
    with pytest.raises(StorageError, match="No space left"):
        table.append({"step": 2, "loss": 0.25})
    with pytest.raises(OSError, match="Bad file descriptor"):  # not left open
        os.fstat(calls[-1])
    table.append({"step": 3, "loss": 0.5})  # in parts
    assert table.path.read_text() == "step,loss\n1,0.125\n3,0.5\n"


# ---- read as values

COLUMNS = {"step": tables.whole, "loss": tables.number}


@pytest.mark.parametrize("columns", [episodes.COLUMNS, evaluation.COLUMNS], ids=["episodes", "evaluations"])
def test_values_come_back_as_they_were(columns, tmp_path):
    row = {"step": 7, "episode": 2, "return": -1 / 3, "length": 5, "terminated": 1, "truncated": 0, "seconds": 0.125}
    row |= {"return_mean": 1e-300, "return_std": 0.0, "returns": "1.5 -2e-05"}
    wanted = {name: row[name] for name in columns}
    table = Table(tmp_path / "t.csv", columns)
    table.append(row)
    before = table.path.read_bytes()
    assert read_table(table.path, columns) == [wanted]
    table.replace(read_table(table.path, columns))
    assert table.path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "names no column step"),
        (b"\n", "names no column step"),
        (b"step,los\n1,2\n", "names no column loss"),
        (b"step,loss,step\n1,2,3\n", "names a column twice"),
        (b"step,loss,more\n1,2,3\n", "a column 'more', which it cannot have"),
        (b"step,loss\n1\n", "line 2 has 1 fields of 2"),
        (b"step,loss\n1,2\n1,2,3\n", "line 3 has 3 fields of 2"),
        (b"step,loss\n\n", "line 2 has 0 fields of 2"),
        (b'step,loss\n1,"2\n', "unexpected end"),
        (b'step,loss\n1,"2"3\n', "expected"),
        (b"step,loss\n\xff,1\n", "codec can't decode"),
        (b"step,loss\n1,\x00\n", "loss is '.x00', not a number"),
        *(
            (f"step,loss\n{text},1\n".encode(), "line 2, step is .*, not a whole number of at least 0")
            for text in ("-1", "1.0", "", " 1", "1_0", "\uff11", "9" * 19, "9" * 5000, "nan", "0x1", "True")
        ),
        *(
            (f"step,loss\n1,{text}\n".encode(), "line 2, loss is .*, not a (finite )?number")
            for text in ("nan", "inf", "-inf", "1e400", "", "1_0", "\u0661", "1.2.3", "1e", "0x1", " 1", "None", "1j")
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_table_is_named_by_line_and_column(content, says, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(StorageError, match=rf"t\.csv is damaged: .*{says}.*; restore it") as told:
        read_table(tmp_path / "t.csv", COLUMNS, remedy="restore it")
    assert str(told.value).isprintable() and len(str(told.value)) < 600


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (tables.flag, {"0": 0, "1": 1}, ["2", "", "True", "-1"]),
        (
            tables.figure,
            {"": None, "7": 7, "0.5": 0.5, "-inf": -np.inf, "1e-05": 1e-05},
            ["x", "1 2", "--1", "infinity"],
        ),
        (tables.numbers, {"1.0 -2.5": "1.0 -2.5"}, ["", "1.0  2.0", "1 nan", "1,2", "1 2 "]),
        (tables.number_or_diverged, {"-inf": -np.inf, "2": 2.0}, ["inf", "nan", ""]),
        (tables.name, {"naf-0.001-batch-0.3": "naf-0.001-batch-0.3"}, ["", "../x", "a/b", ".", "..", "a\0", "x" * 101]),
        (tables.one_of("done", "failed"), {"done": "done"}, ["", "Done", "doing"]),
    ],
)
def test_each_kind_of_column_reads_its_own_text_and_no_other(kind, good, bad):
    assert {text: kind(text) for text in good} == good
    for text in bad:
        with pytest.raises(ValueError):
            kind(text)


def test_a_field_of_any_size_is_read_and_csv_is_left_as_it_was(tmp_path):
    """Returns of 8,000 episodes are longer than the 131,072 characters that csv takes: the run could not be gone on with."""
    limit = csv.field_size_limit()
    returns = " ".join(map(repr, np.random.default_rng(0).normal(size=20_000).tolist()))
    table = Table(tmp_path / "evaluations.csv", evaluation.COLUMNS)
    table.append({"step": 1, "episode": 1, "return_mean": 0.0, "return_std": 1.0, "returns": returns})
    assert len(returns) > 131_072 and read_table(table.path, evaluation.COLUMNS)[0]["returns"] == returns
    assert csv.field_size_limit() == limit


def test_columns_may_stand_in_any_order_and_more_of_one_kind_may_come(tmp_path):
    (tmp_path / "t.csv").write_text("extra,loss,step\n,0.5,3\n7,nan,4\n")
    rows = read_table(tmp_path / "t.csv", {"step": tables.whole}, more=tables.figure)
    assert [row["step"] for row in rows] == [3, 4] and [row["extra"] for row in rows] == [None, 7]


def test_a_table_that_was_taken_away_or_replaced_is_named(tmp_path):
    table = Table(tmp_path / "t.csv", ("step",))
    table.path.unlink()
    with pytest.raises(StorageError, match=r"cannot write .*t\.csv: No such file"):
        table.append({"step": 1})
    (tmp_path / "victim").write_text("precious")
    table.path.symlink_to(tmp_path / "victim")
    for write in (lambda: table.append({"step": 1}), lambda: table.replace([])):
        with pytest.raises(StorageError, match=r"t\.csv: it is a symbolic link, not a file"):
            write()
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_carriage_return_comes_back_as_any_other_character(tmp_path):
    names = ("a\rb", "c\nd", 'e"f', "g,h")
    (tmp_path / "t.csv").write_bytes(tables.table_of(names, [dict(zip(names, names, strict=True))]))
    assert read_rows(tmp_path / "t.csv") == [dict(zip(names, names, strict=True))]
