"""The linear-quadratic regulator: minimise E Σ_t ℓ_t(x_t, u_t) + ℓ_T(x_T) over affine controllers u = K x + k.

Dynamics are x' = F_t y + f_t + noise of covariance Σ_t. Costs are ℓ_t(y) = ½ yᵀ C_t y + c_tᵀ y + c0_t. Here y = [x; u],
in absolute coordinates, with n states, m actions, d = n + m, and steps t = 0 … T - 1. The value of a state is
½ xᵀ V x + vᵀ x + v0.

`backward`, `moments` and `expected_cost` are pure, keep the precision of their arguments, and can be mapped over
problems by `jax.vmap`. `solve` takes and returns NumPy's float64. `infinite` is for problems without an end.
"""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int, Real

from reverie.control import shapes
from reverie.control.controller import Controller
from reverie.control.infinite_horizon import StationaryRegulator, infinite
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.maths.array_arguments import of_arrays
from reverie.maths.array_types import Array, Numbers
from reverie.maths.linalg import solve_positive, symmetrise
from reverie.maths.precision import double


class QuadraticCost(NamedTuple):
    """Costs ½ yᵀ C_t y + c_tᵀ y + c0_t of steps and ½ xᵀ V x + vᵀ x + v0 of the last state, in absolute coordinates."""

    C: Float[Array, "T d d"]  # symmetric
    c: Float[Array, "T d"]
    c0: Float[Array, "T"]
    V: Float[Array, "n n"]  # symmetric
    v: Float[Array, "n"]
    v0: Float[ArrayLike, ""]


class Riccati(NamedTuple):
    """The best controller u = K_t x + k_t, and its cost from step t on: ½ xᵀ V_t x + v_tᵀ x + v0_t."""

    K: Float[Array, "T m n"]
    k: Float[Array, "T m"]
    V: Float[Array, "T+1 n n"]
    v: Float[Array, "T+1 n"]
    v0: Float[Array, "T+1"]
    Quu: Float[Array, "T m m"]  # without regularisation
    status: Int[Array, ""]  # DONE, NOT_POSITIVE_DEFINITE (gains are 0 at such steps) or NONFINITE_MODEL


_Value: TypeAlias = tuple[Float[Array, "n n"], Float[Array, "n"]]  # V, v
_Stage: TypeAlias = tuple[Float[Array, "n d"], Float[Array, "n"], Float[Array, "d d"], Float[Array, "d"]]  # F, f, C, c


@of_arrays
def backup(
    V: Real[Array, "n n"], v: Real[Array, "n"], F: Real[Array, "n d"], C: Real[Array, "d d"], c: Real[Array, "d"]
) -> tuple[Real[Array, "d d"], Real[Array, "d"]]:
    """Return Q and q, such that ½ yᵀ Q y + qᵀ y is the cost of this step plus the next value, for x' = F y.

    V, v: Hessian and gradient of the next value.  C, c: Hessian and gradient of the cost. All are taken about one point.
    """
    return C + F.T @ (V @ F), c + F.T @ v


@of_arrays
def gains(
    Q: Real[Array, "d d"], q: Real[Array, "d"], n: int, regularisation: Real[ArrayLike, ""] | None
) -> tuple[Real[Array, "m n"], Real[Array, "m"], Bool[Array, ""]]:
    """Return (K, k, whether Q_uu + λ I is positive definite). If it is not, K and k are 0.

    n: size of x.  regularisation: λ; None: 0.
    """
    H = Q[n:, n:]
    if regularisation is not None:
        H = H + regularisation * jnp.eye(q.shape[0] - n, dtype=Q.dtype)
    both, positive = solve_positive(H, jnp.concatenate([Q[n:, :n], q[n:, None]], axis=1))
    return -both[:, :n], -both[:, n], positive


@of_arrays
def value_update(
    Q: Real[Array, "d d"],
    q: Real[Array, "d"],
    K: Real[Array, "m n"],
    k: Real[Array, "m"],
    regularisation: Real[ArrayLike, ""] | None,
) -> tuple[Real[Array, "n n"], Real[Array, "n"], Real[Array, ""]]:
    """Return V, v and the constant of ½ yᵀ Q y + qᵀ y for y = [x; K x + k].

    K, k: a row of (Q_uu + λ I) [K k] + [Q_ux q_u] must be 0 unless that row of K is 0, as it is for `gains`. Then
    Kᵀ (Q_uu K + Q_ux) = -λ Kᵀ K. The shorter V = Q_xx + Q_xu K holds only for λ = 0.
    regularisation: λ; None: 0.
    """
    n = K.shape[1]
    Quu, Qu, across = Q[n:, n:], q[n:], Q[n:, :n]
    if regularisation is not None:
        across = across - regularisation * K
    return symmetrise(Q[:n, :n] + across.T @ K), q[:n] + across.T @ k, (0.5 * Quu @ k + Qu) @ k


def backward(dynamics: Linear, cost: QuadraticCost, regularisation: Real[ArrayLike, ""] | None = None) -> Riccati:
    """Return the best controller by one backward pass.  Pure.

    regularisation: λ ≥ 0. It is added to the diagonal of Q_uu to compute gains; values are those of these gains. None
    means 0, and is faster.  Raises SpaceError where shapes do not fit.
    """
    dynamics, cost = shapes.alike(shapes.fit("lqr.backward", dynamics, cost))
    n = cost.v.shape[0]

    def step(after: _Value, now: _Stage):
        V, v = after
        F, f, C, c = now
        Vf = V @ f
        moved = jnp.sum(f * (v + 0.5 * Vf))
        Q, q = backup(V, v + Vf, F, C, c)
        K, k, positive = gains(Q, q, n, regularisation)
        V, v, gained = value_update(Q, q, K, k, regularisation)
        return (V, v), (K, k, V, v, Q[n:, n:], moved + gained, positive)

    last = symmetrise(jnp.asarray(cost.V)), jnp.asarray(cost.v)
    steps = dynamics.F, dynamics.f, cost.C, cost.c
    _, (K, k, V, v, Quu, constant, positive) = jax.lax.scan(step, last, steps, reverse=True)
    V, v = (jnp.concatenate([part, end[None]]) for part, end in zip((V, v), last, strict=True))
    constant += cost.c0
    if dynamics.covariance is not None:
        constant += 0.5 * jnp.sum(V[1:] * dynamics.covariance, axis=(1, 2))
    v0 = jnp.append(constant, cost.v0)[::-1].cumsum()[::-1]
    # A value that is not finite, at any step, makes the value of the first step not finite.
    finite = jnp.all(jnp.isfinite(V[0])) & jnp.all(jnp.isfinite(v[0])) & jnp.isfinite(v0[0])
    status = jnp.where(jnp.all(positive), Status.DONE, Status.NOT_POSITIVE_DEFINITE)
    return Riccati(K, k, V, v, v0, Quu, jnp.where(finite, status, Status.NONFINITE_MODEL))


_backward = double(backward)


def solve(dynamics: Linear, cost: QuadraticCost, regularisation: float = 0.0) -> Riccati:
    """Return the best controller u = K_t x + k_t of a time-varying affine problem, in NumPy's float64.

    regularisation: as in `backward`.  Status: as in `Riccati`.  Raises SpaceError where shapes do not fit, and
    ConfigError where λ is negative.
    """
    dynamics, cost = shapes.fit("lqr.solve", dynamics, cost)
    if shapes.number("lqr.solve: regularisation", regularisation) < 0:
        raise ConfigError(f"lqr.solve: regularisation is {regularisation}; it must be 0 or more")
    return _backward(dynamics, cost, regularisation or None)


def moments(
    dynamics: Linear, controller: Controller, x0_mean: Numbers, x0_covariance: Numbers
) -> tuple[Float[Array, "T+1 n"], Float[Array, "T+1 n n"], Float[Array, "T d"], Float[Array, "T d d"]]:
    """Return mean and covariance of states, and those of y.  Pure.

    x0_mean, x0_covariance: of the first state [n], [n, n].  Raises SpaceError where shapes do not fit.
    """
    fitted = shapes.fit("lqr.moments", dynamics, controller, x0_mean=x0_mean, x0_cov=x0_covariance)
    dynamics, controller, x0_mean, x0_covariance = shapes.alike(fitted)

    def step(state: tuple[Array, Array], now: tuple[Array, Array, Array | None, Array, Array, Array]):
        mean, covariance = state
        F, f, noise, K, k, added = now
        y = jnp.concatenate([mean, K @ mean + k])
        cross = covariance @ K.T
        yy = jnp.concatenate(
            [
                jnp.concatenate([covariance, cross], axis=1),
                jnp.concatenate([cross.T, K @ cross + added], axis=1),
            ]
        )
        moved = F @ yy @ F.T if noise is None else F @ yy @ F.T + noise
        return (F @ y + f, symmetrise(moved)), (mean, covariance, y, yy)

    start = x0_mean, x0_covariance
    F, f, noise = dynamics
    steps = F, f, noise, controller.K, controller.k, controller.covariance
    last, (mean, covariance, y, yy) = jax.lax.scan(step, start, steps)
    return jnp.concatenate([mean, last[0][None]]), jnp.concatenate([covariance, last[1][None]]), y, yy


def expected_cost(
    dynamics: Linear, cost: QuadraticCost, controller: Controller, x0_mean: Numbers, x0_covariance: Numbers
) -> Float[Array, ""]:
    """Return the expected cost E Σ ℓ of a controller with its noise.  Pure.

    x0_mean, x0_covariance: of the first state [n], [n, n].  Raises SpaceError where shapes do not fit.
    """
    dynamics, cost, controller = shapes.alike(shapes.fit("lqr.expected_cost", dynamics, cost, controller))
    means, covariances, y, yy = moments(dynamics, controller, x0_mean, x0_covariance)
    stage = 0.5 * jnp.sum(cost.C * yy) + jnp.sum((0.5 * jnp.einsum("tij,tj->ti", cost.C, y) + cost.c) * y)
    x = means[-1]
    return (
        stage + jnp.sum(cost.c0) + 0.5 * jnp.sum(cost.V * covariances[-1]) + (0.5 * cost.V @ x + cost.v) @ x + cost.v0
    )


__all__ = [
    "QuadraticCost",
    "Riccati",
    "StationaryRegulator",
    "backup",
    "backward",
    "expected_cost",
    "gains",
    "infinite",
    "moments",
    "solve",
    "value_update",
]
