"""Problems for iLQG: roll actions out, and expand dynamics and costs about a trajectory.

`problem` makes one from JAX functions. Any other pair of functions will do, such as those of a simulator in NumPy.
States need not be vectors: they may hold quaternions, for example. Only `rollout` takes differences of states, and the
derivatives of `expand` may be in tangent coordinates of another dimension.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from reverie.control import shapes


class Expansion(NamedTuple):
    """Dynamics to first order and costs to second order about a trajectory; n: dimension of state differences."""

    A: Any  # [T, n, n], ∂x'/∂x
    B: Any  # [T, n, m], ∂x'/∂u
    l_x: Any  # [T, n]
    l_u: Any  # [T, m]
    l_xx: Any  # [T, n, n]
    l_ux: Any  # [T, m, n]
    l_uu: Any  # [T, m, m]
    final_x: Any  # [n], of the last state's cost
    final_xx: Any  # [n, n]


class Problem(NamedTuple):
    """What iLQG needs: the functions `rollout` and `expand`."""

    rollout: Callable[..., Any]
    """(x_hat [T + 1, ·], u_hat [T, m], K [T, m, n], k [T, m], alphas [S]) -> (X [S, T + 1, ·], U [S, T, m], J [S]).

    It rolls out u = û + α k + K (x - x̂) from x_hat[0], clipped to the bounds if there are any. U are the clipped
    actions."""
    expand: Callable[..., Expansion]
    """(X [T + 1, ·], U [T, m]) -> Expansion."""
    tangent: int | None = None
    """Dimension n of state differences; None: the length of x."""


def problem(dynamics, cost, terminal, low=None, high=None, start=0, length=None) -> Problem:
    """Return the problem of JAX functions dynamics(x, u, t) -> x', cost(x, u, t) -> [], terminal(x) -> [].

    low, high: bounds of actions, numbers or [m]; give `Options` the same.  start: t of the first step.
    length: number of steps that count, at most T. In later steps the state does not change, there is no cost, and
    actions keep their values. So plans of all lengths have arrays of one shape.

    Functions that carry arrays may be `jax.tree_util.Partial`. Nothing is compiled again for the same functions with
    other bounds, starts or lengths.  Raises SpaceError where a bound is not a number or an array.
    """
    parts = [f if isinstance(f, Partial) else Partial(f) for f in (dynamics, cost, terminal)]
    bounds = tuple(_end(name, end) for name, end in (("low", low), ("high", high)))
    dynamics, cost, terminal = parts
    return Problem(
        Partial(_rollout, dynamics, cost, terminal, bounds, start, length),
        Partial(_expand, dynamics, cost, terminal, start, length),
    )


def _end(name: str, end: Any) -> Any:
    """Return a bound of actions as a number or an array.  Raises SpaceError where it is neither."""
    if end is None:
        return -np.inf if name == "low" else np.inf
    return end if isinstance(end, int | float) else shapes.real("problem", name, end)


def _times(steps: int, start, length):
    """Return t of each step [T], and whether it counts [T]."""
    number = jnp.arange(steps)
    return start + number, number < (steps if length is None else length)


def _rollout(dynamics, cost, terminal, bounds, start, length, x_hat, u_hat, K, k, alphas):
    times, counts = _times(len(u_hat), start, length)
    low, high = (jnp.asarray(bound, u_hat.dtype) for bound in bounds)

    def one(alpha):
        def step(x, now):
            x_hat, u_hat, K, k, t, counts = now
            u = jnp.clip(u_hat + alpha * k + K @ (x - x_hat), low, high)
            return jnp.where(counts, dynamics(x, u, t), x), (x, u)

        last, (X, U) = jax.lax.scan(step, x_hat[0], (x_hat[:-1], u_hat, K, k, times, counts))
        stage = jnp.where(counts, jax.vmap(cost)(X, U, times), 0.0)
        return jnp.concatenate([X, last[None]]), U, jnp.sum(stage) + terminal(last)

    return jax.vmap(one)(alphas)


def _expand(dynamics, cost, terminal, start, length, X, U) -> Expansion:
    n, m = X.shape[1], U.shape[1]
    times, counts = _times(len(U), start, length)
    Y = jnp.concatenate([X[:-1], U], axis=1)

    def of_y(function):
        return lambda y, t: function(y[:n], y[n:], t)

    F = jax.vmap(jax.jacfwd(of_y(dynamics)))(Y, times)
    c = jax.vmap(jax.grad(of_y(cost)))(Y, times)
    C = jax.vmap(jax.hessian(of_y(cost)))(Y, times)
    idle = np.diag(np.arange(n + m) >= n).astype(float)  # curvature in actions only: their best change is 0
    F = jnp.where(counts[:, None, None], F, jnp.eye(n, n + m, dtype=F.dtype))
    c = jnp.where(counts[:, None], c, 0.0)
    C = jnp.where(counts[:, None, None], C, jnp.asarray(idle, C.dtype))
    return Expansion(
        A=F[:, :, :n],
        B=F[:, :, n:],
        l_x=c[:, :n],
        l_u=c[:, n:],
        l_xx=C[:, :n, :n],
        l_ux=C[:, n:, :n],
        l_uu=C[:, n:, n:],
        final_x=jax.grad(terminal)(X[-1]),
        final_xx=jax.hessian(terminal)(X[-1]),
    )


def padded(inner: Problem, length: int) -> Problem:
    """Return a problem of any T >= length steps, made from `inner`, a problem of `length` steps and NumPy functions.

    As with `length` of `problem`: in later steps the state does not change, there is no cost, and actions keep their
    values.
    """

    def rollout(x_hat, u_hat, K, k, alphas):
        X, U, J = inner.rollout(x_hat[: length + 1], u_hat[:length], K[:length], k[:length], alphas)
        idle = u_hat[length:] + alphas[:, None, None] * k[length:]
        return np.concatenate([X, np.repeat(X[:, -1:], idle.shape[1], 1)], 1), np.concatenate([U, idle], 1), J

    def expand(X, U) -> Expansion:
        found = inner.expand(X[: length + 1], U[:length])
        n, m = found.B.shape[1:]
        rest = len(U) - length
        idle = [np.eye(n), np.zeros((n, m)), np.zeros(n), np.zeros(m), np.zeros((n, n)), np.zeros((m, n)), np.eye(m)]
        stages = {
            name: np.concatenate([part, np.broadcast_to(still, (rest, *still.shape))])
            for name, part, still in zip(Expansion._fields[:7], found[:7], idle, strict=True)
        }
        return found._replace(**stages)

    return Problem(rollout, expand, inner.tangent)
