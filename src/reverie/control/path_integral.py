"""Path integral policy improvement (PI²): the mean action moves towards the samples that cost less.  No model.

N episodes of a controller u = K x + k + L ε are weighted at each step by their cost to go S_t = Σ_{s≥t} c_s,

    w_i ∝ exp(-S_i / η)                                     (1)  the best weights within KL(w ‖ 1/N) <= ε,
    g(η) = η ε + η log mean_i exp(-S_i / η)                 (2)  whose multiplier η minimises this dual: there KL = ε,
    k ← k + L Σ_i w_i ε_i                                   (3)  the most likely mean of the weighted samples.

Theodorou, Buchli & Schaal 2010 (the update), Peters, Mülling & Altun 2010 (the temperature), Chebotar et al. 2017 (both
in one).  The last one's text was not at hand: its side of what follows is read off the authors' code, cbfinn/gps.
Where we differ (ours / theirs):
 1. In (3) w_i - 1/N stands for w_i, so that weights that say nothing move nothing / the mean of the noise, O(1/√N), does.
 2. KL = ε is solved by halving, to the last bit / g is minimised by L-BFGS.
 3. η >= 10⁻³ of the standard deviation of S / 10⁻³, whatever the unit of cost.
 4. Covariances keep their shape and are scaled, by what the weights do to the variance of the noise that was drawn / to
    its expectation, 1; by a hundredth at least, where one sample takes all / failures raise η instead.
 5. Costs that are not finite, or fewer than two episodes, move nothing and are told by a status / not looked at.
"""

from typing import Any, NamedTuple

import numpy as np

from reverie.control import shapes
from reverie.control.controller import Controller
from reverie.core.status import Status

HALVINGS = 200  # of the interval of log η: to the last bit
MET = 1e-8  # nats: how far the samples' KL may be from its bound
COOLEST = 1e-3  # least η, in standard deviations of S: below, rounding errors would choose
FAR = 1e100  # widths of S, and their reciprocals, beyond which it is measured in a unit of its own
LEAST = 0.01  # of the variance, that the weights may leave


class Temperature(NamedTuple):
    """The multiplier of each step and what it leads to; where nothing is to be preferred η is infinite."""

    eta: np.ndarray  # [T]
    kl: np.ndarray  # KL(w ‖ 1/N) [T], nats
    status: (
        Status  # DONE, INACTIVE (ε is beyond what N samples can say), MAX_ITERATIONS, TOO_FEW_SAMPLES, NONFINITE_MODEL
    )


def costs_to_go(costs: np.ndarray) -> np.ndarray:
    """Return S_t = Σ_{s≥t} c_s [N, T] of costs [N, T]."""
    (costs,) = shapes.fit("path_integral.costs_to_go", costs=costs)
    return costs[:, ::-1].cumsum(axis=1)[:, ::-1]


def weights(to_go: np.ndarray, eta: Any) -> np.ndarray:
    """Return w ∝ exp(-S / η) [N, T], whose columns sum to 1, of costs to go [N, T], η > 0 [T] or one (∞: all alike).  Eq. 1."""
    eta = shapes.real("path_integral.weights", "multipliers", eta)
    to_go, _ = shapes.fit("path_integral.weights", to_go=to_go, multipliers=eta if eta.ndim else None)
    likelihood = np.exp((to_go.min(axis=0) - to_go) / eta)
    return likelihood / likelihood.sum(axis=0)


def divergence(weights: np.ndarray) -> np.ndarray:
    """Return KL(w ‖ 1/N) = Σ w log(N w) [T], in [0, log N], of weights [N, T]."""
    (weights,) = shapes.fit("path_integral.divergence", weights=weights)
    return (weights * np.log(len(weights) * np.maximum(weights, np.finfo(float).tiny))).sum(axis=0)


def temperature(to_go: np.ndarray, bound: float, halvings: int = HALVINGS) -> Temperature:
    """Return the η of each step at which the weights of costs to go [N, T] are `bound` nats from uniform ones.  Eq. 2.

    KL falls from log N (less, where several samples are best) to 0 as η grows.  With bound >= log N there is no such η:
    the least is returned, at which one sample wins.  Steps whose samples all cost the same get η = ∞.  Raises SpaceError
    where costs are no such table, ConfigError where the bound is not positive.
    """
    to_go = np.asarray(shapes.fit("path_integral.temperature", to_go=to_go)[0], float)
    bound = shapes.positive("path_integral.temperature: bound", bound)
    steps = to_go.shape[1]
    if not np.isfinite(to_go).all():
        return Temperature(np.full(steps, np.inf), np.zeros(steps), Status.NONFINITE_MODEL)
    if len(to_go) < 2:
        return Temperature(np.full(steps, np.inf), np.zeros(steps), Status.TOO_FEW_SAMPLES)
    with np.errstate(over="ignore"):
        width = np.ptp(to_go, axis=0)
    if not np.isfinite(width).all():
        return Temperature(np.full(steps, np.inf), np.zeros(steps), Status.NONFINITE_MODEL)
    odd = (width > FAR) | ((width > 0) & (width < 1 / FAR))
    if odd.any():  # squares would leave float64
        unit = np.where(odd, width, 1.0)
        found = temperature(to_go / unit, bound, halvings)
        return found._replace(eta=found.eta * unit)
    spread = to_go.std(axis=0)
    alike = width <= 1e-12 * np.abs(to_go).max(axis=0)
    unit = np.where(alike, 1.0, spread)
    # exp(-S/η) within exp(±√ε) of one another are less than ε nats from uniform.
    low = np.full(steps, np.log(COOLEST))
    high = np.log(np.where(alike, 1.0, width / unit) / np.sqrt(bound))
    inactive = divergence(weights(to_go, unit * np.exp(low))) <= bound
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        far = divergence(weights(to_go, unit * np.exp(middle))) > bound
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    eta = np.where(alike, np.inf, unit * np.where(inactive, COOLEST, np.exp(high)))
    kl = divergence(weights(to_go, eta))
    if not (inactive | alike | (np.abs(kl - bound) <= MET)).all():
        return Temperature(eta, kl, Status.MAX_ITERATIONS)
    return Temperature(eta, kl, Status.INACTIVE if (inactive | alike).all() else Status.DONE)


def moved(
    controller: Controller, noise: np.ndarray, weights: np.ndarray, damping: float = 2.0, centred: bool = True
) -> Controller:
    """Return the controller whose mean and variance are those of weighted samples; K stays.  Eq. 3.

    noise: ε [N, T, m].  weights: [N, T].  The variance is multiplied by (Σ_i w_i |ε_i - ε̄|² / m) to the power
    1/damping: the greater, the longer exploration lasts.  centred: differences 1 and 4; False is the literal formula.
    """
    controller, noise, weights = shapes.fit("path_integral.moved", controller, noise=noise, weights=weights)
    damping = shapes.positive("path_integral.moved: damping", damping)
    even = np.full_like(weights, 1.0 / len(weights))
    shift = _mean(noise, weights - even if centred else weights)
    scatter = _scatter(noise, weights)
    usual = _scatter(noise, even) if centred else np.full_like(scatter, noise.shape[2])
    ratio = np.where(usual > 0, scatter / np.where(usual > 0, usual, 1.0), 1.0)
    factor = np.maximum(ratio, LEAST) ** (0.5 / damping)
    k = controller.k + (controller.chol @ shift[..., None])[..., 0]
    return Controller(controller.K, k, controller.chol * factor[:, None, None])


def _mean(noise: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.einsum("it,itm->tm", weights, noise)


def _scatter(noise: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Σ_i w_i |ε_i - ε̄|² [T]."""
    return np.einsum("it,itm->t", weights, (noise - _mean(noise, weights)) ** 2)
