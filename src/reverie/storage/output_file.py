"""Where a user says that a file goes: `-o FILE` of every verb.

A file is written whole or not at all, through links to what they lead to.  What is no file (a device, a pipe, `/dev/stdout`)
is written to as it stands and never replaced.
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
from reverie.core.interrupts import look
from reverie.storage.files import io_errors, kind_of, write_all, write_whole
from reverie.storage.run import RunDirectory

REMEDY = "choose another -o"
READER_SECONDS = 5.0  # that a pipe waits for somebody who reads it
STDOUT = 1


class Output(NamedTuple):
    """Where it goes: either a file of this name, or something open or to be opened, to be written to as it is."""

    path: Path  # as it was given
    file: Path | None  # links followed
    descriptor: int | None = None  # one of this process's own, such as /dev/stdout

    @property
    def is_stdout(self) -> bool:
        """Whether it is what this process prints to."""
        return self.descriptor == STDOUT

    def write(self, data: bytes) -> None:
        """Write all of it.  Raises StorageError where that fails, Interrupted where a signal came; a file is then as it was."""
        look()
        if self.file is not None:
            write_whole(self.file, data, REMEDY)
            return
        with io_errors("write", self.path, REMEDY):
            handle = _opened(self.path) if self.descriptor is None else os.dup(self.descriptor)
            try:
                write_all(lambda part: os.write(handle, part), data)
            except BrokenPipeError:
                if not self.is_stdout:  # whose reader has seen enough (`… -o /dev/stdout | head`)
                    raise
            finally:
                os.close(handle)


def output_at(path: str | Path) -> Output:
    """Return where `path` leads.  Raises StorageError, before anything was done, where nothing can be written there."""
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
            raise _refused(path, "it leads to a file that has no name any more")
        return Output(path, _outside_runs(path, target))


def require_ending(output: Path, endings: Sequence[str], what: str, bare: bool = False) -> None:
    """Raise ConfigError where the name of a file says that it is of another kind than `what` is, which ends in `endings`.

    bare: a name without an ending will do, and so will what is no file, whatever it is called.
    """
    if os.path.isdir(output):
        output_at(output)  # says so
    # For pathlib ".png" is a name without an ending.
    hidden = output.name if output.name.startswith(".") and not output.suffix else ""
    if hidden.lower() in endings:
        raise ConfigError(f"{output} is an ending alone; put a name before it")
    ending = output.suffix or hidden
    if ending.lower() in endings or (bare and (not ending or output_at(output).file is None)):
        return
    raise ConfigError(f"{output} ends in {ending or 'nothing'}; {what} {' or '.join(endings)}")


def _refused(path: Path, reason: str) -> StorageError:
    return StorageError(f"cannot write {path}: {reason}; {REMEDY}")


def _new(path: Path) -> Path:
    """Return the file that is to be made; raise StorageError where it cannot be."""
    if path.is_symlink():
        raise _refused(path, f"it is a symbolic link to {os.readlink(path)}, where there is nothing")
    if not path.parent.is_dir():
        raise _refused(path, f"there is no folder {path.parent}")
    return _outside_runs(path, Path(os.path.realpath(path.parent)) / path.name)


def _outside_runs(path: Path, target: Path) -> Path:
    """Return `target`; raise StorageError where it is a file that a run lives from, or a link within a run's directory."""
    for folder in {target.parent, target.parent.parent, Path(os.path.realpath(path.parent))}:
        run = RunDirectory(folder)
        if run.holds_run and target in run.own_files:
            raise _refused(path, f"the run in {folder} lives from it")
        if run.holds_run and path.is_symlink() and Path(os.path.realpath(path.parent)) == folder:
            raise _refused(path, "it is a symbolic link within a run's directory")
    return target


def _own_descriptor(path: Path) -> int | None:
    """Return the number of this process's open file that a path such as /dev/stdout or /proc/self/fd/3 stands for, or None."""
    for _ in range(40):  # as many links as a system follows
        folder = os.path.realpath(path.parent)
        if path.name.isdecimal() and re.fullmatch(rf"/dev/fd|/proc/{os.getpid()}(/task/\d+)?/fd", folder):
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


def _writable(path: Path, descriptor: int) -> int:
    """Return an open file of this process that takes bytes; raise StorageError where it is none."""
    try:
        found = os.fstat(descriptor)
    except (OSError, OverflowError):
        raise _refused(path, "no such file is open") from None
    if stat.S_ISDIR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        raise _refused(path, f"it is {kind_of(found)}")
    return descriptor


def _opened(path: Path) -> int:
    """Return a descriptor of a device or pipe.  A pipe that nobody reads is not waited for long."""
    until = time.monotonic() + READER_SECONDS
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                raise _refused(path, "nobody reads it") from None
            time.sleep(0.05)
    try:
        found = os.fstat(handle)
        if not (stat.S_ISCHR(found.st_mode) or stat.S_ISFIFO(found.st_mode)):  # it changed meanwhile
            raise _refused(path, f"it is {kind_of(found)} now")
        os.set_blocking(handle, True)
    except BaseException:
        os.close(handle)
        raise
    return handle
