"""Writing files whole or not at all."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

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
