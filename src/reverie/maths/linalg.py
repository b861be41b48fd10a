"""Small symmetric matrices: pure, of JAX arrays, with flags in place of errors."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from reverie.maths.array_arguments import of_arrays

ELIMINATED = 16  # rows up to which elimination, written out, is faster than calls of a library inside a compiled loop


@of_arrays
def symmetrise(matrix):
    """Return ½ (M + Mᵀ) of matrices [..., n, n], NumPy's or JAX's."""
    return 0.5 * (matrix + matrix.mT)


@of_arrays
def solve_positive(matrix, right):
    """Return (M⁻¹ R, positive) for symmetric M [m, m] and R [m, r], and whether M is positive definite (0 if not).

    By Gauss-Jordan elimination, which needs no pivoting here: M is positive definite if and only if all pivots are.
    """
    m = matrix.shape[0]
    if m > ELIMINATED:
        lower, positive = cholesky(matrix)
        return jnp.where(positive, cholesky_solve(lower, right), 0.0), positive
    rows, positive = jnp.concatenate([matrix, right], axis=1), jnp.asarray(True)
    for j in range(m):
        pivot = rows[j, j]
        positive &= pivot > 0
        row = rows[j] / jnp.where(pivot > 0, pivot, 1.0)
        rows = (rows - rows[:, j : j + 1] * row).at[j].set(row)
    return jnp.where(positive, rows[:, m:], 0.0), positive


@of_arrays
def cholesky(matrix):
    """Return (L, positive): M = L Lᵀ of symmetric [..., m, m], and [...] whether M is positive definite.

    Where it is not (or is not finite), L is the identity, so that what follows stays finite.
    """
    lower = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    positive = jnp.all(jnp.isfinite(lower), axis=(-1, -2))
    eye = jnp.eye(matrix.shape[-1], dtype=matrix.dtype)
    return jnp.where(positive[..., None, None], lower, eye), positive


@of_arrays
def cholesky_solve(lower, right):
    """Return (L Lᵀ)⁻¹ R for L [m, m] and R [m, r]."""
    return solve_triangular(lower, solve_triangular(lower, right, lower=True), trans=1, lower=True)


@of_arrays
def inverse(lower):
    """Return (L Lᵀ)⁻¹ for L [m, m]: the covariance of a precision, or the reverse."""
    return symmetrise(cholesky_solve(lower, jnp.eye(lower.shape[-1], dtype=lower.dtype)))


@of_arrays
def log_determinant(lower):
    """Return log det (L Lᵀ) of factors [..., m, m]."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(lower, axis1=-1, axis2=-2)), axis=-1)


@of_arrays
def eigenvalues_clipped(matrix, low: Any = 0.0, high: float | None = None):
    """Return symmetric M [..., d, d] with its eigenvalues clipped to [low, high], numbers; None: no upper bound.

    low = 0: the nearest positive semidefinite matrix in the Frobenius norm.  Where there is no upper bound, a Cholesky
    factor tells far sooner than eigenvalues that none is below `low` (by more than 1e-12 of the largest entry): then
    all come back as they are.
    """

    def clipped(matrix):
        values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=False)
        return symmetrise((vectors * jnp.clip(values, low, high)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2))

    if high is not None:
        return clipped(matrix)
    slack = 1e-12 * jnp.max(jnp.abs(matrix)) - low
    above = cholesky(matrix + slack * jnp.eye(matrix.shape[-1], dtype=matrix.dtype))[1]
    return jax.lax.cond(jnp.all(above), lambda m: m, clipped, matrix)
