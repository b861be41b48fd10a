"""The quadratic advantage of NAF for one state; `vmap` adds batches.  Gu et al. 2016, section 4."""

import numpy as np
from jaxtyping import Real

from reverie.maths.array_arguments import array, of_arrays
from reverie.maths.array_types import Array, Numbers


def entries(action_dim: int) -> int:
    """Return the number of entries of a lower triangular matrix [m, m].  action_dim: m."""
    return action_dim * (action_dim + 1) // 2


def lower_triangle(flat: Numbers, action_dim: int) -> Real[Array, "... m m"]:
    """Return lower triangular L, whose diagonal is exponentiated and so positive.

    flat: entries [..., m(m+1)/2] row by row: L_00, L_10, L_11, L_20, …, arrays of NumPy or JAX.  action_dim: m.
    """
    flat = array("quadratic.lower_triangle: flat", flat)
    xp = flat.__array_namespace__()
    rows, columns = np.tril_indices(action_dim)
    diagonal = rows == columns
    # The inner `where` keeps exp and its gradient finite off the diagonal, where entries may be large.
    values = xp.where(diagonal, xp.exp(xp.where(diagonal, flat, 0.0)), flat)
    place = np.zeros((entries(action_dim), action_dim * action_dim), np.float32)
    place[np.arange(len(rows)), rows * action_dim + columns] = 1.0  # a product, as only JAX can scatter
    return (values @ place.astype(flat.dtype)).reshape(*flat.shape[:-1], action_dim, action_dim)


@of_arrays
def advantage(action: Real[Array, "m"], mean: Real[Array, "m"], lower: Real[Array, "m m"]) -> Real[Array, ""]:
    """Return the advantage A(x, u) = -½ (u - μ)ᵀ P (u - μ) with P = L Lᵀ.  Gu et al. 2016, NAF section.

    action, mean: u and μ, in [-1, 1].  lower: L, lower triangular with a positive diagonal.
    The advantage is at most 0, and 0 only at `mean`.
    """
    z = lower.T @ (action - mean)  # |z|² = (u - μ)ᵀ P (u - μ), so P is not needed
    return -0.5 * z @ z


def precision_noise(lower: Numbers, noise: Numbers) -> Real[Array, "... m"]:
    """Return noise ε ~ N(0, c P⁻¹) with c = m / tr P⁻¹.  Gu et al. 2016, appendix 8.2.

    lower: L [..., m, m] with P = L Lᵀ.  noise: standard normal [..., m].

    The paper leaves the adaptive scaling c open. Here E|ε|² = m in each state, as for standard normal noise. So P
    changes the shape of the noise but not its size, and noise_scale has the same meaning for all kinds of noise.
    """
    lower, noise = (array("quadratic.precision_noise", part) for part in (lower, noise))
    xp = noise.__array_namespace__()
    # Because of c the result does not depend on the scale of L. This scaling only avoids overflow.
    scaled = lower / xp.max(xp.abs(lower), axis=(-2, -1), keepdims=True)
    inverse = xp.linalg.inv(scaled)  # P⁻¹ = L⁻ᵀ L⁻¹, so L⁻ᵀ z has covariance P⁻¹
    size = xp.sqrt(noise.shape[-1] / xp.sum(inverse * inverse, axis=(-2, -1)))  # tr P⁻¹ = |L⁻¹|²
    return size[..., None] * (inverse.mT @ noise[..., None])[..., 0]
