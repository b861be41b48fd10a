"""What a learner and its collectors send each other: JSON for facts, a fixed binary layout for numbers, never pickle.

A learner sends one `Setup`, then `Request`s.  A collector answers the setup with `Ready`, and each request with one
`Chunk` of the same number; `Failed` says that it cannot go on.  Requests of a collector are numbered from 1, so that no
chunk counts twice and none is missed.
"""

import struct
from typing import IO, Annotated, Any, NamedTuple

import msgspec
import numpy as np

from reverie.core import words
from reverie.core.errors import StorageError
from reverie.storage.config import WrittenLimits
from reverie.storage.reading import decode
from reverie.storage.spec import Spec

PROTOCOL = 1  # changes with any layout here
KINDS = {"setup": 1, "request": 2, "ready": 3, "chunk": 4, "failed": 5}
NAMES = {number: name for name, number in KINDS.items()}
_HEAD = struct.Struct("<2sBBI")  # mark, protocol, kind, bytes that follow
_MARK = b"rv"
_REQUEST = struct.Struct("<QIIQ")  # number, steps, random, version
_CHUNK = struct.Struct("<QI")  # number, steps

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class Setup(msgspec.Struct):
    """What a collector needs to begin."""

    protocol: int
    reverie: str  # version
    env: str  # a domain, a Gymnasium id or "package.module:callable"
    path: list[str]  # where the learner looks for modules
    seed: list[Count]  # decides its noise and the starts of its episodes
    acting: dict[str, Any]  # `acting_program.described`
    limits: WrittenLimits | None = None  # of the machine


class Ready(msgspec.Struct):
    """A collector has made its environment."""

    protocol: int
    reverie: str
    host: str
    process: Count
    spec: Spec


class Failed(msgspec.Struct):
    """A collector cannot go on.  kind: the class of the error in `core.errors`."""

    kind: str
    text: str


class Request(NamedTuple):
    """Take some steps."""

    number: int  # from 1
    steps: int  # to take, at most
    random: int  # so many of them first with uniformly random actions
    version: int  # updates of the newest policy
    weights: bytes = b""  # its leaves side by side; b"" where the collector has them

    def to_bytes(self) -> bytes:
        """Return the request as it is sent."""
        return _REQUEST.pack(*self[:4]) + self.weights

    @classmethod
    def of(cls, data: bytes) -> "Request":
        """Return the request in `data`.  Raises ValueError where it is too short."""
        if len(data) < _REQUEST.size:
            raise ValueError(f"a request of {words.count(len(data), 'byte')}")
        number, steps, random, version = _REQUEST.unpack_from(data)
        return cls(number, steps, random, version, data[_REQUEST.size :])


class Chunk(NamedTuple):
    """The steps that a request led to."""

    number: int  # of the request
    steps: np.ndarray  # [count], of `step_dtype`

    def to_bytes(self) -> bytes:
        """Return the chunk as it is sent."""
        return _CHUNK.pack(self.number, len(self.steps)) + self.steps.tobytes()

    @classmethod
    def of(cls, data: bytes, dtype: np.dtype) -> "Chunk":
        """Return the chunk in `data`.  Raises ValueError where its size does not fit."""
        if len(data) < _CHUNK.size:
            raise ValueError(f"a chunk of {words.count(len(data), 'byte')}")
        number, count = _CHUNK.unpack_from(data)
        if len(data) != _CHUNK.size + count * dtype.itemsize:
            raise ValueError(f"a chunk of {words.count(count, 'step')} in {words.count(len(data), 'byte')}")
        return cls(number, np.frombuffer(data, dtype, count, _CHUNK.size))


def step_dtype(observation_dim: int, action_dim: int) -> np.dtype:
    """Return the layout of one step in a chunk, little-endian and packed.

    episode: counts from 1 in one collector process.  policy: updates of the policy that acted.
    The other fields are those of a journal's record.
    """
    return np.dtype(
        [
            ("episode", "<u4"),
            ("flags", "<u4"),
            ("policy", "<u8"),
            ("time", "<f8"),
            ("reward", "<f8"),
            ("action", "<f4", (action_dim,)),
            ("asked", "<f4", (action_dim,)),
            ("observation", "<f4", (observation_dim,)),
            ("next_observation", "<f4", (observation_dim,)),
        ]
    )


def frame(kind: str, content: bytes) -> bytes:
    """Return a message with its head."""
    return _HEAD.pack(_MARK, PROTOCOL, KINDS[kind], len(content)) + content


def read_frame(file: IO[bytes]) -> tuple[str, bytes] | None:
    """Return (kind, content) of the next message, or None where the stream ends, in a message or before one.

    Raises StorageError for bytes that are no message of this protocol.
    """
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, protocol, kind, size = _HEAD.unpack(head)
    if mark != _MARK or protocol != PROTOCOL or kind not in NAMES:
        raise StorageError(f"protocol {protocol}, not {PROTOCOL}" if mark == _MARK else "foreign bytes")
    content = file.read(size)
    return None if len(content) < size else (NAMES[kind], content)


def json_of(value: Any) -> bytes:
    """Return a `Setup`, `Ready` or `Failed` as JSON."""
    return msgspec.json.encode(value)


def setup_of(data: bytes) -> Setup:
    """Return the setup in `data`.  Raises ValueError where it is none."""
    return decode(data, Setup)


def ready_of(data: bytes) -> Ready:
    """Return the `Ready` in `data`.  Raises ValueError where it is none."""
    return decode(data, Ready)


def failed_of(data: bytes) -> Failed:
    """Return the `Failed` in `data`.  Raises ValueError where it is none."""
    return decode(data, Failed)
