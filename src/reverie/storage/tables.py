"""CSV tables that grow a row at a time and survive being cut anywhere."""

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reverie.storage.files import open_regular, read_regular, told, write_all, write_whole


class Table:
    """A CSV file with fixed columns; each row is on its way to disk when `append` returns."""

    def __init__(self, path: Path, columns: Sequence[str]):
        self.path, self.columns = path, tuple(columns)
        if not path.exists():
            write_whole(path, _line(self.columns))
        self._file: Any = None

    def append(self, row: dict[str, Any], durable: bool = False) -> None:
        """Add one row; columns it lacks stay empty.  durable: wait until it would survive a power cut."""
        with told("write", self.path):
            if self._file is None:
                self._file = os.fdopen(open_regular(self.path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0)
            size, line = self._file.seek(0, os.SEEK_END), _line([row.get(name, "") for name in self.columns])
            try:
                write_all(self._file.write, line)
            except BaseException:
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    self._file.truncate(size)
                raise
            if durable:
                os.fsync(self._file.fileno())

    def replace(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rewrite the file, whole or not at all, with `rows` alone."""
        self.close()
        write_whole(self.path, table_of(self.columns, rows))

    def close(self) -> None:
        """Close the file; `append` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def table_of(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> bytes:
    """Return a whole table as CSV."""
    lines = [columns, *([row.get(name, "") for name in columns] for row in rows)]
    return b"".join(_line(line) for line in lines)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the whole rows of a table as text by column; a last line without its end is left out."""
    with told("read", path):
        text = read_regular(path).decode(errors="replace")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole))
    return [row for row in reader if None not in row and None not in row.values()]


def _line(values: Sequence[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue().encode()
