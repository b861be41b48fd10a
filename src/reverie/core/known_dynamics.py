"""What imagination and planning know of an environment beyond its sizes."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from reverie.core.types import Array


class RewardFormula(Protocol):
    """The reward of steps."""

    def __call__(self, x: Array, u: Array, x_next: Array, c: Array, /) -> Array:
        """Return the rewards [...] of actions [..., m] that lead from states x to x' [..., n], in contexts [..., k]."""
        ...


class Derivatives(Protocol):
    """Derivatives of exact physics."""

    def __call__(self, x: np.ndarray, u: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
        """Return ∂x'/∂x [n, n] and ∂x'/∂u [n, m] at one state [n] and action [m]."""
        ...


class KnownDynamics(NamedTuple):
    """An environment's state and the known functions of it.  What is None has to be fitted from experience.

    x: state [..., n]; u: action [..., m] in [-1, 1]; c: context [..., k], constant in an episode (a target).
    """

    state_dim: int
    context_dim: int
    observe: Callable[[Array, Array], Array]  # (x, c) -> observation
    reward: RewardFormula | None = None
    terminated: Callable[[Array], Array] | None = None  # x -> whether it is terminal [...]
    step: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None  # exact x' for one x [n] and u [m]
    derivatives: Derivatives | None = None
    domain: Any = None  # the `Domain` with these formulas, for planners that differentiate them

    @classmethod
    def of_observations(cls, observation_dim: int) -> "KnownDynamics":
        """Return what is known of an environment that shows only its observations: they are its state."""
        return cls(observation_dim, 0, lambda x, c: x)
