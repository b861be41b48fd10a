"""The quadratic advantage of NAF, one state at a time; `vmap` adds batches.  Gu et al. 2016, section 4."""

import numpy as np

from reverie.maths.array_arguments import array, of_arrays


def entries(action_dim: int) -> int:
    """Return how many numbers a lower triangular matrix [m, m] holds."""
    return action_dim * (action_dim + 1) // 2


def lower_triangle(flat, action_dim: int):
    """Return L [..., m, m], lower triangular with an exponentiated (so positive) diagonal, from [..., m(m+1)/2] numbers.

    Rows are filled in order: L_00, L_10, L_11, L_20, …  NumPy or JAX arrays.
    """
    flat = array("quadratic.lower_triangle: flat", flat)
    xp = flat.__array_namespace__()
    rows, columns = np.tril_indices(action_dim)
    diagonal = rows == columns
    # The inner where keeps exp (and its gradient) finite off the diagonal, where entries are free to grow.
    values = xp.where(diagonal, xp.exp(xp.where(diagonal, flat, 0.0)), flat)
    place = np.zeros((entries(action_dim), action_dim * action_dim), np.float32)
    place[np.arange(len(rows)), rows * action_dim + columns] = 1.0  # a product, since only JAX can scatter out of place
    return (values @ place.astype(flat.dtype)).reshape(*flat.shape[:-1], action_dim, action_dim)


@of_arrays
def advantage(action, mean, lower):
    """A(x, u) = -½ (u - μ)ᵀ P (u - μ) with P = L Lᵀ: a scalar ≤ 0, zero only at `mean`.  Gu et al. 2016, NAF section.

    action, mean: [m], in [-1, 1].  lower: L [m, m], lower triangular, positive diagonal.
    """
    z = lower.T @ (action - mean)  # |z|² = (u - μ)ᵀ P (u - μ), so P is never formed
    return -0.5 * z @ z


def precision_noise(lower, noise):
    """Return ε ~ N(0, c P⁻¹) [..., m] with c = m / tr P⁻¹, from standard normal `noise` [..., m].

    Gu et al. 2016, appendix 8.2.  lower: L [..., m, m] with P = L Lᵀ.
    The paper leaves the adaptive rescaling of c open.  Here E|ε|² = m at every state, the size of plain unit noise, so
    precision gives the noise its shape and never its size: noise_scale keeps one meaning for all kinds of noise.
    """
    lower, noise = (array("quadratic.precision_noise", part) for part in (lower, noise))
    xp = noise.__array_namespace__()
    # c makes the result independent of L's scale; this only avoids overflow
    scaled = lower / xp.max(xp.abs(lower), axis=(-2, -1), keepdims=True)
    inverse = xp.linalg.inv(scaled)  # P⁻¹ = L⁻ᵀ L⁻¹, so L⁻ᵀ z has covariance P⁻¹
    size = xp.sqrt(noise.shape[-1] / xp.sum(inverse * inverse, axis=(-2, -1)))  # tr P⁻¹ = |L⁻¹|²
    return size[..., None] * (inverse.mT @ noise[..., None])[..., 0]
