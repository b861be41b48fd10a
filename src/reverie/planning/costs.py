"""A domain's reward as a smooth cost -r(x, u, x') for planners: its values, derivatives and quadratic expansions.

The cost is smoothed because Newton's method needs second derivatives.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np

from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Linear
from reverie.domains import batched
from reverie.domains.domain import Domain, Number, Ops, ops_of
from reverie.maths.linalg import symmetrise
from reverie.maths.precision import double

CostFunction: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""y [T, d], target -> costs [T], gradients [T, d] and Hessians [T, d, d]."""

# m². Planners use √(d² + this) for a distance d, which is smooth within 3 mm. So does the code of guided policy search.
SMOOTHING = 1e-5
CURVED = 1e-6  # added curvature of a quadratic cost in actions, relative to its largest eigenvalue


def smooth_costs(
    domain: Domain, x: np.ndarray, u: np.ndarray, x_next: np.ndarray, target: np.ndarray | Sequence[float]
) -> np.ndarray:
    """Return the smoothed costs -r [T] of T steps.

    x, x_next: states [T, nx].  u: actions [T, m] in [-1, 1].  target: the domain's target.
    """
    return -batched.reward(domain, x, u, x_next, target, _smooth(ops_of(x), np.where))


def cost_derivatives(
    domain: Domain, x: np.ndarray, u: np.ndarray, x_next: np.ndarray, target: np.ndarray | Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `smooth_costs` [T] with gradients [T, d] and Hessians [T, d, d] over y = (x, u, x'), d = 2 nx + m.

    x, x_next: states [T, nx].  u: actions [T, m] in [-1, 1].  target: the domain's target.
    """
    y = np.concatenate([x, u, x_next], axis=1)
    size = 1 << (len(y) - 1).bit_length()  # a power of 2: few sizes, because each compiles anew
    padded = np.concatenate([y, np.repeat(y[-1:], size - len(y), axis=0)])
    value, gradient, hessian = _compiled(domain, x.shape[1])(padded, np.asarray(target, float))
    return value[: len(y)], gradient[: len(y)], hessian[: len(y)]


def quadratic_cost(
    domain: Domain, model: Linear, states: np.ndarray, actions: np.ndarray, context: np.ndarray
) -> QuadraticCost:
    """Return a convex quadratic expansion of the cost along a trajectory, as a function of y = [x; u].

    states: [T + 1, n].  actions: [T, m] in [-1, 1].  context: the domain's target.
    model: linear dynamics. x' follows from y by the model, and derivatives with respect to x' are chained through it.
    """
    T, n, d = model.F.shape
    y = np.concatenate([states[:-1], actions], axis=1)
    following = (model.F @ y[:, :, None])[:, :, 0] + model.f
    value, gradient, hessian = cost_derivatives(domain, states[:-1], actions, following, context)
    inner = np.concatenate([np.broadcast_to(np.eye(d), (T, d, d)), model.F], axis=1)
    slope = np.einsum("tyz,ty->tz", inner, gradient)
    values, vectors = np.linalg.eigh(symmetrise(inner.swapaxes(1, 2) @ hessian @ inner))
    C = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.swapaxes(1, 2)
    C[:, n:, n:] += CURVED * max(values.max(), 1e-12) * np.eye(d - n)
    Cy = (C @ y[:, :, None])[:, :, 0]
    end = np.zeros((n, n)), np.zeros(n), np.zeros(())
    return QuadraticCost(C, slope - Cy, value - np.sum((slope - 0.5 * Cy) * y, axis=1), *end)


@functools.cache
def _compiled(domain: Domain, nx: int) -> "CostFunction":
    def cost(y: jax.Array, target: jax.Array) -> jax.Array:
        return -batched.reward(domain, y[:nx], y[nx:-nx], y[-nx:], target, _smooth(ops_of(y), jnp.where))

    def all_three(y: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        return cost(y, target), jax.grad(cost)(y, target), jax.hessian(cost)(y, target)

    return cast("CostFunction", double(jax.vmap(all_three, (0, None))))  # compiled: takes and returns NumPy arrays


def _smooth(ops: Ops, where: Callable[[Any, Any, Any], Any]) -> Ops:
    """Return ops with √(z + SMOOTHING) for √z, and with a clip whose derivative is 1 at the bounds (JAX's is ½)."""

    def clip(value: Number, low: float, high: float) -> Number:
        return where(value < low, low, where(value > high, high, value))

    return ops._replace(sqrt=lambda z: ops.sqrt(z + SMOOTHING), clip=clip)
