"""Checks that numbers are finite before they are saved or acted on."""

from typing import Any

import jax
import numpy as np

from reverie.core.agent import DataRequirements
from reverie.core.errors import DivergedError
from reverie.core.finite import all_finite
from reverie.core.types import Array
from reverie.training.advice import for_observations

FINITE = float(np.finfo(np.float32).max)


def within(tree: Any, most: float = FINITE) -> bool:
    """Return whether every float of a pytree of arrays is finite and at most `most` in size."""
    arrays = (np.asarray(leaf) for leaf in jax.tree.leaves(tree))
    return all(bool(np.abs(a).max() <= most) for a in arrays if a.size and np.issubdtype(a.dtype, np.floating))


def finite_actions(actions: Array, name: str, step: int, requirements: DataRequirements) -> np.ndarray:
    """Return a policy's actions, or raise DivergedError where one is NaN: clipping would hide it."""
    found = np.asarray(actions)
    if not all_finite(found):
        raise DivergedError(
            f"{name}: the policy's action after step {step} is not finite; is the observation far "
            f"larger than any before?  Scale it, or {for_observations(requirements)}"
        )
    return found
