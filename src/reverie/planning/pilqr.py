"""PILQR on real episodes: a `Method` of `planning/fitted.py`.

The order of a step is that of the authors' code (cbfinn/gps): costs and their residuals; new bounds, from the second
fit on; stage 1; stage 2.
"""

import numpy as np

from reverie.control import kl_step, lqr, pilqr_step
from reverie.control.controller import Controller
from reverie.control.kl_step_per_time import start_of
from reverie.control.lqr import QuadraticCost
from reverie.control.pilqr_step import PILQR, Explained, Sampled, Update
from reverie.core.dynamics import Dynamics, Episode, FitResult, Linear
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.types import Array
from reverie.maths.precision import double
from reverie.planning.costs import quadratic_cost
from reverie.planning.fitted import ControllerUpdate

_expected_cost, _moments, _divergence = double(lqr.expected_cost), double(lqr.moments), double(kl_step.divergence)


class Pilqr:
    """The state between fits: the controller, the multipliers of the bounds, and stage 1's η.

    task: known dynamics of the domain.  action_dim: m.  settings: those of PILQR.
    All episodes of a batch are cut to the length of the shortest.
    """

    def __init__(self, task: KnownDynamics, action_dim: int, settings: PILQR):
        n, m = task.state_dim, action_dim
        self._domain, self.settings = task.domain, settings
        self.controller = Controller(np.zeros((1, m, n)), np.zeros((1, m)), settings.noise * np.eye(m)[None])
        self.multiplier, self._eta = np.ones(1), None
        self._fitted = False

    def improve(self, fit: FitResult, batch: list[Episode], noise: list[np.ndarray]) -> ControllerUpdate:
        """Take a step from the controller that acted in `batch`. If the fit or a stage fails, keep that controller."""
        length = min(map(len, batch))
        old = Controller(*(_stretched(part, length) for part in self.controller))
        starts = np.array([episode.states[0] for episode in batch])
        costs = -np.array([episode.rewards[:length] for episode in batch])
        sampled = Sampled(starts, np.array([drawn[:length] for drawn in noise]), costs)
        self.multiplier, model, share = _stretched(self.multiplier, length), None, None
        if self.settings.stages != "pi2":
            if fit.dynamics is None:
                return ControllerUpdate(fit.status)
            model = pilqr_step.explain(*self._model(fit.dynamics, batch, length), old, sampled)
            shares = pilqr_step.residual_share(costs, model.modelled)
            share = float(shares[0]) if np.isfinite(shares[0]) else None
            if self._fitted:
                self.multiplier = self.settings.adapted(self.multiplier, shares)
        self._fitted = True
        eta = None if self._eta is None else _stretched(self._eta, length)
        found = pilqr_step.update(self.settings, old, sampled, model, self.settings.bounds(self.multiplier), eta)
        status = found.status if model is None or fit.status.good else fit.status
        if found.controller is old:
            return ControllerUpdate(status, share=share)
        self.controller, self._eta = Controller(*map(np.asarray, found.controller)), found.eta
        kl, predicted = _expected(model, self.controller, old, start_of(starts))
        return ControllerUpdate(status, _middle(found), predicted, kl, share)

    def _model(self, dynamics: Dynamics, batch: list[Episode], length: int) -> tuple[Linear, QuadraticCost]:
        """Return linear dynamics and a quadratic cost about the mean of the first `length` steps of the episodes."""
        states = np.mean([episode.states[: length + 1] for episode in batch], axis=0)
        actions = np.mean([episode.actions[:length] for episode in batch], axis=0)
        linear = dynamics.linearize(states, actions)
        return linear, quadratic_cost(self._domain, linear, states, actions, batch[-1].context)


def _expected(
    model: Explained | None, new: Controller, old: Controller, start: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float | None]:
    """Return (KL divergence of `new` from `old` in nats per step, return that the model predicts).

    start: mean [n] and covariance [n, n] of first states.  Without a model the return is None.
    """
    if model is None:  # both controllers have the same K, so KL does not depend on the states
        T, _, n = old.K.shape
        return float(_divergence(new, old, np.zeros((T, n)), np.zeros((T, n, n))).mean()), None
    means, covariances, *_ = _moments(model.dynamics, new, *start)
    kl = _divergence(new, old, means[:-1], covariances[:-1])
    return float(kl.mean()), -float(_expected_cost(model.dynamics, model.cost, new, *start))


def _stretched(array: Array, length: int) -> np.ndarray:
    """Return rows t = 0 … length - 1 of `array`, with its last row repeated if it is too short.

    An episode may be longer than its controller, whose last step is then repeated.
    """
    return np.asarray(array)[np.minimum(np.arange(length), len(array) - 1)]


def _middle(found: Update) -> float | None:
    """Return the median of the finite multipliers: those of stage 1, or of stage 2 if there is no stage 1."""
    multipliers = found.temperature if found.eta is None else found.eta
    finite = np.zeros(0) if multipliers is None else multipliers[np.isfinite(multipliers)]
    return float(np.median(finite)) if len(finite) else None
