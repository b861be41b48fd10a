"""What imagination and planning know of an environment beyond its sizes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any  # NumPy's, or also JAX's where a function is written for both


class KnownDynamics(NamedTuple):
    """An environment's state and the known functions of it.  What is None has to be fitted from experience.

    x: state [..., n]; u: action [..., m] in [-1, 1]; c: context [..., k], constant in an episode (a target).
    """

    state_dim: int
    context_dim: int
    observe: Callable[[Array, Array], Array]  # (x, c) -> observation
    reward: Callable[..., Array] | None = None  # (x, u, x', c) -> reward [...]
    terminated: Callable[[Array], Array] | None = None  # x -> whether it is terminal [...]
    step: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None  # exact x' for one x [n] and u [m]
    derivatives: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None  # (x, u) -> ∂x'/∂x, ∂x'/∂u
    domain: Any = None  # the domain with these formulas, for planners that differentiate them

    @classmethod
    def of_observations(cls, observation_dim: int) -> "KnownDynamics":
        """Return what is known of an environment that shows only its observations: they are its state."""
        return cls(observation_dim, 0, lambda x, c: x)
