"""A step of a controller under one KL bound: min E_p[ℓ] subject to Σ_t E KL(p_t ‖ q_t) <= T ε.  Levine & Abbeel 2014.

p is the new controller, q the old one. For a multiplier η, the best p is the regulator of (ℓ - η log q) / (η + ν).
Its covariance is Q_uu⁻¹ of that problem. ν is the weight of an entropy term. KL falls as η grows, so η is found by
bracketing.

Where we differ from that paper's program:

| subject                    | here                                         | there                             |
|----------------------------|----------------------------------------------|-----------------------------------|
| step without the KL term   | tried first, taken if it is within the bound | never tried                       |
| problem that is not convex | counts as infinite KL                        | raises η by a number that doubles |
| step with KL > 1.1 x bound | never returned                               | returned, with a warning          |
| thresholds                 | relative to the size of the cost             | absolute                          |
"""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int, Real

from reverie.control import lqr, shapes
from reverie.control.controller import Controller, factor, maximum_entropy, precision
from reverie.control.ilqg_step import DEFAULT_OPTIONS, Options, definite, raised
from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError, unknown
from reverie.core.status import Status
from reverie.maths.array_types import Array, Numbers
from reverie.maths.linalg import finite_flag, log_determinant
from reverie.maths.precision import double

ETA_LOW, ETA_HIGH = 1e-8, 1e16  # range of η for costs between SMALL and LARGE
SMALL, LARGE = 1e-3, 1e3  # for smaller and larger costs the range of η is scaled with the cost
TRIALS = 50  # most values of η that are tried
SLACK = 0.1  # a step exceeds its bound by at most this share of it


class BoundedStep(NamedTuple):
    """A controller within the KL bound, and its expected cost."""

    controller: Controller
    eta: Float[Array, ""]  # the multiplier η; the next step may begin with it
    kl: Float[Array, "T"]  # E KL(p_t ‖ q_t), nats
    expected_old: Float[Array, ""]  # E Σ ℓ of the old controller under the model
    expected_new: Float[Array, ""]  # E Σ ℓ of the new controller under the model
    trials: Int[Array, ""]  # values of η that were tried
    raised: Int[Array, ""]  # trials whose problem was not convex
    # DONE; INACTIVE: the step without the KL term is within the bound; BOUND_UNMET: the nearest step found within the
    # bound, or the old controller if there is none; NONFINITE_MODEL.
    status: Int[Array, ""]


class ImprovementStep(NamedTuple):
    """A controller improved by one step, and its expected cost."""

    controller: Controller
    status: Status
    eta: float  # multiplier of the KL bound; 0 for a plain step
    kl: Float[Array, "T"] | None  # KL divergence from the old controller, nats; None for a plain step
    expected_old: float | None  # E Σ ℓ of the old controller; None if there is none
    expected_new: float  # E Σ ℓ of the new controller
    repairs: int  # backward passes that were not convex


def augmented(
    cost: QuadraticCost, old: Controller, eta: Real[ArrayLike, ""], entropy: Real[ArrayLike, ""] = 0.0
) -> QuadraticCost:
    """Return the cost (ℓ - η log q) / (η + ν), without the constant of log q.  Pure.

    cost: ℓ.  old: q.  eta: η > 0.  entropy: ν.  Raises SpaceError where shapes do not fit.
    """
    cost, old = shapes.alike(shapes.fit("kl_step.augmented", cost, old))
    P = precision(old)
    PK, Pk = P @ old.K, (P @ old.k[..., None])[..., 0]
    Kt = jnp.swapaxes(old.K, 1, 2)
    top = jnp.concatenate([Kt @ PK, -jnp.swapaxes(PK, 1, 2)], axis=2)
    C = jnp.concatenate([top, jnp.concatenate([-PK, P], axis=2)], axis=1)
    c = jnp.concatenate([(Kt @ Pk[..., None])[..., 0], -Pk], axis=1)
    none = jnp.zeros(())  # of the last state; zero has any shape
    added = QuadraticCost(C, c, 0.5 * jnp.sum(old.k * Pk, axis=1), none, none, none)
    return jax.tree.map(lambda own, more: (own + eta * more) / (eta + entropy), cost, added)


def divergence(new: Controller, old: Controller, means: Numbers, covariances: Numbers) -> Float[Array, "T"]:
    """Return E KL(new_t ‖ old_t) in nats, over states x_t ~ N(means_t, covariances_t).  Pure.

    means: [T, n].  covariances: [T, n, n].  Raises SpaceError where shapes do not fit.
    """
    fitted = shapes.fit("kl_step.divergence", new, old, f=means, covariance=covariances)
    new, old, means, covariances = shapes.alike(fitted)

    def one(new: Controller, old: Controller, P: Array, mean: Array, covariance: Array) -> Array:
        dK, toward = new.K - old.K, (new.K - old.K) @ mean + new.k - old.k
        moved = jnp.sum(P * (dK @ covariance @ dK.T)) + toward @ P @ toward
        grown = log_determinant(old.chol) - log_determinant(new.chol)
        return 0.5 * (jnp.sum(P * (new.chol @ new.chol.T)) - toward.shape[0] + grown + moved)

    return jax.vmap(one)(new, old, precision(old), means, covariances)


class _Bracket(NamedTuple):
    low: Float[Array, ""]
    high: Float[Array, ""]
    eta: Float[Array, ""]
    best: Float[Array, ""]  # smallest η known to give a step within the bound
    trials: Int[Array, ""]
    raised: Int[Array, ""]
    status: Int[Array, ""]  # BOUND_UNMET until found


_Plain: TypeAlias = tuple[lqr.Riccati, Float[Array, ""], Float[Array, ""], Int[Array, ""]]  # …, λ, its factor, repairs


def _bounded_step(
    dynamics: Linear,
    cost: QuadraticCost,
    old: Controller,
    bound: Real[ArrayLike, ""],
    x0_mean: Float[Array, "n"],
    x0_covariance: Float[Array, "n n"],
    eta: Real[ArrayLike, ""],
    entropy: Real[ArrayLike, ""],
    tolerance: Real[ArrayLike, ""],
) -> BoundedStep:
    limit = bound * old.k.shape[0]
    size = jnp.maximum(jnp.max(jnp.abs(cost.C)), jnp.max(jnp.abs(cost.c)))
    least = ETA_LOW * jnp.where(size > 0, jnp.minimum(1.0, size / SMALL), 1.0)
    most = ETA_HIGH * jnp.maximum(1.0, jnp.where(jnp.isfinite(size), size, 1.0) / LARGE)

    def attempt(eta: Float[Array, ""]) -> tuple[Controller, Float[Array, "T"], Bool[Array, ""]]:
        found = lqr.backward(dynamics, augmented(cost, old, eta, entropy))
        new = Controller(found.K, found.k, factor(found.Quu))
        means, covariances, *_ = lqr.moments(dynamics, new, x0_mean, x0_covariance)
        return new, divergence(new, old, means[:-1], covariances[:-1]), found.status == Status.DONE

    def unfinished(bracket: _Bracket) -> Array:
        return (bracket.status == Status.BOUND_UNMET) & (bracket.trials < TRIALS)

    def narrow(bracket: _Bracket) -> _Bracket:
        eta = bracket.eta
        _, kl, convex = attempt(eta)
        total = jnp.where(convex, jnp.sum(kl), jnp.inf)
        within = total <= limit
        low = jnp.where(within, bracket.low, eta)
        high = jnp.where(within, eta, bracket.high)
        middle = jnp.sqrt(low * high)
        following = jnp.where(within, jnp.maximum(middle, 0.1 * eta), jnp.minimum(middle, 10.0 * eta))
        met = jnp.abs(total - limit) <= tolerance * limit
        alone = within & (eta <= least)  # the step without the KL term, which is the first trial
        status = jnp.where(alone, Status.INACTIVE, jnp.where(met, Status.DONE, Status.BOUND_UNMET))
        first = bracket.trials == 0
        return _Bracket(
            low=low,
            high=high,
            eta=jnp.where(first & ~alone, jnp.maximum(start, 10.0 * least), following),
            best=jnp.where(within | met, eta, bracket.best),
            trials=bracket.trials + 1,
            raised=bracket.raised + ~convex,
            status=status.astype(jnp.int32),
        )

    one = jnp.ones((), cost.C.dtype)
    start, zero = eta * one, jnp.zeros((), jnp.int32)
    unmet = zero + Status.BOUND_UNMET
    bracket = _Bracket(least * one, most * one, least * one, jnp.inf * one, zero, zero, unmet)
    bracket = jax.lax.while_loop(unfinished, narrow, bracket)
    found = jnp.isfinite(bracket.best)
    new, kl, _ = attempt(jnp.where(found, bracket.best, most))
    new = jax.tree.map(lambda a, b: jnp.where(found, a, b), new, old)
    kl = jnp.where(found, kl, 0.0)
    before, after = (lqr.expected_cost(dynamics, cost, c, x0_mean, x0_covariance) for c in (old, new))
    finite = finite_flag(dynamics, cost)
    status = jnp.where(finite, bracket.status, Status.NONFINITE_MODEL)
    return BoundedStep(new, bracket.best, kl, before, after, bracket.trials, bracket.raised, status)


_bounded_step_d = double(_bounded_step)


def bounded_step(
    dynamics: Linear,
    cost: QuadraticCost,
    old: Controller,
    bound: float,
    x0_mean: Numbers,
    x0_cov: Numbers,
    eta: float = 1.0,
    entropy: float = 0.0,
    tolerance: float = SLACK,
) -> BoundedStep:
    """Return the step from `old` that lowers the cost most within a KL bound.

    bound: ε, nats per step, on the mean over steps.  x0_mean, x0_cov: of the first state [n], [n, n].
    eta: multiplier to begin with, such as that of the last step.  entropy: ν.
    tolerance: share of the bound by which KL may miss it, at most 0.1.

    KL is never more than 1.1 times the bound.  Raises SpaceError where shapes do not fit, and ConfigError where a
    number is out of range.  Source: Levine & Abbeel 2014.
    """
    fitted = shapes.fit("kl_step.bounded_step", dynamics, cost, old, x0_mean=x0_mean, x0_cov=x0_cov)
    dynamics, cost, old, x0_mean, x0_cov = fitted
    for name, value in (("bound", bound), ("eta", eta), ("tolerance", tolerance)):
        shapes.positive(f"kl_step.bounded_step: {name}", value)
    if shapes.number("kl_step.bounded_step: entropy", entropy) < 0:
        raise ConfigError(f"kl_step.bounded_step: entropy is {entropy}; it must be 0 or more")
    return _bounded_step_d(dynamics, cost, old, bound, x0_mean, x0_cov, eta, entropy, min(tolerance, SLACK))


def _plain(
    dynamics: Linear, cost: QuadraticCost, options: Options
) -> tuple[Float[Array, "T m n"], Float[Array, "T m"], Float[Array, "T m m"], Int[Array, ""], Int[Array, ""]]:
    """Return (K, k, a positive definite Quu, number of failed passes, status).  λ rises as in iLQG."""

    def unfinished(state: _Plain) -> Array:
        riccati, regularisation, _, _ = state
        return (riccati.status == Status.NOT_POSITIVE_DEFINITE) & (regularisation <= options.regularisation_max)

    def again(state: _Plain) -> _Plain:
        _, regularisation, factor, repairs = state
        regularisation, factor = raised(regularisation, factor, options)
        return lqr.backward(dynamics, cost, regularisation), regularisation, factor, repairs + 1

    zero = jnp.zeros((), cost.C.dtype)
    start = lqr.backward(dynamics, cost, zero), zero, zero + 1.0, jnp.zeros((), jnp.int32)
    riccati, regularisation, _, repairs = jax.lax.while_loop(unfinished, again, start)
    return riccati.K, riccati.k, definite(riccati.Quu, regularisation), repairs, riccati.status


_plain_d, _expected_cost_d = double(_plain, static_argnums=2), double(lqr.expected_cost)


def one_step(
    dynamics: Linear,
    cost: QuadraticCost,
    old: Controller | None,
    mode: Literal["kl", "plain"],
    x0_mean: Numbers,
    x0_cov: Numbers,
    *,
    sigma: tuple[float, float, float] = (0.2, 0.01, 0.5),
    bound: float = 0.2,
    eta: float = 1.0,
) -> ImprovementStep:
    """Return the controller for a newly fitted model by backward passes only.  Gu et al. 2016, iLQG_OneStep.

    There is no line search, because the mean of a batch of episodes is not a rollout of the model.

    mode: "plain" is the regulator, with noise of maximum entropy. If Q_uu is not positive definite it is regularised,
    which `repairs` counts. "kl" is the step from `old` within a KL bound.
    x0_mean, x0_cov: of the first state [n], [n, n].
    sigma: standard deviation of the noise of "plain", its minimum and its maximum, in the unit of actions.
    bound: KL bound of "kl", nats per step.  eta: multiplier to begin with, of "kl".

    Status: that of `bounded_step` for "kl"; DONE, NOT_POSITIVE_DEFINITE or NONFINITE_MODEL for "plain". If it is not
    `good`, keep the old controller.  Raises ConfigError for an unknown mode, for "kl" without `old`, and where a number
    is out of range; SpaceError where shapes do not fit.
    """
    if mode == "kl":
        if old is None:
            raise ConfigError("mode 'kl' bounds the step from an old controller: give one, or take 'plain'")
        found = bounded_step(dynamics, cost, old, bound, x0_mean, x0_cov, eta)
        expected = float(found.expected_old), float(found.expected_new)
        return ImprovementStep(
            found.controller, Status(int(found.status)), float(found.eta), found.kl, *expected, int(found.raised)
        )
    if mode != "plain":
        raise unknown("mode", str(mode), ("kl", "plain"))
    where, start = "kl_step.one_step", {"x0_mean": x0_mean, "x0_cov": x0_cov}
    if old is None:
        dynamics, cost, x0_mean, x0_cov = shapes.fit(where, dynamics, cost, **start)
    else:
        dynamics, cost, old, x0_mean, x0_cov = shapes.fit(where, dynamics, cost, old, **start)
    K, k, Quu, repairs, status = _plain_d(dynamics, cost, DEFAULT_OPTIONS)
    controller = maximum_entropy(K, k, Quu, *sigma)

    def expected_cost(c: Controller) -> float:
        return float(_expected_cost_d(dynamics, cost, c, x0_mean, x0_cov))

    before = None if old is None else expected_cost(old)
    return ImprovementStep(controller, Status(int(status)), 0.0, None, before, expected_cost(controller), int(repairs))


def adapted(multiplier: float, before: float, predicted: float, actual: float) -> float:
    """Return the multiplier of the KL bound for the next step, in [0.01, 10].

    before: expected cost of the old controller.  predicted: of the new one, under the model that it was made with.
    actual: of the new one, under the model that was fitted after it.
    The multiplier rises if the prediction was right, and falls if it was wrong.
    """
    fall, missed = before - predicted, actual - predicted
    scale = 1e-4 * (abs(before) + 1e-12)
    factor = 0.1 if fall < 0 else np.clip(fall / (2 * max(scale, missed)), 0.1, 5.0)
    return float(np.clip(multiplier * factor, 0.01, 10.0))
