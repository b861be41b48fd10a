"""Output files named by the user: `-o FILE` of every verb.

A file is written completely or not at all; links are followed.  What is not a file (a device, a pipe, `/dev/stdout`) is
written to directly and never replaced.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reverie.core.errors import ConfigError, StorageError
from reverie.core.interrupts import raise_if_interrupted
from reverie.storage.files import io_errors, kind_of, write_all, write_whole
from reverie.storage.run import RunDirectory

REMEDY = "choose another -o"
READER_SECONDS = 5.0  # how long a pipe waits for a reader
STDOUT = 1


class Output(NamedTuple):
    """Where output goes: to a file with a name, or to something open, or to be opened, that is written to directly."""

    path: Path  # as given by the user
    file: Path | None  # with links followed
    descriptor: int | None = None  # an open file of this process, such as /dev/stdout

    @property
    def is_stdout(self) -> bool:
        """Whether this is the process's standard output."""
        return self.descriptor == STDOUT

    def write(self, data: bytes) -> None:
        """Write all of `data`; if that fails, a file keeps its old content.

        Raises StorageError on failure, and Interrupted where a signal came before.
        """
        raise_if_interrupted()
        if self.file is not None:
            write_whole(self.file, data, REMEDY)
            return
        with io_errors("write", self.path, REMEDY):
            handle = _opened(self.path) if self.descriptor is None else os.dup(self.descriptor)
            try:
                write_all(lambda part: os.write(handle, part), data)
            except BrokenPipeError:
                if not self.is_stdout:  # the reader has seen enough (`… -o /dev/stdout | head`)
                    raise
            finally:
                os.close(handle)


def output_at(path: str | Path) -> Output:
    """Return where `path` leads.  Raises StorageError, before any work is done, where nothing can be written there."""
    path = Path(path)
    with io_errors("write", path, REMEDY):
        descriptor = _own_descriptor(path)
        if descriptor is not None:
            return Output(path, None, _writable(path, descriptor))
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return Output(path, _new(path))
        if stat.S_ISCHR(found.st_mode) or stat.S_ISFIFO(found.st_mode):
            return Output(path, None)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(path, f"it is {kind_of(found)}")
        target = Path(os.path.realpath(path))
        if not target.exists() or not os.path.samestat(os.stat(target), found):
            raise _refused(path, "it leads to a file that was removed")
        return Output(path, _outside_runs(path, target))


def require_ending(output: Path, endings: Sequence[str], what: str, bare: bool = False) -> None:
    """Raise ConfigError where a file's name has an ending for another kind of content.

    endings: the right ones.  what: the content, in words.
    bare: also accept a name without an ending, and anything that is not a file.
    """
    if os.path.isdir(output):
        output_at(output)  # raises the right error
    # pathlib takes ".png" for a name without an ending.
    hidden = output.name if output.name.startswith(".") and not output.suffix else ""
    if hidden.lower() in endings:
        raise ConfigError(f"{output} is only an ending; put a name before it")
    ending = output.suffix or hidden
    if ending.lower() in endings or (bare and (not ending or output_at(output).file is None)):
        return
    raise ConfigError(f"{output} ends in {ending or 'nothing'}; {what} {' or '.join(endings)}")


def _refused(path: Path, reason: str) -> StorageError:
    return StorageError(f"cannot write {path}: {reason}; {REMEDY}")


def _new(path: Path) -> Path:
    """Return the path of a file to be created.  Raises StorageError where it cannot be created."""
    if path.is_symlink():
        raise _refused(path, f"it is a symbolic link to {os.readlink(path)}, where there is nothing")
    if not path.parent.is_dir():
        raise _refused(path, f"there is no folder {path.parent}")
    return _outside_runs(path, Path(os.path.realpath(path.parent)) / path.name)


def _outside_runs(path: Path, target: Path) -> Path:
    """Return `target`.  Raises StorageError for a file that a run needs, or a link within a run's directory."""
    for folder in {target.parent, target.parent.parent, Path(os.path.realpath(path.parent))}:
        run = RunDirectory(folder)
        if run.holds_run and target in run.own_files:
            raise _refused(path, f"the run in {folder} needs it")
        if run.holds_run and path.is_symlink() and Path(os.path.realpath(path.parent)) == folder:
            raise _refused(path, "it is a symbolic link within a run's directory")
    return target


def _own_descriptor(path: Path) -> int | None:
    """Return the descriptor for a path such as /dev/stdout or /proc/self/fd/3, or None for other paths."""
    for _ in range(40):  # the number of links that a system follows
        folder = os.path.realpath(path.parent)
        if path.name.isdecimal() and re.fullmatch(rf"/dev/fd|/proc/{os.getpid()}(/task/\d+)?/fd", folder):
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


def _writable(path: Path, descriptor: int) -> int:
    """Return an open descriptor that accepts bytes.  Raises StorageError where it does not."""
    try:
        found = os.fstat(descriptor)
    except (OSError, OverflowError):
        raise _refused(path, "no such file is open") from None
    if stat.S_ISDIR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        raise _refused(path, f"it is {kind_of(found)}")
    return descriptor


def _opened(path: Path) -> int:
    """Return a descriptor of a device or pipe.  Waits only briefly for a pipe's reader."""
    until = time.monotonic() + READER_SECONDS
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                raise _refused(path, "no program reads it") from None
            time.sleep(0.05)
    try:
        found = os.fstat(handle)
        if not (stat.S_ISCHR(found.st_mode) or stat.S_ISFIFO(found.st_mode)):  # it was replaced meanwhile
            raise _refused(path, f"it is {kind_of(found)} now")
        os.set_blocking(handle, True)
    except BaseException:
        os.close(handle)
        raise
    return handle
