r"""The journal: every real transition, appended as it happens, with checksums.  All else in a run follows from it.

The file is one line of JSON (format, sizes) followed by records of fixed size, so that NumPy reads it in two lines:

    header, _, body = pathlib.Path(path).read_bytes().partition(b"\n")
    records = numpy.frombuffer(body, reverie.storage.journal.record_dtype(observation_dim, action_dim, state_dim))

The sizes are in the header; a missing state_dim is 0.

A crash may leave an incomplete record at the end.  It is cut when the run is opened, kept in a file beside the journal,
and reported.  Zeros after it, which some file systems leave after a power cut, are cut as well.
Damage anywhere else raises an error that names the file and the record: a journal is never loaded in part.  (`salvage`
recovers the whole records.)
"""

import contextlib
import json
import os
import shlex
import weakref
import zlib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from reverie.core.errors import StorageError
from reverie.core.words import count
from reverie.storage.experience import TERMINATED, TRUNCATED, refuse_odd
from reverie.storage.files import (
    file_identity,
    io_errors,
    open_own,
    opened_regular,
    read_regular,
    write_all,
    write_whole,
)
from reverie.storage.reading import decode, exists
from reverie.storage.run import unused
from reverie.storage.spec import Spec

__all__ = ["TERMINATED", "TRUNCATED", "Header", "Journal", "read", "read_header", "record_dtype"]

FORMAT = "reverie-journal-1"
CHECKSUM_BYTES = 4
HEADER_BYTES = 2**20  # of the first line, at most


def record_dtype(observation_dim: int, action_dim: int, state_dim: int = 0) -> np.dtype:
    """Return the layout of one record, little-endian and packed.

    step: counts from 1.  time: seconds since 1970.  episode: counts from 1.
    action: in [-1, 1], or a number 0, 1, … where the header says how many discrete `actions` there are.
    state, next_state: physical state and target, only for models of the dynamics.
    crc: zlib.crc32 of all bytes before it.
    """
    states = [("state", "<f8", (state_dim,)), ("next_state", "<f8", (state_dim,))] if state_dim else []
    return np.dtype(
        [
            ("step", "<u8"),
            ("time", "<f8"),
            ("episode", "<u4"),
            ("flags", "<u4"),
            ("reward", "<f8"),
            ("action", "<f4", (action_dim,)),
            ("observation", "<f4", (observation_dim,)),
            ("next_observation", "<f4", (observation_dim,)),
            *states,
            ("crc", "<u4"),
        ]
    )


class Journal:
    """An open journal.  `append` hands a record to the operating system, `sync` waits until the disk has it.

    path: the file; it is created if missing.  observation_dim, action_dim, state_dim, actions: see `Header`.
    cut_bytes: number of bytes of an incomplete record at the end.
    Raises StorageError where the file is foreign, damaged, has other sizes, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        observation_dim: int,
        action_dim: int,
        state_dim: int = 0,
        actions: int = 0,
        world: Spec | None = None,
        begun: dict[str, Any] | None = None,
    ):
        self.path = path
        self.dtype = record_dtype(observation_dim, action_dim, state_dim)
        if not exists(path):
            write_whole(path, first_line(Header(observation_dim, action_dim, state_dim, actions, world, begun)))
        start, found, self.cut_bytes = read(path)
        if found.dtype != self.dtype or read_header(path).actions != actions:
            raise StorageError(f"{path} holds records of other sizes; it belongs to another environment than this one")
        self.records = found
        self._record = np.zeros((), self.dtype)
        self._start, self._size = start, start + len(found) * self.dtype.itemsize
        self.crc = int(found[-1]["crc"]) if len(found) else None  # of the last record
        self._looked_at = self.place
        with io_errors("open", path):
            self._file = open_own(path, os.O_RDWR)
            self._closing = weakref.finalize(self, os.close, self._file)  # in case nobody calls `close`
            os.lseek(self._file, self._size, os.SEEK_SET)
            found = os.fstat(self._file)
            self._identity = found.st_dev, found.st_ino

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that was opened."""
        return self.is_at(self.path)

    def is_at(self, path: Path) -> bool:
        """Return whether `path` leads to the file that was opened."""
        return file_identity(path) == self._identity

    def was_cut(self) -> bool:
        """Return whether another program cut or overwrote the record that was the last one at the previous call.

        The file's size does not show this: records appended after a cut lie beyond a hole.
        """
        (size, crc), self._looked_at = self._looked_at, self.place
        if crc is None or not hasattr(os, "pread"):
            return False
        return os.pread(self._file, CHECKSUM_BYTES, size - CHECKSUM_BYTES) != crc.to_bytes(CHECKSUM_BYTES, "little")

    @property
    def moved_to(self) -> Path | None:
        """The present path of the opened file, as far as the system knows it; None if it was removed."""
        if not os.fstat(self._file).st_nlink:
            return None
        with contextlib.suppress(OSError):  # not Linux
            path = Path(os.readlink(f"/proc/self/fd/{self._file}"))
            if file_identity(path) == self._identity:
                return path
        return Path(f"{self.path} under another name")

    def content(self) -> bytes:
        """Return the whole content of the opened file, wherever it is now."""
        size, parts = os.fstat(self._file).st_size, []
        os.lseek(self._file, 0, os.SEEK_SET)
        while size > 0 and (part := os.read(self._file, size)):
            parts.append(part)
            size -= len(part)
        os.lseek(self._file, self._size, os.SEEK_SET)
        return b"".join(parts)

    def cut(self) -> None:
        """Cut off the incomplete record at the end, and keep it in a file beside.

        Call this once the records before it are known to be the run's.
        """
        if self.cut_bytes:
            write_whole(unused(self.path.with_name(self.path.name + ".cut")), self.content()[self._size :])
            self.go_back(self.place)
            self.sync()

    def keep(self, count: int) -> None:
        """Keep only the first `count` of the records found on opening.  Call it before `append`."""
        crc = int(self.records[count - 1]["crc"]) if count else None
        self.go_back((self._start + count * self.dtype.itemsize, crc))
        self.records = self.records[:count]

    @property
    def place(self) -> tuple[int, int | None]:
        """Where the next record goes, and the crc of the last one, for `go_back`."""
        return self._size, self.crc

    def go_back(self, place: tuple[int, int | None]) -> None:
        """Cut off everything written since the journal was at `place`, complete records or not."""
        size, crc = place
        with io_errors("write", self.path):
            os.ftruncate(self._file, size)
            os.lseek(self._file, size, os.SEEK_SET)
        self._size, self.crc = size, crc
        self._looked_at = min(self._looked_at, place, key=lambda found: found[0])

    @property
    def count(self) -> int:
        """Records in the file."""
        return (self._size - self._start) // self.dtype.itemsize

    def append(
        self,
        step: int,
        time: float,
        episode: int,
        flags: int,
        reward: float,
        action: ArrayLike,
        observation: ArrayLike,
        next_observation: ArrayLike,
        state: ArrayLike = (),
        next_state: ArrayLike = (),
    ) -> None:
        """Write one record.  On failure the file is cut back to its last whole record."""
        record = self._record
        record["step"], record["time"], record["episode"], record["flags"] = step, time, episode, flags
        record["reward"], record["action"] = reward, action
        record["observation"], record["next_observation"] = observation, next_observation
        if "state" in self.dtype.fields:  # type: ignore[operator]
            record["state"], record["next_state"] = state, next_state
        body = record.tobytes()
        crc = zlib.crc32(body[:-CHECKSUM_BYTES])
        data = body[:-CHECKSUM_BYTES] + crc.to_bytes(CHECKSUM_BYTES, "little")
        with io_errors("write", self.path):
            try:
                write_all(lambda part: os.write(self._file, part), data)
            except BaseException:
                self.go_back(self.place)
                raise
        self._size, self.crc = self._size + len(data), crc

    def sync(self) -> None:
        """Return once everything appended is on the disk and survives a power cut."""
        with io_errors("write", self.path):
            os.fsync(self._file)

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if self._file >= 0:
            try:
                self.sync()
            finally:
                self._closing()
                self._file = -1


def recovery(path: Path) -> str:
    """Return what to do about a damaged journal, or another damaged file in the directory of a run."""
    folders = path.parent, path.parent.parent
    run = next((folder for folder in folders if (folder / "config.json").exists()), folders[-1])
    return f"`reverie recover {shlex.quote(str(run))}` saves what is whole"


def read(path: Path) -> tuple[int, np.ndarray, int]:
    """Return (byte where records start, all whole records, bytes of an incomplete record after them).

    Raises StorageError for a foreign header, a damaged record before the end, or a gap in the steps.
    """
    with io_errors("read", path):
        data = read_regular(path)
    line, newline, _ = data.partition(b"\n")
    header = _header(path, line + newline)
    dtype = record_dtype(*header[:3])
    start = len(line) + 1
    count = (len(data) - start) // dtype.itemsize
    records = np.frombuffer(data, dtype, count, start)
    whole = checksums(memoryview(data)[start:], records) == records["crc"]
    good = int(np.argmin(whole)) if not whole.all() else count
    if whole[good:].any():
        raise StorageError(
            f"{path}: record {good + 1} of {count} is damaged though later ones are whole; {recovery(path)} (nothing was "
            "loaded or changed)"
        )
    if len(data[start + good * dtype.itemsize :].rstrip(b"\0")) > dtype.itemsize:
        raise StorageError(
            f"{path}: all after record {good} is damaged, and a crash tears one at most; {recovery(path)} (nothing was "
            "loaded or changed)"
        )
    records = records[:good]
    refuse_odd(path, records, header.actions)
    return start, records, len(data) - start - good * dtype.itemsize


class _FirstLine(msgspec.Struct):
    """The schema of the first line.  With these sizes a record is smaller than 2 GB, NumPy's limit."""

    format: Literal["reverie-journal-1"]
    observation_dim: Annotated[int, msgspec.Meta(ge=1, le=2**26)]
    action_dim: Annotated[int, msgspec.Meta(ge=1, le=2**24)]
    state_dim: Annotated[int, msgspec.Meta(ge=0, le=2**24)] = 0
    actions: Annotated[int, msgspec.Meta(ge=0, le=2**24)] = 0
    world: Spec | None = None
    begun: dict[str, Any] | None = None

    def __post_init__(self):
        if self.actions == 1 or (self.actions and self.action_dim != 1):
            raise ValueError(
                f"{count(self.actions, 'discrete action')} of {count(self.action_dim, 'entry', 'entries')}"
            )
        if (world := self.world) is not None:
            sizes = world.observation_dim, len(world.action_low) or 1, world.actions
            if sizes != (self.observation_dim, self.action_dim, self.actions):
                raise ValueError("its `world` has other sizes than its records")


class Header(NamedTuple):
    """Content of the first line."""

    observation_dim: int
    action_dim: int
    state_dim: int  # 0: not recorded
    actions: int  # number of discrete actions; 0: continuous
    world: Spec | None = None  # of these actions and observations; missing in older versions
    # content of config.json then, without the environment; missing in older versions
    begun: dict[str, Any] | None = None


def first_line(header: Header) -> bytes:
    """Return the first line of a journal."""
    facts: dict[str, Any] = {"format": FORMAT} | {name: value for name, value in header._asdict().items() if value}
    if header.world is not None:
        facts["world"] = msgspec.to_builtins(header.world)
    line = json.dumps(facts).encode() + b"\n"
    # Settings of a user's own agent can be of any size.  They are dropped rather than make the line too long.
    return line if len(line) <= HEADER_BYTES or header.begun is None else first_line(header._replace(begun=None))


def records_in(path: Path) -> int:
    """Return the number of records that a journal has room for, from its size alone."""
    with io_errors("read", path), opened_regular(path) as file:
        line = file.readline(HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size - len(line)
    return size // record_dtype(*_header(path, line)[:3]).itemsize


def read_header(path: Path) -> Header:
    """Return the header of a journal.  Raises StorageError where the file is not a journal."""
    with io_errors("read", path), opened_regular(path) as file:
        return _header(path, file.readline(HEADER_BYTES))


def _header(path: Path, line: bytes) -> Header:
    try:
        if not line.endswith(b"\n") or len(line) > HEADER_BYTES:
            raise ValueError("it has no end")
        found = decode(line, _FirstLine)
    except ValueError as error:
        raise StorageError(
            f"{path} is no journal of this version of reverie (its first line is damaged or foreign: {error}); "
            f"{recovery(path)}"
        ) from None
    return Header(found.observation_dim, found.action_dim, found.state_dim, found.actions, found.world, found.begun)


def checksums(data: bytes | memoryview, records: np.ndarray) -> np.ndarray:
    """Return the checksums [N] that `records` [N] should have; data: their bytes, from the first on."""
    size, payload = records.dtype.itemsize, records.dtype.itemsize - CHECKSUM_BYTES
    offsets = range(0, len(records) * size, size)
    return np.fromiter((zlib.crc32(data[o : o + payload]) for o in offsets), np.uint32, len(records))
