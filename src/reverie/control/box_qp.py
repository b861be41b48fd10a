"""Minimise ½ kᵀ H k + gᵀ k over low <= k <= high, by projected Newton steps.  Tassa et al. 2014, algorithm 1.

A coordinate is clamped if it is at a bound and the gradient points out of the box. The free coordinates take a Newton
step. Masks are used instead of submatrices, so that shapes are fixed. The functions are pure and can be mapped.
"""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from reverie.control import shapes
from reverie.core.status import Status
from reverie.maths.array_types import Array, Numbers
from reverie.maths.linalg import solve_positive

SHORTENED = 0.6 ** np.arange(40.0)  # step lengths, all tried at once
ARMIJO = 0.1  # a step must bring at least this share of the predicted fall
STALLED = 1e-7  # like PRECISION, if no step lowers the value any more
PRECISION = 1e-10  # the free gradient counts as 0 below this, relative to the terms it is the sum of


class BoxSolution(NamedTuple):
    """The minimiser, and which coordinates are free, which `feedback` needs."""

    k: Float[Array, "m"]
    free: Bool[Array, "m"]  # whether the coordinate is not clamped
    status: Int[Array, ""]  # see `solve`


_Pass: TypeAlias = tuple[
    Float[Array, "m"],  # k
    Bool[Array, ""],  # whether the free gradient is 0
    Int[Array, ""],  # passes so far
    Bool[Array, ""],  # whether k did not move
    Bool[Array, ""],  # whether H is positive definite among free coordinates
]


def solve(H: Numbers, g: Numbers, low: Numbers, high: Numbers, start: Numbers) -> BoxSolution:
    """Return the minimiser within the box.

    H: symmetric [m, m].  g, low, high: [m].  start: first point [m], which is clipped to the box.
    There are at most 2m + 5 passes, because clamped sets settle after about m changes.

    | status                | meaning                                                          |
    |-----------------------|------------------------------------------------------------------|
    | DONE                  | k is the minimum, if H is positive definite: among free          |
    |                       | coordinates the gradient is 0, and H is positive definite        |
    | MAX_ITERATIONS        | k is feasible, but not optimal                                   |
    | NOT_POSITIVE_DEFINITE | H is not positive definite among free coordinates; k is feasible |
    | INFEASIBLE            | low > high in some coordinate                                    |
    | NONFINITE_MODEL       | H or g is not finite, or a bound is NaN                          |

    Raises SpaceError where shapes do not fit.
    """
    H, g, low, high, start = shapes.alike(shapes.fit("box_qp.solve", H=H, g=g, low=low, high=high, start=start))
    m = g.shape[0]
    lengths = jnp.asarray(SHORTENED, g.dtype)

    def value(k: Array) -> Array:
        return (0.5 * H @ k + g) @ k

    def clamped(k: Array) -> tuple[Array, Array]:
        gradient = H @ k + g
        out = ((k <= low) & (gradient > 0)) | ((k >= high) & (gradient < 0)) | (high <= low)
        return ~out, gradient

    def unfinished(state: _Pass) -> Array:
        _, _, passes, done, positive = state
        return (passes < 2 * m + 5) & ~done & positive

    def improve(state: _Pass) -> _Pass:
        k, _, passes, _, _ = state
        free, gradient = clamped(k)
        inward = jnp.where(free, gradient, 0.0)
        step, positive = solve_positive(_masked(H, free), inward[:, None])
        trials = jnp.clip(k - lengths[:, None] * step[:, 0], low, high)
        falls = value(k) - jax.vmap(value)(trials)
        enough = (falls > 0) & (falls >= ARMIJO * ((k - trials) @ inward))
        small = jnp.max(jnp.abs(inward)) <= PRECISION * jnp.max(jnp.abs(g) + jnp.abs(H) @ jnp.abs(k))
        moved = positive & ~small & jnp.any(enough)
        k = jnp.where(moved, trials[jnp.argmax(enough)], k)
        return k, small, passes + 1, ~moved, positive

    first = jnp.clip(start, low, high)
    no = jnp.asarray(False)
    state = first, no, jnp.zeros((), jnp.int32), no, ~no
    k, small, _, done, positive = jax.lax.while_loop(unfinished, improve, state)
    free, gradient = clamped(k)
    left = jnp.max(jnp.where(free, jnp.abs(gradient), 0.0))  # not 0 if rounding errors ended the search
    flat = small | (done & (left <= STALLED * jnp.max(jnp.abs(g) + jnp.abs(H) @ jnp.abs(k))))
    status = jnp.where(flat, Status.DONE, Status.MAX_ITERATIONS)
    status = jnp.where(positive, status, Status.NOT_POSITIVE_DEFINITE)
    known = jnp.all(jnp.isfinite(H)) & jnp.all(jnp.isfinite(g)) & ~jnp.any(jnp.isnan(low) | jnp.isnan(high))
    status = jnp.where(jnp.any(low > high), Status.INFEASIBLE, jnp.where(known, status, Status.NONFINITE_MODEL))
    return BoxSolution(k, free, status)


def feedback(H: Numbers, solution: BoxSolution, Hux: Numbers) -> Float[Array, "m n"]:
    """Return the feedback gains K: -H_ff⁻¹ H_fx for free coordinates, and 0 for clamped ones.

    H: [m, m].  Hux: [m, n].  Raises SpaceError where shapes do not fit.
    """
    H, _, Hux = shapes.alike(shapes.fit("box_qp.feedback", H=H, g=solution.k, Hux=Hux))
    free = jnp.asarray(solution.free, bool)
    return -solve_positive(_masked(H, free), jnp.where(free[:, None], Hux, 0.0))[0]


def _masked(H: Float[Array, "m m"], free: Bool[Array, "m"]) -> Float[Array, "m m"]:
    """Return H with the rows and columns of clamped coordinates replaced by those of the identity."""
    return jnp.where(free[:, None] & free[None, :], H, jnp.eye(H.shape[0], dtype=H.dtype))
