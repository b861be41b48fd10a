"""Problems for iLQG: roll actions out, and expand dynamics and costs about a trajectory.

`problem` makes one from JAX functions. Any other pair of functions will do, such as those of a simulator in NumPy.
States need not be vectors: they may hold quaternions, for example. Only `rollout` takes differences of states, and the
derivatives of `expand` may be in tangent coordinates of another dimension.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int, Real

from reverie.control import shapes
from reverie.maths.array_types import Array, Numbers

# Functions of x, u and the time step t, in JAX's arrays
DynamicsFunction: TypeAlias = Callable[[Float[Any, "n"], Float[Any, "m"], Int[Any, ""]], Float[Any, "n"]]
CostFunction: TypeAlias = Callable[[Float[Any, "n"], Float[Any, "m"], Int[Any, ""]], Float[Any, ""]]
FinalCostFunction: TypeAlias = Callable[[Float[Any, "n"]], Float[Any, ""]]


class Expansion(NamedTuple):
    """Dynamics to first order and costs to second order about a trajectory; n: dimension of state differences."""

    A: Float[Array, "T n n"]  # ∂x'/∂x
    B: Float[Array, "T n m"]  # ∂x'/∂u
    l_x: Float[Array, "T n"]
    l_u: Float[Array, "T m"]
    l_xx: Float[Array, "T n n"]
    l_ux: Float[Array, "T m n"]
    l_uu: Float[Array, "T m m"]
    final_x: Float[Array, "n"]  # of the last state's cost
    final_xx: Float[Array, "n n"]


class Rollout(Protocol):
    """Rolls out u = û + α k + K (x - x̂) from x̂_0, clipped to the bounds if there are any."""

    def __call__(
        self,
        x_hat: Float[Any, "T+1 x"],
        u_hat: Float[Any, "T m"],
        K: Float[Any, "T m n"],
        k: Float[Any, "T m"],
        alphas: Float[Any, "S"],
        /,
    ) -> tuple[Float[Array, "S T+1 x"], Float[Array, "S T m"], Float[Array, "S"]]:
        """Return states, clipped actions and costs J for each step length α."""
        ...


class Expand(Protocol):
    """Expands dynamics and costs about a trajectory."""

    def __call__(self, X: Float[Any, "T+1 x"], U: Float[Any, "T m"], /) -> Expansion:
        """Return the expansion about states X and actions U."""
        ...


class Problem(NamedTuple):
    """What iLQG needs: two functions. `ilqg.solve` gives them JAX's arrays, and `ilqg.solve_on_host` NumPy's."""

    rollout: Rollout
    expand: Expand
    tangent: int | None = None
    """Dimension n of state differences; None: the length of x."""


def problem(
    dynamics: DynamicsFunction,
    cost: CostFunction,
    terminal: FinalCostFunction,
    low: Numbers | None = None,
    high: Numbers | None = None,
    start: Int[ArrayLike, ""] = 0,
    length: Int[ArrayLike, ""] | None = None,
) -> Problem:
    """Return the problem of JAX functions dynamics(x, u, t) -> x', cost(x, u, t) -> [], terminal(x) -> [].

    low, high: bounds of actions, numbers or [m]; give `Options` the same.  start: t of the first step.
    length: number of steps that count, at most T. In later steps the state does not change, there is no cost, and
    actions keep their values. So plans of all lengths have arrays of one shape.

    Functions that carry arrays may be `jax.tree_util.Partial`. Nothing is compiled again for the same functions with
    other bounds, starts or lengths.  Raises SpaceError where a bound is not a number or an array.
    """
    dynamics, cost, terminal = (f if isinstance(f, Partial) else Partial(f) for f in (dynamics, cost, terminal))
    bounds = _end("low", low), _end("high", high)
    return Problem(
        Partial(_rollout, dynamics, cost, terminal, bounds, start, length),
        Partial(_expand, dynamics, cost, terminal, start, length),
    )


def _end(name: str, end: Numbers | None) -> Array | float:
    """Return a bound of actions as a number or an array.  Raises SpaceError where it is neither."""
    if end is None:
        return -np.inf if name == "low" else np.inf
    return end if isinstance(end, int | float) else shapes.real("problem", name, end)


def _times(
    steps: int, start: Int[ArrayLike, ""], length: Int[ArrayLike, ""] | None
) -> tuple[Int[Array, "T"], Bool[Array, "T"]]:
    """Return t of each step, and whether it counts."""
    number = jnp.arange(steps)
    return start + number, number < (steps if length is None else length)


def _rollout(
    dynamics: DynamicsFunction,
    cost: CostFunction,
    terminal: FinalCostFunction,
    bounds: tuple[Array | float, Array | float],
    start: Int[ArrayLike, ""],
    length: Int[ArrayLike, ""] | None,
    x_hat: Real[Array, "T+1 n"],
    u_hat: Real[Array, "T m"],
    K: Real[Array, "T m n"],
    k: Real[Array, "T m"],
    alphas: Real[Array, "S"],
) -> tuple[Real[Array, "S T+1 n"], Real[Array, "S T m"], Real[Array, "S"]]:
    times, counts = _times(len(u_hat), start, length)
    low, high = (jnp.asarray(bound, u_hat.dtype) for bound in bounds)

    def one(alpha: Array) -> tuple[Array, Array, Array]:
        def step(x: Array, now: tuple[Array, Array, Array, Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            x_hat, u_hat, K, k, t, counts = now
            u = jnp.clip(u_hat + alpha * k + K @ (x - x_hat), low, high)
            return jnp.where(counts, dynamics(x, u, t), x), (x, u)

        last, (X, U) = jax.lax.scan(step, x_hat[0], (x_hat[:-1], u_hat, K, k, times, counts))
        stage = jnp.where(counts, jax.vmap(cost)(X, U, times), 0.0)
        return jnp.concatenate([X, last[None]]), U, jnp.sum(stage) + terminal(last)

    return jax.vmap(one)(alphas)


def _expand(
    dynamics: DynamicsFunction,
    cost: CostFunction,
    terminal: FinalCostFunction,
    start: Int[ArrayLike, ""],
    length: Int[ArrayLike, ""] | None,
    X: Real[Array, "T+1 n"],
    U: Real[Array, "T m"],
) -> Expansion:
    n, m = X.shape[1], U.shape[1]
    times, counts = _times(len(U), start, length)
    Y = jnp.concatenate([X[:-1], U], axis=1)

    def of_y(function: DynamicsFunction | CostFunction) -> Callable[[Array, Array], Any]:
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

    def rollout(
        x_hat: Float[np.ndarray, "T+1 x"],
        u_hat: Float[np.ndarray, "T m"],
        K: Float[np.ndarray, "T m n"],
        k: Float[np.ndarray, "T m"],
        alphas: Float[np.ndarray, "S"],
    ) -> tuple[Float[Array, "S T+1 x"], Float[Array, "S T m"], Float[Array, "S"]]:
        X, U, J = inner.rollout(x_hat[: length + 1], u_hat[:length], K[:length], k[:length], alphas)
        idle = u_hat[length:] + alphas[:, None, None] * k[length:]
        return np.concatenate([X, np.repeat(X[:, -1:], idle.shape[1], 1)], 1), np.concatenate([U, idle], 1), J

    def expand(X: Float[np.ndarray, "T+1 x"], U: Float[np.ndarray, "T m"]) -> Expansion:
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
