"""The journal: every real transition, appended as it happens, with checksums.  All else in a run follows from it.

`journal_format` describes the file.  An incomplete record at its end is cut when the run is opened, kept in a file
beside the journal, and reported.  Zeros after it are cut as well.
"""

import contextlib
import os
import weakref
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reverie.core.errors import StorageError
from reverie.storage.experience import ENDS, SOURCES, TERMINATED, TRUNCATED, source_of
from reverie.storage.files import file_identity, io_errors, open_own, write_all, write_whole
from reverie.storage.journal_format import CHECKSUM_BYTES, Header, first_line, read, read_header, record_dtype
from reverie.storage.reading import exists
from reverie.storage.run import unused
from reverie.storage.spec import Spec

__all__ = [
    "SOURCES",
    "TERMINATED",
    "TRUNCATED",
    "Header",
    "Journal",
    "read",
    "read_header",
    "record_dtype",
    "source_of",
]


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
        spec: Spec | None = None,
        begun: dict[str, Any] | None = None,
    ):
        self.path, header = path, Header(observation_dim, action_dim, state_dim, actions, spec, begun)
        if not exists(path):
            write_whole(path, first_line(header))
        start, found, self.cut_bytes = read(path)
        held = read_header(path)
        if held[:4] != header[:4]:
            raise StorageError(f"{path} holds records of other sizes; it belongs to another environment")
        self.dtype = held.dtype
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
        asked: ArrayLike | None = None,
        policy: int = 0,
    ) -> None:
        """Write one record.  On failure the file is cut back to its last whole record.

        asked: the action that was asked for; None: `action`.  A journal of version 1 has no place for it, nor for
        `policy` and the source in `flags`: they are left out.
        """
        record = self._record
        record["step"], record["time"], record["episode"], record["flags"] = step, time, episode, flags
        record["reward"], record["action"] = reward, action
        record["observation"], record["next_observation"] = observation, next_observation
        if "asked" in self.dtype.fields:  # type: ignore[operator]
            record["asked"], record["policy"] = action if asked is None else asked, policy
        else:
            record["flags"] = flags & ENDS
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
