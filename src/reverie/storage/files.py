"""Writing files whole or not at all."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import filelock

from reverie.core.errors import ReverieError, StorageError

GO_ON = "what was written before is whole: mend that and go on with --resume"


@contextlib.contextmanager
def told(action: str, path: Path, remedy: str = GO_ON) -> Iterator[None]:
    """Turn an OSError inside into a StorageError that says what failed, on which file, and what to do."""
    try:
        yield
    except ReverieError:
        raise
    except OSError as error:
        raise StorageError(f"cannot {action} {path}: {error.strerror or error}; {remedy}") from error
    except ValueError as error:
        if _can_be_a_name(path):
            raise
        raise StorageError(f"cannot {action} {path}: no file can have this name; {remedy}") from error


def _can_be_a_name(path: Path) -> bool:
    """Return whether the system takes such names: no NUL, nothing that it cannot encode."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def take_lock(folder: Path, busy: str) -> filelock.BaseFileLock:
    """Return the lock of a folder, taken; raise StorageError with the sentence `busy` where another process holds it."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StorageError(busy) from None
    return lock


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a regular file (or of what a link to one leads to), which the caller closes.

    Raises StorageError for a pipe, a device, a socket or a folder, whose reading would wait for ever or mean nothing, and
    for a path that the system cannot take; OSError where the file is not there or may not be opened.
    """
    try:
        _require_regular(path, os.stat(path))  # before opening: that alone makes some devices act
        handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the name
        raise StorageError(f"{str(path)!r} is no name of a file ({error}); give another") from None
    try:
        _require_regular(path, os.fstat(handle))  # after it: another may have taken the place meanwhile
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_regular(path: str | Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise StorageError(f"{path} is {kind}, not a file; put the file there, or give another")


def opened_regular(path: str | Path) -> BinaryIO:
    """Return a regular file, open for reading bytes; raises as `open_regular` does."""
    return os.fdopen(open_regular(path), "rb")


def read_regular(path: str | Path) -> bytes:
    """Return the bytes of a regular file; raises as `open_regular` does."""
    with opened_regular(path) as file:
        return file.read()


def write_whole(path: Path, data: bytes, remedy: str = GO_ON) -> None:
    """Write `data` beside `path` and rename: a crash at any moment leaves the old file or the new one."""
    beside = path.with_name(path.name + ".new")
    with told("write", path, remedy):
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_all(write: Callable[[bytes], int], data: bytes) -> None:
    """Call `write` until it has taken all of `data`: a disk that is almost full takes a part of it."""
    while data:
        data = data[write(data) :]


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut, where the system lets folders be opened."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
