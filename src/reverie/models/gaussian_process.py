"""Gaussian process regression: a function of points, fitted to values at some of them.

f(y) = f̄ + Σᵢ wᵢ k(y, yᵢ) with w = (K + ηI)⁻¹ (r - f̄): the posterior mean given values r with mean f̄, from a prior with
covariance σ² k and noise of variance σ² η. Rasmussen & Williams 2006, equation 2.25. With y standardised and divided by ℓ,

    k(y, y') = exp(-½ |y - y'|²) + ρ (1 + ℓ² yᵀy')²,

so that f has a part that varies over lengths ℓ, and perhaps a quadratic one (ρ > 0), which extends beyond the points.
ℓ, ρ and η are those of the highest marginal likelihood on a grid (equation 5.8, with σ² at its maximum).
"""

import itertools
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float

from reverie.models import samples

LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # ℓ in √d
QUADRATICS = (0.0, 10.0)  # ρ
NOISES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # η
MOST = 200  # points of a fit: more of them cost much


class GaussianProcess(NamedTuple):
    """A fitted function."""

    points: Float[np.ndarray, "K d"]  # standardised and divided by ℓ, as y is
    weights: Float[np.ndarray, "K"]
    centre: Float[np.ndarray, "d"]
    lengths: Float[np.ndarray, "d"]
    quadratic: Float[np.ndarray, ""]  # ρ ℓ⁴
    offset: Float[np.ndarray, ""]  # 1/ℓ²
    mean: Float[np.ndarray, ""]

    def value(self, y: Float[np.ndarray, "B d"]) -> Float[np.ndarray, "B"]:
        """Return the function's values at rows y."""
        s = (y - self.centre) / self.lengths
        return self.mean + _covariance(s, self.points, self.quadratic, self.offset) @ self.weights


class Fit(NamedTuple):
    """A fitted function, and how well such functions explain the values."""

    function: GaussianProcess
    evidence: float  # log marginal likelihood per point, but for a constant


def fit(y: Float[np.ndarray, "P d"], values: Float[np.ndarray, "P"]) -> Fit:
    """Return the function fitted to `values` [P] at rows y, P at least 1.  Of many rows, `MOST` in equal distances are used."""
    if len(y) > MOST:
        chosen = np.linspace(0, len(y) - 1, MOST).astype(int)
        y, values = y[chosen], values[chosen]
    scale, mean, best = samples.scale_of(y), values.mean(), None
    for length, rho in itertools.product(LENGTHS, QUADRATICS):
        size = length * np.sqrt(y.shape[1])
        points = (y - scale.mean) / (scale.std * size)
        quadratic, offset = np.array(rho * size**4), np.array(1.0 / size**2)
        covariance = _covariance(points, points, quadratic, offset)
        for noise in NOISES:
            try:
                factor = scipy.linalg.cho_factor(covariance + noise * np.eye(len(y)), lower=True, check_finite=False)
            except scipy.linalg.LinAlgError:  # only rounding can make it indefinite
                continue
            weights = scipy.linalg.cho_solve(factor, values - mean, check_finite=False)
            fitted = np.mean(weights * (values - mean))  # σ²
            evidence = -0.5 * np.log(max(fitted, np.finfo(float).tiny)) - np.log(np.diagonal(factor[0])).mean()
            if best is None or evidence > best.evidence:
                parts = points, weights, scale.mean, scale.std * size, quadratic, offset, np.array(mean)
                best = Fit(GaussianProcess(*parts), float(evidence))
    assert best is not None
    return best


def _covariance(
    a: Float[np.ndarray, "A d"], b: Float[np.ndarray, "B d"], quadratic: np.ndarray, offset: np.ndarray
) -> Float[np.ndarray, "A B"]:
    """Return k(a, b) [A, B], of points that are divided by ℓ."""
    products = a @ b.T
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * products
    return np.exp(-0.5 * np.maximum(squares, 0.0)) + quadratic * (offset + products) ** 2
