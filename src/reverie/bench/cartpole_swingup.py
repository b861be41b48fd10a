"""Problems that planners are timed on: the swing-up of a cart-pole, and a large linear-quadratic problem.

Cart-pole: Barto, Sutton & Anderson 1983.  x = (position, θ from upright, and their rates), u in 10 N, explicit Euler.
The pole must be upright within 150 steps of 20 ms, from hanging at rest.  The best known cost is 2.64751.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Linear

CART, POLE, HALF, GRAVITY, FORCE = 1.0, 0.1, 0.5, 9.8, 10.0  # kg, kg, m, m/s², N
TOTAL = CART + POLE
DT, STEPS, REACHED = 0.02, 150, 2.6476
HANGING = np.array([0.0, np.pi, 0.0, 0.0])
SCALES = np.array([0.1, 0.01, 0.01, 0.1])  # weights of the squares of position, both rates and u


def dynamics(x: jax.Array, u: jax.Array, t: jax.Array) -> jax.Array:
    """Return the state [4] after one step."""
    del t
    sine, cosine = jnp.sin(x[1]), jnp.cos(x[1])
    push = (FORCE * u[0] + POLE * HALF * x[3] ** 2 * sine) / TOTAL
    turn = (GRAVITY * sine - cosine * push) / (HALF * (4.0 / 3.0 - POLE * cosine**2 / TOTAL))
    return x + DT * jnp.stack([x[2], x[3], push - POLE * HALF * turn * cosine / TOTAL, turn])


def cost(x: jax.Array, u: jax.Array, t: jax.Array) -> jax.Array:
    """Return the cost of one step."""
    del t
    squares = jnp.stack([x[0], x[2], x[3], u[0]]) ** 2
    return DT * (1.0 - jnp.cos(x[1]) + jnp.sum(SCALES * squares))


def final(x: jax.Array) -> jax.Array:
    """Return the cost of the last state."""
    return 2.0 * (1.0 - jnp.cos(x[1]) + 0.1 * (x[0] ** 2 + x[2] ** 2 + x[3] ** 2))


def by_hand(x: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x', ∂x'/∂x [4, 4] and ∂x'/∂u [4, 1] in plain Python, for peers whose models are in Python."""
    sine, cosine, rate = math.sin(x[1]), math.cos(x[1]), x[3]
    force = POLE * HALF / TOTAL
    inertia = HALF * (4.0 / 3.0 - POLE * cosine**2 / TOTAL)
    push = FORCE * u[0] / TOTAL + force * rate**2 * sine
    turn = (GRAVITY * sine - cosine * push) / inertia
    push_angle, push_rate, push_u = force * rate**2 * cosine, 2.0 * force * rate * sine, FORCE / TOTAL
    widened = 2.0 * force * cosine * sine  # ∂ inertia / ∂θ
    turn_angle = (GRAVITY * cosine + sine * push - cosine * push_angle - turn * widened) / inertia
    turn_rate, turn_u = -cosine * push_rate / inertia, -cosine * push_u / inertia
    A, B = np.eye(4), np.zeros((4, 1))
    A[0, 2] = A[1, 3] = DT
    A[2, 1] = DT * (push_angle - force * (turn_angle * cosine - turn * sine))
    A[2, 3] = DT * (push_rate - force * turn_rate * cosine)
    A[3, 1], A[3, 3] = DT * turn_angle, 1.0 + DT * turn_rate
    B[2, 0], B[3, 0] = DT * (push_u - force * turn_u * cosine), DT * turn_u
    return x + DT * np.array([x[2], rate, push - force * turn * cosine, turn]), A, B


def controls(seed: int) -> np.ndarray:
    """Return initial controls [150, 1]."""
    return 0.1 * np.random.default_rng(seed).standard_normal((STEPS, 1))


def regulator(n: int = 40, m: int = 10, T: int = 100) -> tuple[Linear, QuadraticCost]:
    """Return x' = A x + B u with spectral radius 0.95, and the cost ½ Σ xᵀx + 0.1 uᵀu, the same at all T steps."""
    generator = np.random.default_rng(0)
    A = generator.standard_normal((n, n))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    F = np.hstack([A, generator.standard_normal((n, m)) / np.sqrt(n)])
    C = np.diag([1.0] * n + [0.1] * m)
    model = Linear(np.tile(F, (T, 1, 1)), np.zeros((T, n)), None)
    return model, QuadraticCost(
        np.tile(C, (T, 1, 1)), np.zeros((T, n + m)), np.zeros(T), np.eye(n), np.zeros(n), np.zeros(())
    )
