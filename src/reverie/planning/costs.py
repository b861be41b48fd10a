"""A domain's reward as a planner's cost -r(x, u, x'), smooth enough for Newton's method: values, derivatives, quadratics."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Linear
from reverie.domains import batched
from reverie.domains.domain import Domain, Ops, ops_of
from reverie.maths.linalg import symmetrise
from reverie.maths.precision import double

SMOOTHING = (
    1e-5  # m²: a planner's distance is √(d² + this), a bowl within 3 mm (as in the code of guided policy search)
)
CURVED = 1e-6  # least curvature of a quadratic cost in actions, relative to its largest


def smooth_costs(domain: Domain, x: np.ndarray, u: np.ndarray, x_next: np.ndarray, target: Any) -> np.ndarray:
    """Return -r [T] of x [T, nx], u [T, m], x' [T, nx]."""
    return -batched.reward(domain, x, u, x_next, target, _smooth(ops_of(x), np.where))


def cost_derivatives(
    domain: Domain, x: np.ndarray, u: np.ndarray, x_next: np.ndarray, target: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `smooth_costs`, their gradients [T, 2 nx + m] and Hessians, over y = (x, u, x')."""
    y = np.concatenate([x, u, x_next], axis=1)
    size = 1 << (len(y) - 1).bit_length()  # few sizes, since each compiles a program of its own
    padded = np.concatenate([y, np.repeat(y[-1:], size - len(y), axis=0)])
    value, gradient, hessian = _compiled(domain, x.shape[1])(padded, np.asarray(target, float))
    return value[: len(y)], gradient[: len(y)], hessian[: len(y)]


def quadratic_cost(
    domain: Domain, model: Linear, states: np.ndarray, actions: np.ndarray, context: np.ndarray
) -> QuadraticCost:
    """Return the cost to second order along states [T + 1, n], actions [T, m], convex, as a function of y = [x; u].

    x' is what the model says of y: derivatives by x' are chained through it.  context: the target.
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
def _compiled(domain: Domain, nx: int) -> Any:
    def cost(y: Any, target: Any) -> Any:
        return -batched.reward(domain, y[:nx], y[nx:-nx], y[-nx:], target, _smooth(ops_of(y), jnp.where))

    def all_three(y: Any, target: Any) -> Any:
        return cost(y, target), jax.grad(cost)(y, target), jax.hessian(cost)(y, target)

    return double(jax.vmap(all_three, (0, None)))


def _smooth(ops: Ops, where: Any) -> Ops:
    """Return ops with √(z + SMOOTHING) for √z, and a clip whose derivative is 1 at the bounds too, where JAX's is ½."""

    def clip(value: Any, low: float, high: float) -> Any:
        return where(value < low, low, where(value > high, high, value))

    return ops._replace(sqrt=lambda z: ops.sqrt(z + SMOOTHING), clip=clip)
