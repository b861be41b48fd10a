"""CSV tables that grow row by row and can be read after a cut at any byte, with a kind for each column.

A table's columns are a mapping from name to kind.  A kind is a function from a field's text to its value; it raises
ValueError with what is required for other text.
"""

import contextlib
import csv
import io
import math
import os
import re
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reverie.core.errors import StorageError
from reverie.storage.files import io_errors, open_own, write_all, write_whole
from reverie.storage.reading import exists, read_whole, short_text

Kind = Callable[[str], Any]
Columns = Mapping[str, Kind]

DIGITS, MOST = 18, 40  # of a whole number; characters of a field that an error shows
WHOLE, NUMBER = re.compile("[0-9]+", re.ASCII), re.compile(r"[-+]?([0-9.]+(e[-+]?[0-9]+)?|inf|nan)", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)
REMEDY = "correct that line, or restore the file"


class Table:
    """A CSV file with fixed columns.  Each row is handed to the operating system when `append` returns.

    The file is open only while a row is written: rows are rare, no descriptor is left open, and a file that was removed
    is noticed.
    """

    def __init__(self, path: Path, columns: Iterable[str]):
        self.path, self.columns = path, tuple(columns)
        if not exists(path):
            write_whole(path, _line(self.columns))

    def append(self, row: dict[str, Any], durable: bool = False) -> None:
        """Append one row; missing columns stay empty.  durable: wait until the row survives a power cut."""
        line = _line([row.get(name, "") for name in self.columns])
        with io_errors("write", self.path):
            handle = open_own(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                _append(handle, line)
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)

    def replace(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rewrite the file, completely or not at all, with only `rows`."""
        write_whole(self.path, table_of(self.columns, rows))


def _append(handle: int, line: bytes) -> None:
    """Write a line at the end of an open file, completely or not at all."""
    size = os.fstat(handle).st_size
    try:
        write_all(lambda part: os.write(handle, part), line)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to report
            os.ftruncate(handle, size)
        raise


def table_of(columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> bytes:
    """Return a complete table as CSV."""
    columns = tuple(columns)
    return _line(columns) + b"".join(_line([row.get(name, "") for name in columns]) for row in rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the complete rows of a table as text by column, for any columns.  `read_table` returns values."""
    return read_table(path, {}, more=words)


def read_table(path: Path, columns: Columns, more: Kind | None = None, remedy: str = REMEDY) -> list[dict[str, Any]]:
    """Return the complete rows of a table as values by column; a last line without a newline is left out.

    columns: the kind of each column.  more: the kind of all other columns; without it there must be none.
    Raises StorageError with file, line and column where the table is damaged.
    """
    return parse_table(path, read_whole(path, remedy), columns, more, remedy)


def parse_table(
    path: Path, data: bytes, columns: Columns, more: Kind | None = None, remedy: str = REMEDY
) -> list[dict[str, Any]]:
    """Return what `read_table` returns, of a table that was read.  path: for errors."""
    try:
        text = data[: data.rfind(b"\n") + 1].decode()
        with _fields_of_any_size(len(text)):
            lines = csv.reader(io.StringIO(text, newline=""), strict=True)
            names = next(lines, [])
            kinds = _kinds(names, columns, more)
            return [_row(names, kinds, line, lines.line_num) for line in lines]
    except (ValueError, csv.Error) as error:
        raise StorageError(f"{path} is damaged: {short_text(error)}; {remedy}") from None


def table_at(path: Path, columns: Columns, remedy: str = REMEDY) -> list[dict[str, Any]]:
    """Return what `read_table` returns, or [] where there is no file (before the first row, after `recover`)."""
    return read_table(path, columns, remedy=remedy) if exists(path) else []


_limit = threading.Lock()


@contextlib.contextmanager
def _fields_of_any_size(most: int) -> Generator[None]:
    """Let csv read fields of up to `most` characters.

    Its limit, 131,072 for the whole process, is too small for 8,000 returns.
    """
    with _limit:
        before = csv.field_size_limit(max(most, csv.field_size_limit()))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _kinds(names: Sequence[str], columns: Columns, more: Kind | None) -> list[Kind]:
    """Return the kinds of a table's columns in the order of its first line."""
    for name in columns:
        if name not in names:
            raise ValueError(f"its first line names no column {name}")
    if len(set(names)) < len(names):
        raise ValueError("its first line names a column twice")
    kinds = [columns.get(name, more) for name in names]
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        raise ValueError(f"its first line names a column {names[kinds.index(None)][:MOST]!r}, which it cannot have")
    return known


def _row(names: Sequence[str], kinds: Sequence[Kind], fields: Sequence[str], line: int) -> dict[str, Any]:
    if len(fields) != len(names):
        raise ValueError(f"line {line} has {len(fields)} fields of {len(names)}")
    row = {}
    for name, kind, field in zip(names, kinds, fields, strict=True):
        try:
            row[name] = kind(field)
        except ValueError as error:
            raise ValueError(f"line {line}, {name} is {field[:MOST]!r}, not {error}") from None
    return row


# ---- kinds


def whole(text: str) -> int:
    """Return a whole number of at least 0."""
    if not WHOLE.fullmatch(text) or len(text) > DIGITS:
        raise ValueError("a whole number of at least 0")
    return int(text)


def number(text: str) -> float:
    """Return a finite number."""
    value = any_number(text)
    if not math.isfinite(value):
        raise ValueError("a finite number")
    return value


def any_number(text: str) -> float:
    """Return a number, including "inf" and "nan"."""
    try:
        if NUMBER.fullmatch(text):
            return float(text)
    except ValueError:
        pass
    raise ValueError("a number") from None


def number_or_diverged(text: str) -> float:
    """Return a finite number, or -inf, which marks a run that diverged."""
    return -math.inf if text == "-inf" else number(text)


def number_or_nan(text: str) -> float:
    """Return a finite number, or nan for "" and "nan"."""
    return math.nan if text in ("", "nan") else number(text)


def figure(text: str) -> int | float | None:
    """Return a number of any sort, or None for ""."""
    if not text:
        return None
    return int(text) if WHOLE.fullmatch(text) and len(text) <= DIGITS else any_number(text)


def flag(text: str) -> int:
    """Return 0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return int(text)


def numbers(text: str) -> str:
    """Return the text of finite numbers separated by spaces, unchanged."""
    for part in text.split(" "):
        number(part)
    return text


def name(text: str) -> str:
    """Return a name that can be part of a file name."""
    if not NAME.fullmatch(text) or len(text) > 100:
        raise ValueError("a name")
    return text


def words(text: str) -> str:
    """Return any text."""
    return text


def one_of(*values: str) -> Kind:
    """Return the kind of a column that holds one of `values`."""

    def kind(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return kind


def _line(values: Sequence[Any]) -> bytes:
    out = io.StringIO()
    nothing_for_nan = ["" if isinstance(value, float) and math.isnan(value) else value for value in values]
    csv.writer(out, lineterminator="\r\n").writerow(nothing_for_nan)  # quotes what holds one of these characters
    return (out.getvalue()[:-2] + "\n").encode()
