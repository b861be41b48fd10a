"""Time-varying linear-Gaussian controllers, u_t = K_t x + k_t + L_t ε with ε ~ N(0, I), in absolute coordinates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from reverie.control import shapes
from reverie.core.errors import ConfigError
from reverie.maths.array_arguments import array, of_arrays
from reverie.maths.array_types import Array, Numbers
from reverie.maths.linalg import cholesky, inverse, log_determinant
from reverie.maths.precision import double

HALVINGS = 200  # of the interval of log c, which gives all bits of float64


class Controller(NamedTuple):
    """u ~ N(K_t x + k_t, Σ_t) with Σ_t = L_t L_tᵀ, for steps t = 0 … T - 1."""

    K: Float[Array, "T m n"]
    k: Float[Array, "T m"]
    chol: Float[Array, "T m m"]  # L: lower triangular, positive diagonal

    @property
    def covariance(self) -> Real[Array, "T m m"]:
        """Return Σ."""
        chol = array("Controller: chol", self.chol)
        return chol @ chol.swapaxes(-1, -2)

    def act(self, t: int, x: Numbers, noise: Numbers) -> Real[np.ndarray, "m"]:
        """Return the action at step t in state x [n].  noise: standard normal [m]; 0 gives the mean."""
        K, k, chol = (array("Controller", part[t]) for part in self)
        action = K @ array("Controller.act: x", x) + k + chol @ array("Controller.act: noise", noise)
        return np.asarray(action)


@of_arrays
def offsets(
    states: Real[Array, "T+1 n"],
    actions: Real[Array, "T m"],
    K: Real[Array, "T m n"],
    k: Real[Array, "T m"],
    alpha: Real[ArrayLike, ""] = 1.0,
) -> Real[Array, "T m"]:
    """Return the offsets k_abs = û + α k - K x̂, such that K x + k_abs = û + α k + K (x - x̂).

    states: x̂, vectors without quaternions.  actions: û.  alpha: α.
    """
    return actions + alpha * k - (K @ states[:-1, :, None])[..., 0]


@of_arrays
def log_density(
    controller: Controller, X: Real[Array, "T+1 n"] | Real[Array, "T n"], U: Real[Array, "T m"]
) -> Real[Array, "T"]:
    """Return log π_t(u_t | x_t) of actions U in states X.  Pure."""

    def one(K: Array, k: Array, L: Array, x: Array, u: Array) -> Array:
        z = jax.scipy.linalg.solve_triangular(L, u - K @ x - k, lower=True)
        return -0.5 * (z @ z + log_determinant(L) + u.shape[0] * jnp.log(2 * jnp.pi))

    return jax.vmap(one)(*controller, X[: len(U)], U)


@of_arrays
def precision(controller: Controller) -> Real[Array, "T m m"]:
    """Return Σ⁻¹.  Pure."""
    return jax.vmap(inverse)(jnp.asarray(controller.chol))


@of_arrays
def factor(Quu: Real[Array, "T m m"]) -> Real[Array, "T m m"]:
    """Return lower Cholesky factors of Q⁻¹.  Quu: positive definite Q.  Pure."""
    return cholesky(jax.vmap(inverse)(cholesky(Quu)[0]))[0]


def _maximum_entropy(
    K: Float[Array, "T m n"],
    k: Float[Array, "T m"],
    Quu: Float[Array, "T m m"],
    sigma: Float[ArrayLike, ""],
    sigma_min: Float[ArrayLike, ""],
    sigma_max: Float[ArrayLike, ""],
) -> Controller:
    curvature, vectors = jnp.linalg.eigh(Quu)
    low, high = sigma_min**2, sigma_max**2

    def variances(log_c: Array) -> Array:
        return jnp.clip(jnp.exp(log_c) / curvature, low, high)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = ends
        middle = 0.5 * (a + b)
        less = jnp.mean(variances(middle)) < sigma**2
        return jnp.where(less, middle, a), jnp.where(less, b, middle)

    # At the ends of this interval of log c, all eigenvalues are clipped to their minimum and to their maximum.
    ends = jnp.log(low * jnp.min(curvature)), jnp.log(high * jnp.max(curvature))
    a, b = jax.lax.fori_loop(0, HALVINGS, halve, ends)
    log_c = 0.5 * (a + b)
    covariance = (vectors * variances(log_c)[:, None, :]) @ jnp.swapaxes(vectors, 1, 2)
    return Controller(K, k, cholesky(covariance)[0])


_maximum_entropy_d = double(_maximum_entropy)


def maximum_entropy(
    K: Numbers, k: Numbers, Quu: Numbers, sigma: float, sigma_min: float, sigma_max: float
) -> Controller:
    """Return the controller u ~ N(K x + k, c Q_uu⁻¹), which minimises E[cost] - c entropy.

    K: [T, m, n], and k: [T, m], in absolute coordinates.  Quu: positive definite [T, m, m].
    sigma: standard deviation of the noise, as a root mean square over steps and actions.  sigma_min, sigma_max: limits
    of its standard deviation in any direction. All are in the unit of actions, with 0 < sigma_min <= sigma <=
    sigma_max.

    The paper gives no value of c. Here c is such that mean_t tr(Σ_t) / m = sigma². The eigenvalues of each Σ_t are
    clipped to [sigma_min², sigma_max²], because Σ grows without limit where the cost is flat.

    Raises SpaceError where shapes do not fit, and ConfigError where a number is out of range.
    Source: Gu et al. 2016, appendix 8.1.
    """
    where = "controller.maximum_entropy"
    K, k, Quu = shapes.fit(where, K=K, k=k, Quu=Quu)
    numbers = (("sigma", sigma), ("sigma_min", sigma_min), ("sigma_max", sigma_max))
    sigma, sigma_min, sigma_max = (shapes.positive(f"{where}: {name}", value) for name, value in numbers)
    if not sigma_min <= sigma <= sigma_max:
        raise ConfigError(f"0 < sigma_min = {sigma_min} <= sigma = {sigma} <= sigma_max = {sigma_max} does not hold")
    return _maximum_entropy_d(K, k, Quu, sigma, sigma_min, sigma_max)
