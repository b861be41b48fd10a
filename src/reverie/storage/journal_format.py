r"""The format of a journal, and reading it.

The file is one line of JSON (format, sizes) followed by records of fixed size, so that NumPy reads it in two lines:

    header, _, body = pathlib.Path(path).read_bytes().partition(b"\n")
    records = numpy.frombuffer(body, reverie.storage.journal.record_dtype(observation_dim, action_dim, state_dim))

The sizes are in the header; a missing state_dim is 0.  Where its format is reverie-journal-1, `record_dtype` needs
version=1: those records have neither `asked` nor `policy`.

A crash may leave an incomplete record at the end, and some file systems leave zeros after a power cut.  `read` returns
what is before.  Damage anywhere else raises an error that names the file and the record: a journal is never loaded in
part.  (`salvage` recovers the whole records.)
"""

import json
import os
import shlex
import zlib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from reverie.core.errors import StorageError
from reverie.core.words import count
from reverie.storage.experience import refuse_odd
from reverie.storage.files import io_errors, opened_regular, read_regular
from reverie.storage.reading import decode
from reverie.storage.spec import Spec

VERSION = 2  # of new journals
CHECKSUM_BYTES = 4
HEADER_BYTES = 2**20  # of the first line, at most


def record_dtype(observation_dim: int, action_dim: int, state_dim: int = 0, version: int = VERSION) -> np.dtype:
    """Return the layout of one record, little-endian and packed.

    step: counts from 1.  time: seconds since 1970.  episode: counts from 1.  flags: see `experience`.
    action: the executed one, in [-1, 1], or a number 0, 1, … where the header says how many discrete `actions` there
        are.  asked: the one that was asked for, in the same units.
    policy: number of updates that the policy had when it acted.
    state, next_state: physical state and target, only for models of the dynamics.
    crc: zlib.crc32 of all bytes before it.
    """
    asked = [("asked", "<f4", (action_dim,)), ("policy", "<u8")] if version > 1 else []
    states = [("state", "<f8", (state_dim,)), ("next_state", "<f8", (state_dim,))] if state_dim else []
    return np.dtype(
        [
            ("step", "<u8"),
            ("time", "<f8"),
            ("episode", "<u4"),
            ("flags", "<u4"),
            ("reward", "<f8"),
            ("action", "<f4", (action_dim,)),
            *asked,
            ("observation", "<f4", (observation_dim,)),
            ("next_observation", "<f4", (observation_dim,)),
            *states,
            ("crc", "<u4"),
        ]
    )


class _FirstLine(msgspec.Struct):
    """The schema of the first line.  With these sizes a record is smaller than 2 GB, NumPy's limit."""

    format: Literal["reverie-journal-1", "reverie-journal-2"]
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
        if (spec := self.world) is not None:
            sizes = spec.observation_dim, len(spec.action_low) or 1, spec.actions
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
    version: int = VERSION  # of the format

    @property
    def dtype(self) -> np.dtype:
        """The layout of a record."""
        return record_dtype(self.observation_dim, self.action_dim, self.state_dim, self.version)


def first_line(header: Header) -> bytes:
    """Return the first line of a journal."""
    given = {name: value for name, value in header._asdict().items() if value and name != "version"}
    facts: dict[str, Any] = {"format": f"reverie-journal-{header.version}"} | given
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
    return size // _header(path, line).dtype.itemsize


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
            f"{path} is not a journal of this version of reverie (its first line is damaged or foreign: {error}); "
            f"{recovery(path)}"
        ) from None
    sizes = found.observation_dim, found.action_dim, found.state_dim, found.actions
    return Header(*sizes, found.world, found.begun, int(found.format[-1]))


def checksums(data: bytes | memoryview, records: np.ndarray) -> np.ndarray:
    """Return the checksums [N] that `records` [N] should have; data: their bytes, from the first on."""
    size, payload = records.dtype.itemsize, records.dtype.itemsize - CHECKSUM_BYTES
    offsets = range(0, len(records) * size, size)
    return np.fromiter((zlib.crc32(data[o : o + payload]) for o in offsets), np.uint32, len(records))


def read(path: Path) -> tuple[int, np.ndarray, int]:
    """Return (byte where records start, all whole records, bytes of an incomplete record after them).

    Raises StorageError for a foreign header, a damaged record before the end, or a gap in the steps.
    """
    with io_errors("read", path):
        data = read_regular(path)
    line, newline, _ = data.partition(b"\n")
    header = _header(path, line + newline)
    dtype = header.dtype
    start = len(line) + 1
    count = (len(data) - start) // dtype.itemsize
    records = np.frombuffer(data, dtype, count, start)
    whole = checksums(memoryview(data)[start:], records) == records["crc"]
    good = int(np.argmin(whole)) if not whole.all() else count
    if whole[good:].any():
        raise StorageError(
            f"{path}: record {good + 1} of {count} is damaged, but later ones are intact; {recovery(path)} (nothing was "
            "loaded or changed)"
        )
    if len(data[start + good * dtype.itemsize :].rstrip(b"\0")) > dtype.itemsize:
        raise StorageError(
            f"{path}: everything after record {good} is damaged, and a crash damages one at most; {recovery(path)} (nothing "
            "was loaded or changed)"
        )
    records = records[:good]
    refuse_odd(path, records, header.actions)
    return start, records, len(data) - start - good * dtype.itemsize


def recovery(path: Path) -> str:
    """Return what to do about a damaged journal, or another damaged file in the directory of a run."""
    folders = path.parent, path.parent.parent
    run = next((folder for folder in folders if (folder / "config.json").exists()), folders[-1])
    return f"`reverie recover {shlex.quote(str(run))}` saves what is intact"
