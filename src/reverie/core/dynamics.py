"""The contract of dynamics models, fitted and exact.  Imagination and planning use nothing else of a model.

Arrays are NumPy float64.  x is the model's state [n]: a domain's physical state, or the observation where there is
nothing else.  u is an action [m] in [-1, 1], t the step within an episode, counted from 0.
"""

import dataclasses
import inspect
from typing import Any, NamedTuple, Protocol

import numpy as np

from reverie.core.status import Status


@dataclasses.dataclass(frozen=True)
class Episode:
    """A real episode as models see it.  Episodes may differ in length T."""

    states: np.ndarray  # [T + 1, n]
    actions: np.ndarray  # [T, m], as executed
    rewards: np.ndarray  # [T]
    terminated: bool = False  # whether the last state was terminal
    # constant in the episode (a target), [c]
    context: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.actions)


class Linear(NamedTuple):
    """x' ~ N(F_t [x; u] + f_t, Σ_t): a linear-Gaussian model in absolute coordinates."""

    F: np.ndarray  # [T, n, n + m]
    f: np.ndarray  # [T, n]
    covariance: np.ndarray | None  # [T, n, n], or None if nothing is random


class Dynamics(Protocol):
    """A distribution of x' given x, u and t.  Immutable; batches [B] run side by side."""

    @property
    def horizon(self) -> int | None:
        """Number of steps t = 0 … horizon - 1 that the model covers, others being an error; None for any t."""
        ...

    def mean(self, x: np.ndarray, u: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the expected next states [B, n] for states [B, n], actions [B, m] and steps [B]."""
        ...

    def sample(self, x: np.ndarray, u: np.ndarray, t: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return next states [B, n] sampled with the model's noise."""
        ...

    def linearize(self, states: np.ndarray, actions: np.ndarray) -> Linear:
        """Return the first-order expansion about states [T + 1, n] and actions [T, m], for steps 0 … T - 1."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays that determine the model, for a checkpoint; `Model.restore` reads them."""
        ...


class FitResult(NamedTuple):
    """Result of a fit; dynamics is None where the fit is unusable."""

    dynamics: Any  # Dynamics | None
    status: Status


class Model(Protocol):
    """Settings of a kind of dynamics model: a frozen dataclass."""

    name: str

    @property
    def episodes(self) -> int:
        """Number of real episodes per fit (n of Gu et al. 2016)."""
        ...

    def fit(self, batch: list[Episode], history: list[Episode], previous: Dynamics | None, seed: int) -> FitResult:
        """Return dynamics fitted to `batch`.

        batch: the newest episodes.  history: the last episodes, including `batch`, for a prior.
        previous: the dynamics of the last fit, or None.  The same arguments give the same result to the bit.
        """
        ...

    def restore(self, arrays: dict[str, np.ndarray]) -> Dynamics | None:
        """Return the dynamics from their `arrays`; None where the model has none (`Recent`)."""
        ...


def missing(settings: Any) -> str:
    """Return the first member of `Model` that settings lack, as one would write it; "" where they are a model's."""
    for name in (*inspect.get_annotations(Model), *vars(Model)):
        if name.startswith("_") or hasattr(settings, name):
            continue
        member = getattr(Model, name, None)
        if not inspect.isfunction(member):
            return f"`{name}`"
        _, *parameters = inspect.signature(member).parameters.values()
        return f"method `{name}({', '.join(str(each.replace(annotation=each.empty)) for each in parameters)})`"
    return ""
