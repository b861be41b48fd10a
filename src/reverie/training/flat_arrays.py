"""Pytrees as one flat array, so that a policy is read back from the device in one piece."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def flat(*trees: Any) -> jax.Array:
    """Return all arrays of some pytrees, concatenated."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(trees)])


def splitter(like: Any, skip: int) -> Callable[[np.ndarray], Any]:
    """Return a function that splits a flat array into views shaped as the pytree `like`, after `skip` numbers."""
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([skip] + [int(np.prod(leaf.shape)) for leaf in leaves]).tolist()
    cuts = [(slice(a, b), leaf.shape) for a, b, leaf in zip(ends[:-1], ends[1:], leaves, strict=True)]

    def split(flat: np.ndarray) -> Any:
        return jax.tree.unflatten(structure, [flat[part].reshape(shape) for part, shape in cuts])

    return split
