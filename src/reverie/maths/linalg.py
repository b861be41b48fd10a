"""Small symmetric matrices: pure, of NumPy or JAX arrays inside `jit`, with flags in place of errors.

Time-varying problems meet thousands of matrices of a few rows.  There a library call costs more than its arithmetic, so
up to SMALL rows the loops are written out, and run over all leading axes [...] at once.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

SMALL = 4  # rows up to which a Cholesky factor is written out


def symmetrise(matrix):
    """Return ½ (M + Mᵀ) of matrices [..., n, n]."""
    return 0.5 * (matrix + jnp.swapaxes(matrix, -1, -2))


def cholesky(matrix):
    """Return (L, positive): M = L Lᵀ of symmetric [..., m, m], and [...] whether M is positive definite.

    Where it is not (or is not finite), L is the identity, so that what follows stays finite.
    """
    m = matrix.shape[-1]
    lower = _written_out(matrix) if m <= SMALL else jnp.linalg.cholesky(matrix, symmetrize_input=False)
    positive = jnp.all(jnp.isfinite(lower), axis=(-1, -2))
    return jnp.where(positive[..., None, None], lower, jnp.eye(m, dtype=matrix.dtype)), positive


def _written_out(matrix):
    """Return the Cholesky factor, entry by entry; a pivot that is not positive gives NaN."""
    m = matrix.shape[-1]
    zero = jnp.zeros_like(matrix[..., 0, 0])
    L = [[zero] * m for _ in range(m)]
    for j in range(m):
        pivot = matrix[..., j, j] - sum(L[j][k] ** 2 for k in range(j))
        L[j][j] = jnp.sqrt(jnp.where(pivot > 0, pivot, jnp.nan))
        for i in range(j + 1, m):
            L[i][j] = (matrix[..., i, j] - sum(L[i][k] * L[j][k] for k in range(j))) / L[j][j]
    return jnp.stack([jnp.stack(row, -1) for row in L], -2)


def cholesky_solve(lower, right):
    """Return (L Lᵀ)⁻¹ R for L [m, m] and R [m, r]."""
    m = lower.shape[-1]
    if m > SMALL:
        return solve_triangular(lower, solve_triangular(lower, right, lower=True), trans=1, lower=True)
    rows = []
    for i in range(m):
        rows.append((right[i] - sum(lower[i, k] * rows[k] for k in range(i))) / lower[i, i])
    for i in reversed(range(m)):
        rows[i] = (rows[i] - sum(lower[k, i] * rows[k] for k in range(i + 1, m))) / lower[i, i]
    return jnp.stack(rows)


def inverse(lower):
    """Return (L Lᵀ)⁻¹ for L [m, m]: the covariance of a precision, or the reverse."""
    return symmetrise(cholesky_solve(lower, jnp.eye(lower.shape[-1], dtype=lower.dtype)))


def log_determinant(lower):
    """Return log det (L Lᵀ) of factors [..., m, m]."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(lower, axis1=-1, axis2=-2)), axis=-1)


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
