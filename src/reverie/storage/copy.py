"""Folders that appear completely or not at all: a copy of a run, or a new one."""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Generator
from pathlib import Path

from reverie.core.errors import StorageError
from reverie.storage.files import (
    LOCK,
    io_errors,
    is_unfinished,
    kind_of,
    make_folder,
    sync_folder,
    write_whole,
)
from reverie.storage.reading import read_whole

REMEDY = "choose another directory"


def copy_run(source: Path, path: Path) -> Path:
    """Copy a run's directory to `path`, completely or not at all, and return the path.  The lock is not copied.

    Raises StorageError where `path` exists, where one directory lies within the other, or on a full disk.
    """
    with io_errors("save to", path, REMEDY):
        here, there = Path(os.path.realpath(source)), Path(os.path.realpath(path))
        if here == there:
            return source
        if there.is_relative_to(here):
            raise StorageError(f"cannot save to {path}: it lies within the run itself, {source}; {REMEDY}")
    with new_folder(path) as folder, io_errors("save to", path, REMEDY):
        _copy(here, folder)
    return path


@contextlib.contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """Yield a folder to fill.  It is moved to `path`, on the disk, when the block ends, or removed if the block fails.

    Raises StorageError where something other than an empty folder is at `path`.
    """
    with io_errors("write", path, REMEDY):
        target = _free(path)
        make_folder(target.parent)
        made = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.new")
        made.mkdir()
    try:
        yield made
        with io_errors("write", path, REMEDY):
            _sync(made)
            if target.is_dir():
                # an empty folder, removed so that the rename works everywhere; raises if it is not empty
                target.rmdir()
            os.rename(made, target)
            sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _free(path: Path) -> Path:
    """Return the real path of a new folder, links followed.  Raises StorageError where something is there."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise StorageError(
                f"cannot write {path}: it is a symbolic link to {os.readlink(path)}, where there is nothing; {REMEDY}"
            ) from None
        return Path(os.path.realpath(path))
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"cannot write {path}: it is {kind_of(found)}; {REMEDY}")
    if (path / "config.json").exists() or (path / "experience" / "journal.bin").exists():
        raise StorageError(f"{path} already holds a run; {REMEDY}")
    if os.listdir(path):
        raise StorageError(f"cannot write {path}: it is a folder that is not empty; {REMEDY}")
    return Path(os.path.realpath(path))


def _copy(source: Path, target: Path) -> None:
    for entry in _entries(source):
        if entry.name == LOCK or is_unfinished(entry.name):
            continue
        place = target / entry.name
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
        elif entry.is_dir():
            place.mkdir()
            _copy(Path(entry.path), place)
        elif entry.is_file():
            shutil.copy2(entry.path, place)
        else:
            raise StorageError(f"cannot copy {entry.path}: it is {kind_of(entry.stat())}, not a file; remove it")


def copy_others(source: Path, target: Path, but: set[Path]) -> list[str]:
    """Copy all readable files below a folder except those in `but`; return a line for each that was left out.

    Links are never followed.  Raises StorageError where a file cannot be written.
    """
    left_out = []
    for folder, folders, names in os.walk(source):
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for path in sorted(Path(folder, name) for name in [*names, *linked]):
            place = path.relative_to(source)
            if path in but or path.name == LOCK or is_unfinished(path.name):
                continue
            try:
                if path.is_symlink():
                    raise StorageError("a symbolic link")
                data = read_whole(path)
            except StorageError as error:
                left_out.append(f"{place}: {error}")
                continue
            with io_errors("write", target / place, REMEDY):
                make_folder((target / place).parent)
            write_whole(target / place, data, REMEDY)
    return left_out


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _sync(folder: Path) -> None:
    """Sync a folder and everything in it to the disk."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            _sync(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            handle = os.open(entry.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    sync_folder(folder)
