"""The one contract of dynamics models, fitted and exact: everything that imagines or plans sees no more than this.

Arrays are NumPy's, float64; x is the model's state [n] (a domain's physical state, or the observation where that is all
there is), u an action [m] in [-1, 1], t the step within an episode, counted from 0.
"""

import dataclasses
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from reverie.core.status import Status


@dataclasses.dataclass(frozen=True)
class Episode:
    """A real episode as models see it; episodes may differ in length T."""

    states: np.ndarray  # [T + 1, n]
    actions: np.ndarray  # [T, m], as executed
    rewards: np.ndarray  # [T]
    terminated: bool = False  # whether the last state was a death
    context: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))  # constant within it (a target), [c]

    def __len__(self) -> int:
        return len(self.actions)


class Linear(NamedTuple):
    """x' ~ N(F_t [x; u] + f_t, Σ_t): a linear-Gaussian model in absolute coordinates."""

    F: np.ndarray  # [T, n, n + m]
    f: np.ndarray  # [T, n]
    covariance: Any  # [T, n, n], or None where nothing is random


class Dynamics(Protocol):
    """What is known of x' given x, u and t.  Immutable; batches [B] run side by side."""

    @property
    def horizon(self) -> int | None:
        """Steps t = 0 … horizon - 1 that it knows of (beyond is an error); None where time does not matter."""
        ...

    def mean(self, x: np.ndarray, u: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the expected next states [B, n] of states [B, n], actions [B, m], steps [B]."""
        ...

    def sample(self, x: np.ndarray, u: np.ndarray, t: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return next states [B, n] drawn with the model's noise."""
        ...

    def linearize(self, states: np.ndarray, actions: np.ndarray) -> Linear:
        """Return the model to first order about states [T + 1, n] and actions [T, m], steps 0 … T - 1."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that decides it, for a checkpoint; `Model.restore` takes it back."""
        ...


class FitResult(NamedTuple):
    """What a fit came to; dynamics is None where there is nothing that could be used."""

    dynamics: Any  # Dynamics | None
    status: Status


class Model(Protocol):
    """Settings of a kind of dynamics model: a frozen dataclass."""

    name: str

    @property
    def episodes(self) -> int:
        """Real episodes to a fit (n of Gu et al. 2016)."""
        ...

    def fit(self, batch: list[Episode], history: list[Episode], previous: Any, seed: int) -> FitResult:
        """Return dynamics fitted to `batch`, with `history` (the last episodes, batch included) for a prior.

        previous: the dynamics of the last fit or None.  The same arguments give the same result to the bit.
        """
        ...

    def restore(self, arrays: dict[str, np.ndarray]) -> Any:
        """Return the dynamics whose `arrays` these are."""
        ...

    def replace(self, **changes: Any) -> Self:
        """Return settings with changes."""
        ...
