"""The true dynamics of an environment, for imagination and planning without model error."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from reverie.core.dynamics import Episode, FitResult, Linear
from reverie.core.errors import ConfigError
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.setting_docs import document_settings
from reverie.core.setting_names import KnownNames
from reverie.core.status import Status

StepFunction: TypeAlias = Callable[[Float[np.ndarray, "n"], Float[np.ndarray, "m"]], Float[np.ndarray, "n"]]
"""x, u -> x'."""
Derivatives: TypeAlias = Callable[
    [Float[np.ndarray, "n"], Float[np.ndarray, "m"]], tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n m"]]
]
"""x, u -> A = ∂x'/∂x, B = ∂x'/∂u."""


class ExactDynamics:
    """Dynamics given by a step function, without noise and the same at all times.

    derivatives: None: not known.
    """

    horizon = None

    def __init__(self, step: StepFunction, derivatives: Derivatives | None = None):
        self.step, self.derivatives = step, derivatives

    def mean(
        self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"], t: Int[np.ndarray, "B"]
    ) -> Float[np.ndarray, "B n"]:
        """Return the next states.  t: not used. Rows are computed one by one."""
        del t
        return np.array([self.step(*row) for row in zip(x, u, strict=True)]).reshape(x.shape)

    def sample(
        self,
        x: Float[np.ndarray, "B n"],
        u: Float[np.ndarray, "B m"],
        t: Int[np.ndarray, "B"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "B n"]:
        """Return the next states, as `mean` does: there is no noise."""
        del generator
        return self.mean(x, u, t)

    def linearize(self, states: Float[np.ndarray, "T+1 n"], actions: Float[np.ndarray, "T m"]) -> Linear:
        """Return the dynamics to first order about states and actions.

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
class Exact(KnownNames):
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

    def fit(self, batch: list[Episode], history: list[Episode], previous: object = None, seed: int = 0) -> FitResult:
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
