"""A Gaussian mixture over z = [x; u; x' - x], fitted by EM, as a prior for fits to few episodes.  Levine & Abbeel 2014.

Each cluster has a prior worth D points, with the covariance R of all points. EM maximises the log-likelihood minus
½ Σ_k [tr(Ψ Σ_k⁻¹) + D ln|Σ_k|] with Ψ = D (R + FLOOR I), which rises at each iteration. Without this prior, clusters of
40 points, as in Levine's experiments, are nearly singular from about 20 dimensions on. Fits with such a mixture can be
worse than no model. Points are standardised.
"""

from types import ModuleType
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from reverie.maths.array_types import Array
from reverie.maths.gaussian import Joint, outer

CLUSTERS = 20  # most clusters; as SAMPLES, the setting of Levine's arm experiments
SAMPLES = 40  # least number of points per cluster
DIRECTIONS = 5  # least number of points per cluster and coordinate of z
POINTS = 1024  # most points; of more, this many are drawn
FLOOR = 1e-6  # added to variances
ITERATIONS = 100  # most iterations of EM
GAIN = 0.1  # nats per point: EM has converged if an iteration gains less
BUCKET = 256  # points are padded to a multiple of this, so that fits of similar size share one compiled program


class Mixture(NamedTuple):
    """Σ_k weight_k N(mean_k, covariance_k)."""

    weight: Float[np.ndarray, "K"]
    mean: Float[np.ndarray, "K D"]
    covariance: Float[np.ndarray, "K D D"]
    objective: Float[np.ndarray, "_iterations"]  # after each iteration, nats per point; it never falls


def clusters_for(points: int, dim: int) -> int:
    """Return the number of clusters K for this many points of dimension `dim`: at least 2, at most CLUSTERS."""
    return max(2, min(CLUSTERS, points // max(SAMPLES, DIRECTIONS * dim)))


def fit(points: Float[np.ndarray, "P D"], seed: int) -> Mixture:
    """Return the mixture fitted to `points`. The same seed gives the same mixture."""
    generator = np.random.default_rng(seed)
    if len(points) > POINTS:
        points = points[generator.choice(len(points), POINTS, replace=False)]
    count, clusters = len(points), clusters_for(*points.shape)
    label = _lloyd(points, clusters, generator)
    rows = -(-count // BUCKET) * BUCKET
    slots = clusters_for(rows, points.shape[1])
    padded = np.zeros((rows, points.shape[1]))
    padded[:count] = points
    share = np.zeros((rows, slots))
    share[np.arange(count), label] = 1.0
    with jax.enable_x64(True):
        *found, objective = _em(padded, share, np.arange(rows) < count, np.arange(slots) < clusters)
    weight, mean, covariance = (np.asarray(a)[:clusters] for a in found)
    objective = np.asarray(objective)
    return Mixture(weight, mean, covariance, objective[np.isfinite(objective)])


def rehearse(dim: int) -> None:
    """Compile `fit` for points [P, dim] with any P."""
    generator = np.random.default_rng(0)
    for rows in range(BUCKET, POINTS + 1, BUCKET):
        fit(generator.standard_normal((rows, dim)), 0)


def responsibilities(mixture: Mixture, points: Float[np.ndarray, "P D"]) -> Float[np.ndarray, "P K"]:
    """Return the probabilities p(k | z) of clusters for points z."""
    whiten, logs = _whitening(np, mixture.covariance)
    log = _log_joint(np, points, mixture.weight, mixture.mean, whiten, logs)
    share = np.exp(log - log.max(1, keepdims=True))
    return share / share.sum(1, keepdims=True)


def mixed(mixture: Mixture, share: Float[np.ndarray, "*b K"]) -> Joint:
    """Return mean and covariance of the mixture with other weights `share`."""
    mean = share @ mixture.mean
    second = np.tensordot(share, mixture.covariance + outer(mixture.mean), 1)
    return Joint(mean, second - outer(mean))


def _lloyd(
    points: Float[np.ndarray, "P D"], clusters: int, generator: np.random.Generator, iterations: int = 10
) -> Int[np.ndarray, "P"]:
    """Return labels by k-means, with first centres by k-means++. A centre without points does not move."""
    centres = points[generator.integers(len(points))][None]
    nearest = ((points - centres) ** 2).sum(1)
    while len(centres) < clusters:
        odds = nearest / nearest.sum() if nearest.any() else np.full(len(points), 1 / len(points))
        centre = points[generator.choice(len(points), p=odds)]
        centres = np.vstack([centres, centre])
        nearest = np.minimum(nearest, ((points - centre) ** 2).sum(1))
    label = np.zeros(len(points), int)
    for _ in range(iterations):
        label = ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)
        member = np.eye(clusters)[label]
        size = member.sum(0)
        centres = np.where(size[:, None] > 0, member.T @ points / np.maximum(size, 1)[:, None], centres)
    return label


def _whitening(xp: ModuleType, covariance: Float[Array, "K D D"]) -> tuple[Float[Array, "K D D"], Float[Array, "K"]]:
    """Return L⁻¹ and ln|L| of covariances L Lᵀ.  xp: NumPy or jax.numpy."""
    lower = xp.linalg.cholesky(covariance)
    eye = xp.broadcast_to(xp.eye(lower.shape[-1]), lower.shape)
    whiten = jax.scipy.linalg.solve_triangular(lower, eye, lower=True) if xp is jnp else np.linalg.solve(lower, eye)
    return whiten, xp.log(xp.diagonal(lower, axis1=1, axis2=2)).sum(1)


def _log_joint(
    xp: ModuleType,
    points: Float[Array, "P D"],
    weight: Float[Array, "K"],
    mean: Float[Array, "K D"],
    whiten: Float[Array, "K D D"],
    logs: Float[Array, "K"],
) -> Float[Array, "P K"]:
    """Return ln [weight_k N(z; mean_k, Σ_k)]."""
    z = points @ whiten.swapaxes(1, 2) - (whiten @ mean[:, :, None]).swapaxes(1, 2)  # [K, P, D]
    log_weight = xp.log(xp.maximum(weight, 1e-300))
    return (log_weight - logs - 0.5 * points.shape[1] * np.log(2 * np.pi))[None] - 0.5 * (z**2).sum(2).T


_Parameters: TypeAlias = tuple[Float[Array, "K"], Float[Array, "K D"], Float[Array, "K D D"]]
_State: TypeAlias = tuple[Int[Array, ""] | int, Float[Array, "P K"], _Parameters, Float[jax.Array, "_iterations"]]


@jax.jit
def _em(
    points: Float[Array, "P D"], share: Float[Array, "P K"], real: Bool[Array, "P"], active: Bool[Array, "K"]
) -> tuple[Float[Array, "K"], Float[Array, "K D"], Float[Array, "K D D"], Float[Array, "_iterations"]]:
    """Return (weight, mean, covariance, objective) from first responsibilities `share`.

    real: whether a row of `points` is a point.  active: whether a cluster is used.
    """
    dim = points.shape[1]
    pull = dim * (points.T @ points / real.sum() + FLOOR * jnp.eye(dim))

    def maximise(share: Float[Array, "P K"]) -> _Parameters:
        mass = jnp.maximum(share.sum(0), 1e-10)
        mean = (share.T @ points) / mass[:, None]
        centred = (points[None] - mean[:, None]) * jnp.sqrt(share.T)[:, :, None]
        return mass / real.sum(), mean, (centred.swapaxes(1, 2) @ centred + pull) / (mass + dim)[:, None, None]

    def expect(
        weight: Float[Array, "K"], mean: Float[Array, "K D"], covariance: Float[Array, "K D D"]
    ) -> tuple[Float[Array, "P K"], Float[Array, ""]]:
        whiten, logs = _whitening(jnp, covariance)
        log = jnp.where(active, _log_joint(jnp, points, weight, mean, whiten, logs), -jnp.inf)
        total = jax.scipy.special.logsumexp(log, axis=1)
        spread = ((whiten @ pull) * whiten).sum((1, 2))  # tr(Ψ Σ⁻¹)
        penalty = jnp.where(active, 0.5 * spread + dim * logs, 0.0).sum()
        objective = (jnp.where(real, total, 0.0).sum() - penalty) / real.sum()
        return jnp.where(real[:, None], jnp.exp(log - total[:, None]), 0.0), objective

    def advance(state: _State) -> _State:
        number, share, _, trace = state
        found = maximise(share)
        share, objective = expect(*found)
        return number + 1, share, found, trace.at[number].set(objective)

    def rising(state: _State) -> Array:
        number, _, _, trace = state
        gain = trace[number - 1] - trace[number - 2]
        return (number < ITERATIONS) & ((number < 2) | (gain > GAIN))

    start = advance((0, share, maximise(share), jnp.full(ITERATIONS, jnp.nan)))
    *_, found, trace = jax.lax.while_loop(rising, advance, start)
    return *found, trace
