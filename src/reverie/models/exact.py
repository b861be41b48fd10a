"""The true dynamics of an environment, for imagination and planning without model error."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from reverie.core.dynamics import Episode, FitResult, Linear
from reverie.core.errors import ConfigError
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.setting_docs import document_settings
from reverie.core.status import Status

StepFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]  # x [n], u [m] -> x' [n]
Derivatives = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # -> A [n, n], B [n, m]


class ExactDynamics:
    """Dynamics given by a step function, without noise and the same at all times.

    step: x [n], u [m] -> x' [n].  derivatives: x, u -> A = ∂x'/∂x [n, n], B = ∂x'/∂u [n, m]; None: not known.
    """

    horizon = None

    def __init__(self, step: StepFunction, derivatives: Derivatives | None = None):
        self.step, self.derivatives = step, derivatives

    def mean(self, x: np.ndarray, u: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the next states [B, n].  x: [B, n].  u: [B, m].  t: not used. Rows are computed one by one."""
        del t
        return np.array([self.step(*row) for row in zip(x, u, strict=True)]).reshape(x.shape)

    def sample(self, x: np.ndarray, u: np.ndarray, t: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the next states [B, n], as `mean` does: there is no noise."""
        del generator
        return self.mean(x, u, t)

    def linearize(self, states: np.ndarray, actions: np.ndarray) -> Linear:
        """Return the dynamics to first order about states [T + 1, n] and actions [T, m].

        Raises ConfigError where there are no derivatives.
        """
        if self.derivatives is None:
            raise ConfigError("these dynamics have no derivatives; give Exact a function `derivatives`")
        n = states.shape[1]
        F = np.array([np.hstack(self.derivatives(*row)) for row in zip(states, actions, strict=False)])
        y = np.concatenate([states[: len(actions)], actions], axis=1)
        f = self.mean(states[: len(actions)], actions, np.arange(len(actions))) - (F @ y[:, :, None])[:, :, 0]
        return Linear(F, f, np.zeros((len(actions), n, n)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return an empty dict: there is nothing to save."""
        return {}


@document_settings
@dataclasses.dataclass(frozen=True, kw_only=True)
class Exact:
    """The true dynamics: those of an environment that shows its physics (`bind`), or a function that is given."""

    step: StepFunction | None = None
    """Function x [n], u [m] -> x' [n] that computes a step. Left out: the environment's own physics."""
    derivatives: Derivatives | None = None
    """Function x, u -> A = ∂x'/∂x [n, n], B = ∂x'/∂u [n, m]. Planners need it. Left out: the environment's own."""

    name = "exact"
    episodes = 1

    def bind(self, task: KnownDynamics) -> "Exact":
        """Return these settings with the physics of `task`, unless they have a step function already.

        Raises ConfigError where the task shows no physics.
        """
        if self.step is not None:
            return self
        if task.step is None:
            raise ConfigError(
                "this environment shows no physics; use a fitted model (rv.LinearGaussian, --imagine linear)"
            )
        return self.replace(step=task.step, derivatives=task.derivatives)

    def fit(self, batch: list[Episode], history: list[Episode], previous: Any = None, seed: int = 0) -> FitResult:
        """Return the true dynamics. Nothing is fitted, and the arguments are not used."""
        del batch, history, previous, seed
        return FitResult(self.restore({}), Status.DONE)

    def restore(self, arrays: dict[str, np.ndarray]) -> ExactDynamics:
        """Return the true dynamics.  Raises ConfigError where no step function is known."""
        del arrays
        if self.step is None:
            raise ConfigError("Exact knows no dynamics yet; bind it to a task, or give it a step function")
        return ExactDynamics(self.step, self.derivatives)

    def replace(self, **changes: Any) -> "Exact":
        """Return these settings with changes."""
        return dataclasses.replace(self, **changes)
