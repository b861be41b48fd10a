"""Checkpoints: named arrays after a JSON header (the safetensors format), with a checksum and without pickle."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import msgspec
import numpy as np
import safetensors.numpy

from reverie.core.errors import StorageError
from reverie.storage.files import write_whole
from reverie.storage.reading import convert, decode, exists, loose, read_whole, short_text

T = TypeVar("T")

FORMAT = "reverie-checkpoint-4"
REMEDY = "delete it to continue from the journal, or use `reverie recover`"
INFINITE = ("dreams/low", "dreams/high")  # bounds of the states seen, infinite before the first step

RENAMED = {"state/rewards": "state/bounds"}  # arrays of older checkpoints: NAF's, which is replaced before each update


class _Header(msgspec.Struct):
    """The part of safetensors' header that we use."""

    metadata: dict[str, str] = msgspec.field(name="__metadata__")


class DamagedError(StorageError):
    """A file whose bytes have changed since they were written.  The previous checkpoint may still be good.

    A file that somebody wrote anew is not damaged in this sense.
    """


def save(path: Path, tree: Any, facts: dict[str, Any]) -> None:
    """Write a pytree of arrays and JSON-able `facts` to `path`, completely or not at all."""
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in _named(tree).items()}
    text = json.dumps(facts, sort_keys=True)
    header = {"format": FORMAT, "facts": text, "crc": str(_checksum(text, arrays))}
    write_whole(path, safetensors.numpy.save(arrays, header))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (arrays by name, facts) of a checkpoint.  Raises StorageError where it is damaged or foreign."""
    data = read_whole(path)
    try:
        length = int.from_bytes(data[:8], "little")  # a length beyond the file makes the parsers below fail
        header = decode(data[8 : 8 + length], _Header).metadata
        foreign = header["format"] != FORMAT
        arrays = {} if foreign else safetensors.numpy.load(data)
        damaged = not foreign and header["crc"] != str(_checksum(header["facts"], arrays))
    except Exception as error:  # parsers may raise anything for foreign bytes
        raise DamagedError(f"{path} is damaged, or is not a checkpoint ({short_text(error)}); {REMEDY}") from error
    if foreign:
        raise StorageError(f"{path} has format {header['format']}; this version of reverie reads {FORMAT}")
    if damaged:
        raise DamagedError(f"{path} is damaged (checksum); {REMEDY}")
    try:
        facts = loose(header["facts"])
        if not isinstance(facts, dict):
            raise ValueError("its facts are not an object")
    except ValueError as error:
        raise DamagedError(f"{path} is damaged ({error}); {REMEDY}") from None
    return arrays, facts


def newest_good(latest: Path, previous: Path, load: Callable[[Path], T]) -> tuple[T, DamagedError | None] | None:
    """Return (result of `load`, None) for the latest checkpoint, or (result, damage) for the previous one.

    The previous one is used where the latest is damaged or missing; damage is None where it is missing.
    Returns None where neither exists.  Raises what `load` raises.
    """
    damage = None
    if exists(latest):
        try:
            return load(latest), None
        except DamagedError as error:
            if not exists(previous):
                raise
            damage = error
    return (load(previous), damage) if exists(previous) else None


def load(path: Path, like: Any, free: str | None = None, kind: type | None = None) -> tuple[Any, dict[str, Any]]:
    """Return (tree, facts) of a checkpoint whose tree has the structure, shapes and dtypes of `like`.

    free: arrays whose path starts with it may have any number and shape; they join the tree, a dict, by their path.
    kind: the schema of the facts.
    Raises StorageError where the file is damaged, foreign, of another agent, or holds what no learner writes.
    """
    arrays, facts = read(path)
    if kind is not None:
        try:
            convert(facts, kind)
        except ValueError as error:
            raise StorageError(f"{path} holds invalid facts ({error}); {REMEDY}") from None
    wanted = _named(like)
    for older, name in RENAMED.items():
        if older in arrays and older not in wanted and name in wanted:
            arrays[name] = arrays.pop(older)
    for name, leaf in wanted.items():
        found = arrays.get(name)
        if found is None or found.shape != np.shape(leaf) or found.dtype != leaf.dtype:
            shape = "missing" if found is None else f"{found.dtype}{list(found.shape)}"
            raise StorageError(
                f"{path}: {name} is {shape}, this agent has {leaf.dtype}{list(np.shape(leaf))}: another agent wrote it"
            )
    beside = {name: arrays[name] for name in arrays if free is not None and name.startswith(free)}
    if extra := sorted(set(arrays) - set(wanted) - set(beside)):
        raise StorageError(f"{path} holds {extra[0]}, which this agent does not have: another agent wrote it")
    for name, values in (arrays if kind is not None else {}).items():
        if values.dtype.kind not in "fiub" or not (np.isfinite(values).all() or name in INFINITE):
            raise StorageError(f"{path}: {name} holds a number that is not finite; {REMEDY}")
    tree = jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])
    return (tree | beside if beside else tree), facts


def _named(tree: Any) -> dict[str, Any]:
    """Return leaves by path, such as `params/mean/0/w`, in tree order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(np.asarray(arrays[name], order="C").tobytes(), total)
    return total
