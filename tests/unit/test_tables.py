import numpy as np
import pytest

from reverie.core.errors import StorageError
from reverie.storage import episodes
from reverie.storage.journal import TERMINATED, TRUNCATED
from reverie.storage.tables import Table, read_rows


def test_rows_come_back_and_a_torn_line_does_not(tmp_path):
    table = Table(tmp_path / "t.csv", ("step", "loss"))
    table.append({"step": 1, "loss": 0.1})
    table.append({"step": 2})
    table.close()
    with open(table.path, "ab") as file:
        file.write(b"3,0.")
    assert read_rows(table.path) == [{"step": "1", "loss": "0.1"}, {"step": "2", "loss": ""}]
    table.replace(read_rows(table.path)[:1])
    table.append({"step": 4, "loss": 1 / 3})
    table.close()
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


class Nearly:
    """A file of a disk that is almost full: each write takes 3 bytes, and the one `at` raises."""

    def __init__(self, file, at=None):
        self.file, self.at = file, at

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.at = None if self.at is None else self.at - 1
        if self.at == 0:
            raise OSError(28, "No space left on device")
        return self.file.write(data[:3])


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_row_is_written_whole_or_not_at_all(at, tmp_path):
    table = Table(tmp_path / "t.csv", ("step", "loss"))
    table.append({"step": 1, "loss": 0.125})
    table._file = Nearly(table._file, at)
    with pytest.raises(StorageError, match="No space left"):
        table.append({"step": 2, "loss": 0.25})
    table._file.at = None
    table.append({"step": 3, "loss": 0.5})  # in parts
    table.close()
    assert table.path.read_text() == "step,loss\n1,0.125\n3,0.5\n"
