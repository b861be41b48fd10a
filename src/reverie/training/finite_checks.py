"""Checks that numbers are finite before they are saved or acted on."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from reverie.core.agent import DataRequirements
from reverie.core.errors import DivergedError
from reverie.core.finite import all_finite
from reverie.core.types import Array
from reverie.training.advice import for_observations

FINITE = float(np.finfo(np.float32).max)
LARGE_METRIC = 1e15  # a loss above this means that the state must be checked
MOST = 1e20  # in the state: Adam needs as long as a run to forget a second moment above it


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


def fault_of(names: Sequence[str], newest: np.ndarray, suspect: bool, state: Callable[[], Any]) -> str | None:
    """Return what is wrong with a state after an update, or None.

    newest: metrics, called `names`, then the policy's weights.  suspect: check the whole state, which state() returns,
    also where the metrics are not large.
    """
    values, policy = newest[: len(names)], newest[len(names) :]
    finite = np.isfinite(values)
    if not finite.all():
        return f"{names[int(np.argmin(finite))]} is not finite"
    with np.errstate(all="ignore"):
        squares = np.dot(policy, policy)
    if not np.isfinite(squares):
        return "a weight of the policy is not finite, or near it"
    if (suspect or np.abs(values).max() > LARGE_METRIC) and not within(state(), MOST):
        return "a number of the optimiser is not finite, or near it"
    return None
