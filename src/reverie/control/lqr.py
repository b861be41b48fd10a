"""The linear-quadratic regulator: min E Σ_t ℓ_t(x_t, u_t) + ℓ_T(x_T) over affine controllers u = K x + k.

x' = F_t y + f_t + noise of covariance Σ_t and ℓ_t(y) = ½ yᵀ C_t y + c_tᵀ y + c0_t with y = [x; u], all in absolute
coordinates: n states, m controls, d = n + m, steps t = 0 … T - 1.  The value of a state is ½ xᵀ V x + vᵀ x + v0.

`backward`, `moments` and `expected_cost` are pure, follow the precision of what they are given, and can be mapped over
problems by `jax.vmap`; `solve` takes and gives NumPy's float64.  For problems that never end: `infinite`, in
`stationary`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from reverie.control import shapes
from reverie.control.controller import Controller
from reverie.control.infinite_horizon import StationaryRegulator, infinite
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.maths.array_arguments import of_arrays
from reverie.maths.linalg import solve_positive, symmetrise
from reverie.maths.precision import double


class QuadraticCost(NamedTuple):
    """Costs in absolute coordinates, to be minimised, and of the last state ½ xᵀ V x + vᵀ x + v0."""

    C: Any  # [T, d, d], symmetric
    c: Any  # [T, d]
    c0: Any  # [T]
    V: Any  # [n, n], symmetric
    v: Any  # [n]
    v0: Any  # []


class Riccati(NamedTuple):
    """The best controller u = K_t x + k_t, and what it costs from step t on: ½ xᵀ V_t x + v_tᵀ x + v0_t."""

    K: Any  # [T, m, n]
    k: Any  # [T, m]
    V: Any  # [T + 1, n, n]
    v: Any  # [T + 1, n]
    v0: Any  # [T + 1]
    Quu: Any  # [T, m, m], without regularisation
    status: Any  # DONE, NOT_POSITIVE_DEFINITE (gains are 0 where it is not) or NONFINITE_MODEL


@of_arrays
def backup(V, v, F, C, c):
    """Return Q [d, d] and q [d]: cost now plus the next value, ½ yᵀ Q y + qᵀ y for x' = F y about a point.

    V, v: Hessian and gradient of the next value at that point.
    """
    return C + F.T @ (V @ F), c + F.T @ v


@of_arrays
def gains(Q, q, n: int, regularisation):
    """Return K, k and whether Q_uu + λ I is positive definite (K = k = 0 if not).  regularisation: λ, None for 0."""
    H = Q[n:, n:]
    if regularisation is not None:
        H = H + regularisation * jnp.eye(q.shape[0] - n, dtype=Q.dtype)
    both, positive = solve_positive(H, jnp.concatenate([Q[n:, :n], q[n:, None]], axis=1))
    return -both[:, :n], -both[:, n], positive


@of_arrays
def value_update(Q, q, K, k, regularisation):
    """Return V, v and the constant of ½ yᵀ Q y + qᵀ y for y = [x; K x + k].

    K, k: such that rows of (Q_uu + λ I) [K k] + [Q_ux q_u] vanish wherever those of K do not, as gains' rows do.  Then
    Kᵀ (Q_uu K + Q_ux) = -λ Kᵀ K.  The shorter V = Q_xx + Q_xu K holds only for λ = 0.
    """
    n = K.shape[1]
    Quu, Qu, across = Q[n:, n:], q[n:], Q[n:, :n]
    if regularisation is not None:
        across = across - regularisation * K
    return symmetrise(Q[:n, :n] + across.T @ K), q[:n] + across.T @ k, (0.5 * Quu @ k + Qu) @ k


def backward(dynamics: Linear, cost: QuadraticCost, regularisation: Any = None) -> Riccati:
    """Return the best controller by one pass back in time.  Pure.

    regularisation: λ ≥ 0 added to the diagonal of Q_uu for the gains alone (None: 0, and faster); values are of the gains
    found.
    """
    dynamics, cost = shapes.alike(*shapes.fit("lqr.backward", dynamics, cost))
    n = cost.v.shape[0]

    def step(after, now):
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
    # Whatever is not finite anywhere ends up in the value of the first step.
    finite = jnp.all(jnp.isfinite(V[0])) & jnp.all(jnp.isfinite(v[0])) & jnp.isfinite(v0[0])
    status = jnp.where(jnp.all(positive), Status.DONE, Status.NOT_POSITIVE_DEFINITE)
    return Riccati(K, k, V, v, v0, Quu, jnp.where(finite, status, Status.NONFINITE_MODEL))


_backward = double(backward)


def solve(dynamics: Linear, cost: QuadraticCost, regularisation: float = 0.0) -> Riccati:
    """Return the best controller u = K_t x + k_t of a time-varying affine problem, in NumPy's float64.

    regularisation: see `backward`.  Status: see `Riccati`.  Raises SpaceError where shapes do not fit.
    """
    dynamics, cost = shapes.fit("lqr.solve", dynamics, cost)
    if shapes.number("lqr.solve: regularisation", regularisation) < 0:
        raise ConfigError(f"lqr.solve: regularisation is {regularisation}; it must be 0 or more")
    return _backward(dynamics, cost, regularisation or None)


def moments(dynamics: Linear, controller: Controller, x0_mean, x0_covariance):
    """Return mean [T + 1, n] and covariance [T + 1, n, n] of states, and of y: [T, d], [T, d, d].  Pure."""
    fitted = shapes.fit("lqr.moments", dynamics, controller, x0_mean=x0_mean, x0_cov=x0_covariance)
    dynamics, controller, x0_mean, x0_covariance = shapes.alike(*fitted)

    def step(state, now):
        mean, spread = state
        F, f, noise, K, k, added = now
        y = jnp.concatenate([mean, K @ mean + k])
        cross = spread @ K.T
        yy = jnp.concatenate(
            [
                jnp.concatenate([spread, cross], axis=1),
                jnp.concatenate([cross.T, K @ cross + added], axis=1),
            ]
        )
        moved = F @ yy @ F.T if noise is None else F @ yy @ F.T + noise
        return (F @ y + f, symmetrise(moved)), (mean, spread, y, yy)

    start = x0_mean, x0_covariance
    last, (mean, spread, y, yy) = jax.lax.scan(
        step, start, (*dynamics, controller.K, controller.k, controller.covariance)
    )
    return jnp.concatenate([mean, last[0][None]]), jnp.concatenate([spread, last[1][None]]), y, yy


def expected_cost(dynamics: Linear, cost: QuadraticCost, controller: Controller, x0_mean, x0_covariance):
    """Return E Σ ℓ [] of a controller, noise included, from x0 ~ N(x0_mean [n], x0_covariance [n, n]).  Pure."""
    dynamics, cost, controller = shapes.alike(*shapes.fit("lqr.expected_cost", dynamics, cost, controller))
    means, spreads, y, yy = moments(dynamics, controller, x0_mean, x0_covariance)
    stage = 0.5 * jnp.sum(cost.C * yy) + jnp.sum((0.5 * jnp.einsum("tij,tj->ti", cost.C, y) + cost.c) * y)
    x = means[-1]
    return stage + jnp.sum(cost.c0) + 0.5 * jnp.sum(cost.V * spreads[-1]) + (0.5 * cost.V @ x + cost.v) @ x + cost.v0


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
