"""Tables (CSV) that other programs wrote: any columns, in any order, between commas, semicolons or tabs."""

import csv
import datetime
import io
from pathlib import Path

import numpy as np

from reverie.core.errors import StorageError
from reverie.storage.reading import read_whole, short_text

REMEDY = "correct it, or give another file"
FLAGS = {"0": False, "1": True, "false": False, "true": True, "": False, "0.0": False, "1.0": True}
DELIMITERS = ",;\t"


class ForeignTable:
    """The columns of a CSV file, as text; its first line names them.

    `names`: of the columns.  `lines`: number of the line of each row [N].
    Raises StorageError where the file is no table of whole rows.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            text = read_whole(path, REMEDY).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise StorageError(f"{path} is not text in UTF-8; {REMEDY}") from None
        head = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=head.count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise StorageError(f"{path} is damaged: {short_text(error)}; {REMEDY}") from None
        self.names = [name.strip() for name in rows[0]] if rows else []
        lines = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
        if not lines:
            raise StorageError(f"{path} is empty: there is no row of data below a row of names; {REMEDY}")
        for number, row in lines:
            if len(row) != len(self.names):
                raise StorageError(f"{path}: line {number} has {len(row)} fields, not {len(self.names)}; {REMEDY}")
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            raise StorageError(f"{path}: its first line names column {twice[0]!r} twice; rename one of them")
        self.lines = np.array([number for number, _ in lines])
        self._columns = dict(zip(self.names, zip(*(row for _, row in lines), strict=True), strict=True))

    def __len__(self) -> int:
        return len(self.lines)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as numbers [N]; NaN for empty fields.  Raises StorageError where one is text."""
        texts = [text.strip() or "nan" for text in self._columns[name]]
        try:
            return np.array(texts, dtype=float)
        except ValueError:
            place = next(i for i, text in enumerate(texts) if not _is_number(text))
            raise self._refused(name, place, "no number") from None

    def whole_numbers(self, name: str) -> np.ndarray:
        """Return a column of whole numbers [N].  Raises StorageError for others."""
        found = self.numbers(name)
        odd = np.flatnonzero(~(np.isfinite(found) & (np.abs(found) < 2**53) & (found == np.floor(found))))
        if len(odd):
            raise self._refused(name, int(odd[0]), "no whole number")
        return found.astype(np.int64)

    def flags(self, name: str) -> np.ndarray:
        """Return a column of 0 and 1, or false and true [N].  Raises StorageError for other text."""
        texts = [text.strip().lower() for text in self._columns[name]]
        if odd := [i for i, text in enumerate(texts) if text not in FLAGS]:
            raise self._refused(name, odd[0], "neither 0 nor 1")
        return np.array([FLAGS[text] for text in texts])

    def times(self, name: str) -> np.ndarray | None:
        """Return a column of seconds, or of dates as ISO 8601 writes them, as seconds [N]; None for other text."""
        texts = [text.strip() for text in self._columns[name]]
        try:
            if all(map(_is_number, texts)):
                return self.numbers(name)
            return np.array([datetime.datetime.fromisoformat(text).timestamp() for text in texts])
        except (ValueError, OverflowError, OSError):
            return None

    def is_numeric(self, name: str) -> bool:
        """Return whether a column holds numbers alone, or nothing."""
        return all(not text.strip() or _is_number(text) for text in self._columns[name])

    def _refused(self, name: str, place: int, reason: str) -> StorageError:
        text = self._columns[name][place].strip()[:40]
        return StorageError(f"{self.path}: line {self.lines[place]}, column {name}: {text!r} is {reason}; {REMEDY}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
