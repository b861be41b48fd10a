"""Reading files: what comes back has been checked, or the file is named in one line.  Nothing else opens a file to read it.

Regular files alone (`files.open_regular`): a pipe in the place of a file would wait for ever, a device never end.
"""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reverie.core.errors import StorageError, one_line
from reverie.core.words import count
from reverie.storage.files import GO_ON, io_errors, opened_regular

T = TypeVar("T")

NAMED = 200  # characters of what a parser says


def exists(path: Path) -> bool:
    """Return whether something is at `path`.  Raises StorageError where nobody can say: no permission, a name too long."""
    with io_errors("look for", path, "choose another path, or mend its permissions"):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def read_whole(path: Path, remedy: str = GO_ON, most: int | None = None) -> bytes:
    """Return the bytes of a regular file.  Raises StorageError where it is none, cannot be read, or is larger than `most`."""
    with io_errors("read", path, remedy):
        with opened_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise StorageError(f"{path} has {count(size, 'byte')}, more than the {most} it can have; {remedy}")
            return file.read()


def read_json(path: Path, kind: type[T], remedy: str) -> T:
    """Return what a JSON file holds, as `kind` (a msgspec Struct with its constraints).

    Raises StorageError where it is damaged: what the matter is, where in the file, and `remedy`.
    """
    try:
        return decode(read_whole(path, remedy), kind)
    except ValueError as error:
        raise StorageError(f"{path} is damaged ({error}); {remedy}") from None


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return JSON as `kind`.  Raises ValueError that says in a few words what the matter is."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(said(error)) from None


def loose(data: bytes | str) -> Any:
    """Return JSON with the NaN and Infinity that Python writes, whatever it is.  Raises ValueError as `decode` does."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(said(error)) from None


def convert(value: Any, kind: type[T]) -> T:
    """Return a value of dicts, lists, numbers and text as `kind`.  Raises ValueError as `decode` does."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(said(error)) from None


def said(error: BaseException) -> str:
    """Return what an error says, in one short line."""
    text = one_line(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= NAMED else text[:NAMED] + " …"
