"""A controller's step under a KL bound at each step of the episode: lower E_p[ℓ] subject to E KL(p_t ‖ q_t) <= ε_t for all t.

Stage 1 of PILQR (Chebotar et al. 2017); `dual` bounds the sum instead, with one multiplier.  Given multipliers η_t, the
controller of step t minimises E Q_t(x, u) / η_t + KL(p_t ‖ q_t) at every x.  With Q the quadratic cost to go of (x, u) under
the model and the controllers just found for later steps, and P = Σ_q⁻¹,

    H = Q_uu / η_t + P,  K̂ = -H⁻¹ (Q_ux / η_t - P K),  k̂ = -H⁻¹ (Q_u / η_t - P k),  Σ̂ = H⁻¹.                     (5)

So do the authors, and so do we unless asked for `exact`.  That is not yet the minimum of E_p[ℓ] within the bounds, as Q
leaves out η_s KL(p_s ‖ q_s) of later steps s > t, which depend on the states that u leads to.  In random problems of four
steps some .05 % of what can be gained is left, at most .6 %.  With `exact` Q holds them: then (5) is the minimiser of
E_p[ℓ] + Σ η_t KL_t, and, as KL = ε wherever η > 0, the least cost within the bounds (tests/oracle/test_pilqr.py).

KL counts where the new controller goes.  The paper's side is the authors' code, cbfinn/gps.  Where we differ (ours /
theirs):
 1. The η_t are found together by η ← η √(KL/ε), since KL ∝ 1/η² where η is large; an exponent shrinks where it swings /
    by bracketing each as if it were alone, then 200 steps of Adam on η.
 2. No step with KL > 1.1 of its bound is returned: all η are raised together until there is none / it may be.
 3. A step of the pass that is not convex counts as one of infinite KL there / raises η_t, t = 0 excepted.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reverie.control import lqr, shapes
from reverie.control.controller import Controller, factor, precision
from reverie.control.kl_step import SLACK, divergence
from reverie.control.lqr import QuadraticCost
from reverie.core.argument_checks import shown
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.maths.array_arguments import of_arrays
from reverie.maths.linalg import solve_positive, symmetrise
from reverie.maths.precision import double

PASSES, RAISES = 100, 100  # to find the η_t; then to raise them together
COOLEST = 1e-12  # least η_t, relative to the cost's size: where no action matters it would fall for ever
FASTEST = 2.3  # most that log η changes in a pass: by a factor of 10
EXPONENT = 0.5  # of KL/ε in a pass
START = 1e-6  # least variance of starts


class BoundedSteps(NamedTuple):
    """A controller within its bounds."""

    controller: Controller
    eta: Any  # η_t [T]; where to begin next time
    kl: Any  # E KL(p_t ‖ q_t) [T], nats
    passes: Any
    status: Any  # DONE, INACTIVE (all η at their least), BOUND_UNMET (the nearest within, else the old one), NONFINITE_MODEL


@of_arrays
def start_of(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean [n] and covariance [n, n], at least START, of starts [N, n]."""
    n = starts.shape[1]
    return starts.mean(0), np.cov(starts.T, bias=True).reshape(n, n) + START * np.eye(n)


def regulated(dynamics: Linear, cost: QuadraticCost, old: Controller, eta, exact: bool = False):
    """Return the controller of multipliers η [T] by one pass back in time, and which steps are convex [T].  Pure.  Eq. 5.

    Where a step is not, it is the old controller's.  exact: whether Q holds the KL of later steps, too.
    """
    dynamics, cost, old, eta = shapes.alike(*shapes.fit("lqr_kl.regulated", dynamics, cost, old, multipliers=eta))
    n = cost.v.shape[0]
    eye = jnp.eye(n, dtype=cost.C.dtype)

    def step(after, now):
        V, v = after
        F, f, C, c, old, P, eta = now
        Q, q = lqr.backup(V, v + V @ f, F, C, c)
        H = symmetrise(Q[n:, n:] / eta + P)
        right = jnp.concatenate([Q[n:, :n] / eta - P @ old.K, (q[n:] / eta - P @ old.k)[:, None]], axis=1)
        both, positive = solve_positive(H, right)
        K, k = jnp.where(positive, -both[:, :n], old.K), jnp.where(positive, -both[:, n], old.k)
        # The cost of that controller alone, without its KL: (Q_uu + …) K + Q_ux does not vanish, so no shorter form holds.
        taken = jnp.concatenate([eye, K])
        new = Controller(K, k, jnp.where(positive, factor(H[None])[0], old.chol))
        V, v = taken.T @ Q @ taken, taken.T @ (q + Q[:, n:] @ k)
        if exact:  # η KL(p_t ‖ q_t) as a function of x
            away = eta * (K - old.K).T @ P
            V, v = V + away @ (K - old.K), v + away @ (k - old.k)
        return (symmetrise(V), v), (new, positive)

    last = symmetrise(jnp.asarray(cost.V)), jnp.asarray(cost.v)
    steps = dynamics.F, dynamics.f, cost.C, cost.c, Controller(*map(jnp.asarray, old)), precision(old), eta
    return jax.lax.scan(step, last, steps, reverse=True)[1]


class _Search(NamedTuple):
    eta: Any  # tried last [T]
    new: Controller  # what it gave
    kl: Any  # [T]; ∞ where not convex
    away: Any  # log(KL/ε) [T], 0 where η is at its least and KL within its bound
    exponent: Any  # [T]
    following: Any  # η to try next [T]
    passes: Any


def _bounded_steps(
    dynamics, cost, old, bounds, x0_mean, x0_covariance, eta, least, tolerance, exact=False
) -> BoundedSteps:
    size = jnp.max(jnp.abs(cost.C)) + jnp.max(jnp.abs(cost.c))
    size = jnp.where(size > 0, size, 1.0)
    least = jnp.maximum(COOLEST * size, least)

    def off(search):
        untried = search.passes == 0
        return untried | jnp.any(jnp.abs(search.away) > jnp.log1p(tolerance)) & (search.passes < PASSES)

    def exceeding(search):
        return jnp.any(search.kl > (1.0 + SLACK) * bounds)

    def unfinished(search):
        return off(search) | (exceeding(search) & (search.passes < PASSES + RAISES))

    def narrow(search):
        eta = search.following
        new, positive = regulated(dynamics, cost, old, eta, exact)
        means, spreads, *_ = lqr.moments(dynamics, new, x0_mean, x0_covariance)
        kl = divergence(new, old, means[:-1], spreads[:-1])
        kl = jnp.where(positive & jnp.isfinite(kl), jnp.maximum(kl, 0.0), jnp.inf)
        away = jnp.log(kl / bounds)
        away = jnp.where((eta <= least) & (away < 0), 0.0, away)
        swings = away * search.away < 0
        exponent = jnp.where(swings, 0.6 * search.exponent, jnp.minimum(1.05 * search.exponent, EXPONENT))
        mended = jnp.maximum(eta * jnp.exp(jnp.clip(exponent * away, -FASTEST, FASTEST)), least)
        passes = search.passes + 1
        return _Search(eta, new, kl, away, exponent, jnp.where(passes < PASSES, mended, 1.5 * eta), passes)

    start = jnp.maximum(jnp.where(jnp.isfinite(eta) & (eta > 0), eta, size), least)
    zero, half = jnp.zeros_like(start), jnp.full_like(start, EXPONENT)
    search = _Search(start, Controller(*map(jnp.asarray, old)), zero, zero, half, start, jnp.zeros((), jnp.int32))
    search = jax.lax.while_loop(unfinished, narrow, search)
    within = ~exceeding(search)
    new = jax.tree.map(lambda a, b: jnp.where(within, a, b), search.new, old)
    met = jnp.all(jnp.abs(search.away) <= jnp.log1p(SLACK))
    status = jnp.where(met, Status.DONE, Status.BOUND_UNMET)
    status = jnp.where(jnp.all(search.eta <= least) & within, Status.INACTIVE, status)
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(part)) for part in (*dynamics, *cost)]))
    kl = jnp.where(within, search.kl, 0.0)
    return BoundedSteps(new, search.eta, kl, search.passes, jnp.where(finite, status, Status.NONFINITE_MODEL))


_bounded_steps_d = double(_bounded_steps, static_argnums=9)


def bounded_steps(
    dynamics: Linear,
    cost: QuadraticCost,
    old: Controller,
    bounds: np.ndarray,
    x0_mean: np.ndarray,
    x0_cov: np.ndarray,
    eta: Any = None,
    least: Any = 0.0,
    tolerance: float = SLACK,
    exact: bool = False,
) -> BoundedSteps:
    """Return the step from `old` by equation 5, with η_t such that KL meets `bounds` [T], nats, at each step.

    exact: lower the expected cost as far as these bounds allow; else nearly as far, with later steps' KL left out of the
    cost to go.  x0_mean: [n], x0_cov: [n, n].  eta: multipliers [T] to begin with, None for the cost's size.  least: η_t at
    least [T], for steps that are to be shorter.  tolerance: share of a bound by which KL may miss it, at most 0.1.  Never a
    step with KL > 1.1 of its bound.  Raises SpaceError where shapes do not fit, ConfigError where a bound is not positive.
    """
    where = "lqr_kl.bounded_steps"
    fitted = shapes.fit(where, dynamics, cost, old, bounds=bounds, x0_mean=x0_mean, x0_cov=x0_cov, multipliers=eta)
    dynamics, cost, old, bounds, x0_mean, x0_cov, eta = fitted
    bounds, tolerance = np.asarray(bounds, float), shapes.positive(f"{where}: tolerance", tolerance)
    least = np.broadcast_to(np.asarray(shapes.real(where, "multipliers", least), float), bounds.shape)
    if not ((bounds > 0) & np.isfinite(bounds)).all():
        raise ConfigError(f"{where}: bounds is {shown(bounds)}; each must be a finite number above 0")
    if not (least >= 0).all():
        raise ConfigError(f"{where}: least is {shown(least)}; none may be below 0")
    eta = np.full(len(bounds), np.nan) if eta is None else np.asarray(eta, float)
    return _bounded_steps_d(dynamics, cost, old, bounds, x0_mean, x0_cov, eta, least, min(tolerance, SLACK), exact)
