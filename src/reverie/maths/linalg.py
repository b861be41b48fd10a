"""Linear algebra of small symmetric matrices: pure functions of JAX arrays. They return flags and raise no errors."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike
from jaxtyping import Bool, Real

from reverie.maths.array_arguments import of_arrays
from reverie.maths.array_types import Array

ELIMINATED = 16  # up to this many rows, unrolled elimination is faster in a compiled loop than calls of a library

Kind = TypeVar("Kind", bound=jax.Array | np.ndarray)


def finite_flag(*trees: Any) -> Bool[jax.Array, ""]:
    """Return whether all numbers of some pytrees of arrays are finite.  Pure."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(trees)]))


@of_arrays
def symmetrise(matrix: Real[Kind, "*b n n"]) -> Real[Kind, "*b n n"]:
    """Return ½ (M + Mᵀ) for matrices M of NumPy or JAX."""
    return 0.5 * (matrix + matrix.mT)  # type: ignore[return-value]


@of_arrays
def solve_positive(
    matrix: Real[Array, "m m"], right: Real[Array, "m r"]
) -> tuple[Real[jax.Array, "m r"], Bool[jax.Array, ""]]:
    """Return (M⁻¹ R, whether M is positive definite). If it is not, the first is 0.

    matrix: symmetric M.  right: R. The method is Gauss-Jordan elimination without pivoting: M is positive
    definite if and only if all pivots are positive.
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
def cholesky(matrix: Real[Array, "*b m m"]) -> tuple[Real[jax.Array, "*b m m"], Bool[jax.Array, "*b"]]:
    """Return (L with M = L Lᵀ, whether M is positive definite).

    matrix: symmetric M. If it is not positive definite, or not finite, L is the identity, so that later
    results stay finite.
    """
    lower = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    positive = jnp.all(jnp.isfinite(lower), axis=(-1, -2))
    eye = jnp.eye(matrix.shape[-1], dtype=matrix.dtype)
    return jnp.where(positive[..., None, None], lower, eye), positive


@of_arrays
def cholesky_solve(lower: Real[Array, "m m"], right: Real[Array, "m r"]) -> Real[jax.Array, "m r"]:
    """Return (L Lᵀ)⁻¹ R for lower triangular L."""
    return solve_triangular(lower, solve_triangular(lower, right, lower=True), trans=1, lower=True)


@of_arrays
def inverse(lower: Real[Array, "m m"]) -> Real[jax.Array, "m m"]:
    """Return (L Lᵀ)⁻¹ for lower triangular L: the covariance that belongs to a precision, or the reverse."""
    return symmetrise(cholesky_solve(lower, jnp.eye(lower.shape[-1], dtype=lower.dtype)))


@of_arrays
def log_determinant(lower: Real[Array, "*b m m"]) -> Real[jax.Array, "*b"]:
    """Return log det (L Lᵀ) of Cholesky factors L."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(lower, axis1=-1, axis2=-2)), axis=-1)


@of_arrays
def eigenvalues_clipped(
    matrix: Real[Array, "*b d d"], low: Real[ArrayLike, ""] = 0.0, high: float | None = None
) -> Real[jax.Array, "*b d d"]:
    """Return symmetric matrices M with eigenvalues clipped to [low, high].

    low: lower limit; with 0 the result is the nearest positive semidefinite matrix in the Frobenius norm.
    high: upper limit; None: no limit. Then a Cholesky factorisation first tests whether no eigenvalue is below `low`,
    by more than 1e-12 of the largest entry. If so all matrices are returned as they are, which is much faster.
    """

    def clipped(matrix: Array) -> jax.Array:
        values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=False)
        return symmetrise((vectors * jnp.clip(values, low, high)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2))

    if high is not None:
        return clipped(matrix)
    slack = 1e-12 * jnp.max(jnp.abs(matrix)) - low
    above = cholesky(matrix + slack * jnp.eye(matrix.shape[-1], dtype=matrix.dtype))[1]
    return jax.lax.cond(jnp.all(above), lambda m: m, clipped, matrix)
