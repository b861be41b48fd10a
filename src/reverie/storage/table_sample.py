"""A selection of a table's rows, evenly spaced, so that a table of a million rows is read in a moment."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reverie.core.errors import StorageError
from reverie.storage.reading import exists, read_whole
from reverie.storage.tables import REMEDY, Columns, Kind, parse_table

MOST = 10_000  # rows that are read of a table
NEWLINE = ord("\n")


class Sample(NamedTuple):
    """Rows of a table, in order, and the number of rows that it has in all."""

    rows: list[dict[str, Any]]
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether these are all rows."""
        return len(self.rows) == self.total


def sample_at(path: Path, columns: Columns, more: Kind | None = None, most: int = MOST, remedy: str = REMEDY) -> Sample:
    """Return all rows of a table of at most `most` rows, else `most` of them, the first and the last included.

    columns, more: as for `read_table`.  A row that is being written is left out, as there.  No file: no rows.
    Raises StorageError where a row that is read is damaged.
    """
    if not exists(path):
        return Sample([], 0)
    data = read_whole(path, remedy)
    total = data.count(b"\n") - 1
    if total <= most:
        rows = parse_table(path, data, columns, more, remedy)
        return Sample(rows, len(rows))
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE) + 1
    chosen = np.unique(np.linspace(1, total, most).round().astype(int))
    lines = [data[: ends[0]], *(data[ends[i - 1] : ends[i]] for i in chosen)]
    try:
        return Sample(parse_table(path, b"".join(lines), columns, more, remedy), total)
    except StorageError:  # it numbers the lines of the selection: read all, for the number in the file
        parse_table(path, data, columns, more, remedy)
        raise
