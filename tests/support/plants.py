"""Systems to control, and the steps of solvers written out in NumPy."""

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from reverie.bench import cartpole_swingup
from reverie.control import ilqg
from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Linear


def definite(generator, d, *leading):
    root = generator.standard_normal((*leading, d, d + 2))
    return root @ root.swapaxes(-1, -2) / d + 0.1 * np.eye(d)


def random_lqr(generator, n, m, T, noise=0.0):
    """Return time-varying affine dynamics and a convex cost with cross terms, everything random."""
    F = generator.standard_normal((T, n, n + m)) / np.sqrt(n + m)
    dynamics = Linear(F, generator.standard_normal((T, n)), noise * definite(generator, n, T))
    cost = QuadraticCost(
        definite(generator, n + m, T),
        generator.standard_normal((T, n + m)),
        generator.standard_normal(T),
        definite(generator, n),
        generator.standard_normal(n),
        np.float64(generator.standard_normal()),
    )
    return dynamics, cost


def rolled(dynamics, cost, act, x, noise=None):
    """Return states, actions and the cost to go from each step on, under act(t, x)."""
    X, U, costs = [x], [], []
    for t in range(len(dynamics.F)):
        u = act(t, X[-1])
        y = np.concatenate([X[-1], u])
        costs.append(0.5 * y @ cost.C[t] @ y + cost.c[t] @ y + cost.c0[t])
        U.append(u)
        X.append(dynamics.F[t] @ y + dynamics.f[t] + (0.0 if noise is None else noise[t]))
    x = X[-1]
    costs.append(0.5 * x @ cost.V @ x + cost.v @ x + cost.v0)
    return np.array(X), np.array(U), np.cumsum(costs[::-1])[::-1]


def _linear(F, f, x, u, t):
    return jnp.asarray(F)[t] @ jnp.concatenate([x, u]) + jnp.asarray(f)[t]


def _quadratic(C, c, c0, x, u, t):
    y = jnp.concatenate([x, u])
    C, c, c0 = (jnp.asarray(part)[t] for part in (C, c, c0))
    return 0.5 * y @ C @ y + c @ y + c0


def _final(V, v, v0, x):
    return 0.5 * x @ V @ x + v @ x + v0


def functions(dynamics, cost):
    """Return the JAX functions of a linear-quadratic problem, as `ilqg.problem` takes them."""
    return (
        Partial(_linear, dynamics.F, dynamics.f),
        Partial(_quadratic, cost.C, cost.c, cost.c0),
        Partial(_final, cost.V, cost.v, cost.v0),
    )


SWING_UP = ilqg.problem(cartpole_swingup.dynamics, cartpole_swingup.cost, cartpole_swingup.final)


def backward(expansion, regularisation):
    """Return K and k, by Tassa et al. 2012, equations 5 and 6 with λ in control space, in NumPy."""
    A, B, l_x, l_u, l_xx, l_ux, l_uu, v, V = map(np.asarray, expansion)
    K, k = [], []
    for t in reversed(range(len(A))):
        Qx, Qu = l_x[t] + A[t].T @ v, l_u[t] + B[t].T @ v
        Qxx, Qux = l_xx[t] + A[t].T @ V @ A[t], l_ux[t] + B[t].T @ V @ A[t]
        Quu = l_uu[t] + B[t].T @ V @ B[t]
        inverse = np.linalg.inv(Quu + regularisation * np.eye(len(Quu)))
        K.append(-inverse @ Qux)
        k.append(-inverse @ Qu)
        v = Qx + K[-1].T @ Quu @ k[-1] + K[-1].T @ Qu + Qux.T @ k[-1]
        V = Qxx + K[-1].T @ Quu @ K[-1] + K[-1].T @ Qux + Qux.T @ K[-1]
    return np.array(K[::-1]), np.array(k[::-1])
