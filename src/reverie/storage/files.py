"""Writing files completely or not at all.

Every file is written beside its place, under a random name, and then renamed.  Only a regular file is ever replaced.
Files that a user names with `-o` are the subject of `output_file`.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO

import filelock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from reverie.core.errors import ReverieError, StorageError

LOCK = ".lock"
NEW = ".new"  # suffix of files that are not in their place yet
ELSEWHERE = "choose another directory, or correct this"
GO_ON = "what was written before is intact: correct this and continue with --resume (in Python: Learner.load)"


@contextlib.contextmanager
def io_errors(action: str, path: Path, remedy: str = GO_ON) -> Generator[None]:
    """Turn an OSError inside into a StorageError with the failed action, the file, and what to do."""
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
    """Return whether the system accepts such a name: no NUL, and it can be encoded."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def take_lock(folder: Path, busy: str) -> filelock.BaseFileLock:
    """Take the lock of a folder and return it.

    Raises StorageError with the text `busy` where another process holds it.
    """
    lock = filelock.FileLock(folder / LOCK, thread_local=False)  # it may be released in another thread
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StorageError(busy) from None
    return lock


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a regular file, or of the target of a link to one; the caller closes it.

    Raises StorageError for a pipe, a device, a socket or a folder, which would block or have no content, and for a path
    that the system does not accept.  Raises OSError where the file is missing or may not be opened.
    """
    try:
        _require_regular(path, os.stat(path))  # before opening, since some devices react to being opened
        handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the name
        raise StorageError(f"{str(path)!r} is not a file name ({error}); give another") from None
    try:
        _require_regular(path, os.fstat(handle))  # checked again: the file may have been replaced meanwhile
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_regular(path: str | Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path} is {kind_of(found)}, not a file; put the file there, or give another")


def opened_regular(path: str | Path) -> BinaryIO:
    """Return a regular file opened for reading bytes.  Raises as `open_regular` does."""
    return os.fdopen(open_regular(path), "rb")


def read_regular(path: str | Path) -> bytes:
    """Return the bytes of a regular file.  Raises as `open_regular` does."""
    with opened_regular(path) as file:
        return file.read()


def kind_of(found: os.stat_result) -> str:
    """Return the kind of a file in words: "a file", "a folder", "a symbolic link", "a device", …"""
    if stat.S_ISREG(found.st_mode):
        return "a file"
    return KINDS.get(stat.S_IFMT(found.st_mode), "something else")


def open_own(path: Path, flags: int) -> int:
    """Return a descriptor of one of our own files for writing; links and anything but regular files are refused.

    Raises StorageError where something else is in its place, OSError where it is missing or may not be opened.
    """
    _require_own(path)
    more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | more | os.O_CLOEXEC)
    try:
        _require_regular(path, os.fstat(handle))  # checked again: the file may have been replaced meanwhile
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_own(path: Path) -> os.stat_result | None:
    """Return the lstat of a regular file, or None if nothing is there.  Raises StorageError for anything else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(
            f"cannot write {path}: it is {kind_of(found)}, not a file; remove it, or choose another place"
        )
    return found


def write_whole(path: Path, data: bytes, remedy: str = GO_ON) -> None:
    """Write `data` beside `path` and rename it: a crash at any time leaves the old file or the new one.

    The old file's mode is kept.  Raises StorageError where the file cannot be written, or where a link, a folder or a
    device is in its place.
    """
    with io_errors("write", path, remedy):
        old = _require_own(path)
        _sweep(path)
        with _beside(path, old) as (beside, handle):
            write_all(lambda part: os.write(handle, part), data)
            os.fsync(handle)
            _require_own(path)
            os.replace(beside, path)
        sync_folder(path.parent)


@contextlib.contextmanager
def _beside(path: Path, old: os.stat_result | None) -> Generator[tuple[Path, int]]:
    """Yield a new file beside `path` and its descriptor; the file is removed afterwards unless it was renamed."""
    beside, handle = _create(path, 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o666)
    try:
        if old is not None and os.name == "posix":
            with contextlib.suppress(PermissionError):  # another user's file in a folder that we may write to
                if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, stat.S_IMODE(old.st_mode) & 0o777)
        yield beside, handle
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # renamed before the interrupt
            os.unlink(beside)
        raise
    finally:
        os.close(handle)


def _create(path: Path, mode: int) -> tuple[Path, int]:
    """Return a new file beside `path`, open and locked while its writer lives, so that `_sweep` leaves it alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        beside = path.with_name(f".{_stem(path)}.{secrets.token_hex(8)}{NEW}")
        handle = os.open(beside, flags, mode)
        if fcntl is None:
            return beside, handle
        try:
            with contextlib.suppress(OSError):  # a file system without locks; `_sweep` does nothing there
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:  # otherwise `_sweep` removed it before it was locked
                return beside, handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _stem(path: Path) -> str:
    return path.name if len(os.fsencode(path.name)) <= 200 else path.name[:40]  # file names have at most 255 bytes


def is_unfinished(name: str) -> bool:
    """Return whether a file with this name waits to be renamed, or was left by a writer that was killed."""
    return re.fullmatch(rf"\..+\.[0-9a-f]{{16}}{re.escape(NEW)}", name) is not None


def _sweep(path: Path) -> None:
    """Remove files that killed writers of `path` left beside it.

    A file is ours if its name fits, this user owns it, and the lock of its writer is free.
    """
    if fcntl is None:
        return
    start = f".{_stem(path)}."
    with contextlib.suppress(OSError):  # a folder that may be written but not read
        names = [name for name in os.listdir(path.parent) if name.startswith(start) and is_unfinished(name)]
        for name in names:
            if len(name) == len(start) + 16 + len(NEW):
                with contextlib.suppress(OSError):  # locked, since its writer lives, or already gone
                    _remove_abandoned(path.with_name(name))


def _remove_abandoned(path: Path) -> None:
    assert fcntl is not None
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid():
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(handle)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return (device, inode), which identify a file whatever its name; None if nothing is there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, each synced to the disk.  Raises OSError."""
    for folder in reversed(_missing(path)):
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(PermissionError):  # a parent that we may enter but not read
            sync_folder(folder.parent)


def require_room(path: Path) -> None:
    """Raise StorageError where `make_folder` could not make `path`.  Tries with a temporary folder."""
    with io_errors("create", path, ELSEWHERE):
        if missing := _missing(path):
            os.rmdir(tempfile.mkdtemp(prefix=".reverie-", dir=missing[-1].parent))


def _missing(path: Path) -> list[Path]:
    """Return the missing folders from `path` upwards.  Raises NotADirectoryError where a parent is not a folder."""
    missing, folder = [], path
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is no folder" if folder == path else f"{folder} is no folder")
    return missing


def write_all(write: Callable[[Any], int], data: bytes) -> None:
    """Call `write` until it has taken all of `data`.  A nearly full disk takes only a part of it."""
    left = memoryview(data)
    while left:
        left = left[write(left) :]


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut, where the system can open folders."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
