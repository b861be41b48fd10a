"""Checkpoints: named arrays behind a JSON header (the safetensors format), checksummed, never pickle."""

import json
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from reverie.core.errors import StorageError
from reverie.storage.files import read_regular, told, write_whole

FORMAT = "reverie-checkpoint-4"


def save(path: Path, tree: Any, facts: dict[str, Any]) -> None:
    """Write a pytree of arrays and JSON-able `facts` to `path`, whole or not at all."""
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in _named(tree).items()}
    text = json.dumps(facts, sort_keys=True)
    header = {"format": FORMAT, "facts": text, "crc": str(_checksum(text, arrays))}
    write_whole(path, safetensors.numpy.save(arrays, header))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (arrays by name, facts) of a checkpoint.  Raises StorageError where the file is damaged or foreign."""
    with told("read", path):
        data = read_regular(path)
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])["__metadata__"]
        arrays = safetensors.numpy.load(data)
        foreign = header["format"] != FORMAT
        damaged = header["crc"] != str(_checksum(header["facts"], arrays))
    except Exception as error:  # whatever a parser says of bytes that are not ours
        raise StorageError(
            f"{path} is damaged or no checkpoint ({type(error).__name__}); delete it to go on from the journal"
        ) from error
    if foreign:
        raise StorageError(f"{path} is of another version ({header['format']}); this one reads {FORMAT}")
    if damaged:
        raise StorageError(f"{path} is damaged (checksum); delete it to go on from the journal")
    return arrays, json.loads(header["facts"])


def load(path: Path, like: Any, free: str | None = None) -> tuple[Any, dict[str, Any]]:
    """Return (tree, facts) of a checkpoint whose tree has the structure, shapes and dtypes of `like`.

    free: arrays whose path starts with it may be there in any number and shape; they join the tree, a dict, by their path.
    Raises StorageError where the file is damaged, foreign, or of another agent; nothing is returned by halves.
    """
    arrays, facts = read(path)
    wanted = _named(like)
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
    tree = jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])
    return (tree | beside if beside else tree), facts


def _named(tree: Any) -> dict[str, Any]:
    """Return leaves by their path, such as `params/mean/0/w`, in tree order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(np.asarray(arrays[name], order="C").tobytes(), total)
    return total
