"""Path integral policy improvement (PI²): move the mean action towards the samples that cost less. No model is used.

N episodes of a controller u = K x + k + L ε are weighted at each step by their cost to go S_t = Σ_{s≥t} c_s:

    w_i ∝ exp(-S_i / η)                                     (1)  the best weights within KL(w ‖ 1/N) <= ε
    g(η) = η ε + η log mean_i exp(-S_i / η)                 (2)  the dual, which η minimises; there KL = ε
    k ← k + L Σ_i w_i ε_i                                   (3)  the most likely mean of the weighted samples

Sources: Theodorou, Buchli & Schaal 2010 (the update), Peters, Mülling & Altun 2010 (the temperature), Chebotar et al.
2017 (both together). The text of the last was not available, so the comparison is with the authors' code, cbfinn/gps.
Where we differ:

 1. In (3) we use w_i - 1/N instead of w_i, so that equal weights change nothing. There, the mean of the noise, O(1/√N),
    moves k.
 2. We solve KL = ε by halving an interval, to the last bit. There, L-BFGS minimises g.
 3. Our η is at least 10⁻³ of the standard deviation of S. There, it is at least 10⁻³, whatever the unit of cost.
 4. Our covariances keep their shape and are scaled. The factor is the weighted variance of the drawn noise, relative to
    their unweighted variance; there, relative to the expected variance, 1. The factor is at least 0.01, for the case
    that one sample has all the weight; there, failures raise η instead.
 5. If costs are not finite, or there are fewer than two episodes, nothing is changed and a status says so. There, this
    is not checked.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from reverie.control import shapes
from reverie.control.controller import Controller
from reverie.core.status import Status
from reverie.maths.array_types import Array, Numbers

HALVINGS = 200  # of the interval of log η, which gives all bits of float64
MET = 1e-8  # nats: largest distance of the samples' KL from its bound
COOLEST = 1e-3  # least η, in standard deviations of S; for a smaller η rounding errors would choose the sample
FAR = 1e100  # if the width of S, or its reciprocal, is larger, S is divided by its width
LEAST = 0.01  # smallest factor of the variance


class Temperature(NamedTuple):
    """The temperature η of each time step. It is infinite where all samples cost the same."""

    eta: Float[np.ndarray, "T"]
    kl: Float[Array, "T"]  # KL(w ‖ 1/N), nats
    # DONE, INACTIVE (N samples cannot reach a KL of ε), MAX_ITERATIONS, TOO_FEW_SAMPLES or NONFINITE_MODEL.
    status: Status


def costs_to_go(costs: Numbers) -> Real[Array, "N T"]:
    """Return the costs to go S_t = Σ_{s≥t} c_s.  costs: c [N, T].  Raises SpaceError where shapes do not fit."""
    (costs,) = shapes.fit("path_integral.costs_to_go", costs=costs)
    return costs[:, ::-1].cumsum(axis=1)[:, ::-1]


def weights(to_go: Numbers, eta: Numbers) -> Float[Array, "N T"]:
    """Return the weights w ∝ exp(-S / η). Each column sums to 1.  Equation 1.

    to_go: costs to go S [N, T].  eta: η > 0, [T] or one number; ∞ gives equal weights.
    Raises SpaceError where shapes do not fit.
    """
    eta = shapes.real("path_integral.weights", "multipliers", eta)
    to_go = shapes.fit("path_integral.weights", to_go=to_go, **({"multipliers": eta} if eta.ndim else {}))[0]
    likelihood = np.exp((to_go.min(axis=0) - to_go) / eta)
    return likelihood / likelihood.sum(axis=0)


def divergence(weights: Numbers) -> Float[Array, "T"]:
    """Return KL(w ‖ 1/N) = Σ w log(N w) in nats, between 0 and log N.  weights: w [N, T]."""
    (weights,) = shapes.fit("path_integral.divergence", weights=weights)
    return (weights * np.log(len(weights) * np.maximum(weights, np.finfo(float).tiny))).sum(axis=0)


def temperature(to_go: Numbers, bound: float, halvings: int = HALVINGS) -> Temperature:
    """Return the η of each time step at which KL(w ‖ 1/N) equals `bound`.  Equation 2.

    to_go: costs to go [N, T].  bound: ε, nats.  halvings: of the interval of log η.

    As η grows, KL falls from log N (or less, if several samples are best) to 0. If bound >= log N there is no such η;
    then the smallest η is returned, at which one sample has all the weight. If all samples of a step cost the same, η
    is ∞.

    Raises SpaceError where costs do not have this shape, and ConfigError where the bound is not positive.
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
    if odd.any():  # their squares would be beyond float64
        unit = np.where(odd, width, 1.0)
        found = temperature(to_go / unit, bound, halvings)
        return found._replace(eta=found.eta * unit)
    deviation = to_go.std(axis=0)
    alike = width <= 1e-12 * np.abs(to_go).max(axis=0)
    unit = np.where(alike, 1.0, deviation)
    # If all exp(-S/η) are within a factor exp(±√ε) of one another, KL is less than ε.
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
    controller: Controller, noise: Numbers, weights: Numbers, damping: float = 2.0, centred: bool = True
) -> Controller:
    """Return the controller with the mean and variance of the weighted samples. K does not change.  Equation 3.

    noise: ε [N, T, m].  weights: w [N, T].  damping: the variance is multiplied by (Σ_i w_i |ε_i - ε̄|² / m) to the
    power 1/damping; with a larger value, exploration lasts longer.  centred: use differences 1 and 4 of the list above;
    False is the literal formula.  Raises SpaceError where shapes do not fit, and ConfigError where damping is not
    positive.
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


def _mean(noise: Real[Array, "N T m"], weights: Real[Array, "N T"]) -> Float[np.ndarray, "T m"]:
    return np.einsum("it,itm->tm", weights, noise)


def _scatter(noise: Real[Array, "N T m"], weights: Real[Array, "N T"]) -> Float[np.ndarray, "T"]:
    """Return Σ_i w_i |ε_i - ε̄|²."""
    return np.einsum("it,itm->t", weights, (noise - _mean(noise, weights)) ** 2)
