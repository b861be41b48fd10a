"""Reading files with checks: the content is valid, or a one-line error names the file.  All reading goes through here.

Only regular files are read (`files.open_regular`): a pipe would block, and a device might never end.
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

NAMED = 200  # characters of a parser's message that are kept


def exists(path: Path) -> bool:
    """Return whether something is at `path`.

    Raises StorageError where the system cannot say: no permission, or a name that is too long.
    """
    with io_errors("look for", path, "choose another path, or correct its permissions"):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def read_whole(path: Path, remedy: str = GO_ON, most: int | None = None) -> bytes:
    """Return the bytes of a regular file.

    most: the largest size, in bytes.  Raises StorageError where it is not a file, cannot be read, or is larger.
    """
    with io_errors("read", path, remedy):
        with opened_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise StorageError(f"{path} has {count(size, 'byte')}, more than the {most} allowed; {remedy}")
            return file.read()


def read_json(path: Path, kind: type[T], remedy: str) -> T:
    """Return the content of a JSON file as `kind` (a msgspec Struct with its constraints).

    Raises StorageError where it is damaged, with the fault, its place in the file, and `remedy`.
    """
    try:
        return decode(read_whole(path, remedy), kind)
    except ValueError as error:
        raise StorageError(f"{path} is damaged ({error}); {remedy}") from None


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return JSON as `kind`.  Raises ValueError with a short description of the fault."""
    try:
        text = data.decode() if isinstance(data, bytes) else data  # msgspec skips fields that `kind` lacks, unread
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(short_text(error)) from None


def loose(data: bytes | str) -> Any:
    """Return any JSON, including the NaN and Infinity that Python writes.  Raises ValueError as `decode` does."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(short_text(error)) from None


def convert(value: Any, kind: type[T]) -> T:
    """Return a value made of dicts, lists, numbers and text as `kind`.  Raises ValueError as `decode` does."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(short_text(error)) from None


def short_text(error: BaseException) -> str:
    """Return the text of an error in one short line."""
    text = one_line(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= NAMED else text[:NAMED] + " …"
