"""Gaussians over a joint vector z = [y; w]: posterior under a normal-inverse-Wishart prior, conditioning, density.

y has d coordinates, w has e, and z has D = d + e. All functions take leading axes, for one Gaussian per time step or
cluster. Arrays are NumPy's float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from reverie.maths.array_arguments import of_arrays
from reverie.maths.linalg import symmetrise


class Joint(NamedTuple):
    """N(mean, covariance) over z."""

    mean: Float[np.ndarray, "*b D"]
    covariance: Float[np.ndarray, "*b D D"]


class Conditional(NamedTuple):
    """w | y ~ N(F y + f, covariance)."""

    F: Float[np.ndarray, "*b e d"]
    f: Float[np.ndarray, "*b e"]
    covariance: Float[np.ndarray, "*b e e"]


class Prior(NamedTuple):
    """A normal-inverse-Wishart prior."""

    mean: Float[np.ndarray, "*b D"]  # μ0
    scatter: Float[np.ndarray, "*b D D"]  # Φ
    weight_mean: Float[np.ndarray, "*b"] | float  # m0, weight of the mean as a number of samples
    weight: Float[np.ndarray, "*b"] | float  # n0, weight of the scatter as a number of samples


@of_arrays
def outer(a: Real[np.ndarray, "*b D"]) -> Real[np.ndarray, "*b D D"]:
    """Return a aᵀ of vectors a."""
    return a[..., :, None] * a[..., None, :]


@of_arrays
def posterior(
    count: Real[np.ndarray, "*b"] | float,
    mean: Real[np.ndarray, "*b D"],
    scatter: Real[np.ndarray, "*b D D"],
    prior: Prior,
) -> Joint:
    """Return the most likely joint Gaussian under the prior.  Levine & Abbeel 2014, appendix A.

    Σ = [N S + Φ + N m0/(N + m0) (z̄ - μ0)(z̄ - μ0)ᵀ] / (N + n0), and the mean is (N z̄ + m0 μ0)/(N + m0).

    count: N, 0 if there is no sample.  mean: z̄.  scatter: N S = Σᵢ (zᵢ - z̄)(zᵢ - z̄)ᵀ.
    """
    total = np.maximum(count + prior.weight_mean, np.finfo(float).tiny)
    pull = prior.weight_mean / total
    between = (count * pull)[..., None, None] * outer(mean - prior.mean)
    weight = np.maximum(count + prior.weight, np.finfo(float).tiny)
    covariance = (scatter + prior.scatter + between) / weight[..., None, None]
    return Joint(mean + pull[..., None] * (prior.mean - mean), symmetrise(covariance))


@of_arrays
def condition(joint: Joint, d: int) -> Conditional:
    """Return the Gaussian w | y, where y is the first d coordinates of z.

    F = Σ_wy Σ_yy⁻¹, f = w̄ - F ȳ, Σ = Σ_ww - F Σ_yw.  Raises numpy.linalg.LinAlgError where Σ_yy is singular.
    """
    across = joint.covariance[..., :d, d:]
    half = np.linalg.solve(np.linalg.cholesky(joint.covariance[..., :d, :d]), np.eye(d))  # L⁻¹
    white = half @ across
    F = (half.swapaxes(-1, -2) @ white).swapaxes(-1, -2)
    f = joint.mean[..., d:] - (F @ joint.mean[..., :d, None])[..., 0]
    # The Schur complement is Σ_ww - WᵀW with W = L⁻¹ Σ_yw. `factor` corrects eigenvalues below 0, from rounding.
    return Conditional(F, f, symmetrise(joint.covariance[..., d:, d:] - white.swapaxes(-1, -2) @ white))


@of_arrays
def factor(covariance: Real[np.ndarray, "*b e e"], floor: float = 1e-12) -> Float[np.ndarray, "*b e e"]:
    """Return the lower Cholesky factor of `covariance`.

    floor: it is added to the diagonal; if that is not enough, eigenvalues below it are raised to it.
    """
    raised = covariance + floor * np.eye(covariance.shape[-1])
    try:
        return np.linalg.cholesky(raised)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, floor))[..., None, :]
        return np.linalg.cholesky(root @ root.swapaxes(-1, -2) + floor * np.eye(covariance.shape[-1]))


@of_arrays
def log_density(
    x: Real[np.ndarray, "*b e"], mean: Real[np.ndarray, "*b e"], lower: Real[np.ndarray, "*b e e"]
) -> Float[np.ndarray, "*b"]:
    """Return log N(x; mean, L Lᵀ).  lower: L, a lower Cholesky factor."""
    z = np.linalg.solve(lower, (x - mean)[..., None])[..., 0]
    logs = np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)
    return -0.5 * (z**2).sum(-1) - logs - 0.5 * x.shape[-1] * np.log(2 * np.pi)
