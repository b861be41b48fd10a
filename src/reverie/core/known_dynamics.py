"""What imagination and planning may know of a world beyond its sizes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any  # NumPy's; where a function is written for both kinds, JAX's too


class KnownDynamics(NamedTuple):
    """A world's state and the functions of it that are known; what is None has to be fitted from experience.

    x: state [..., n]; u: action [..., m] in [-1, 1]; c: context [..., k], constant within an episode (a target).
    """

    state_dim: int
    context_dim: int
    observe: Callable[[Array, Array], Array]  # (x, c) -> observation
    reward: Callable[..., Array] | None = None  # (x, u, x', c) -> reward [...]
    terminated: Callable[[Array], Array] | None = None  # x -> whether it is a death [...]
    step: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None  # exact x' of one x [n] and u [m]
    derivatives: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None  # (x, u) -> ∂x'/∂x, ∂x'/∂u
    domain: Any = None  # whose formulas these are, for planners that differentiate them

    @classmethod
    def of_observations(cls, observation_dim: int) -> "KnownDynamics":
        """Return what is known of a world that shows its observations and nothing else: they are its state."""
        return cls(observation_dim, 0, lambda x, c: x)
