"""Advantages along trajectories."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Real

from reverie.maths.array_arguments import of_arrays
from reverie.maths.array_types import Array


@of_arrays
def gae(
    rewards: Real[Array, "T *b"],
    discounts: Real[Array, "T *b"],
    values: Real[Array, "T *b"],
    next_values: Real[Array, "T *b"],
    goes_on: Real[Array, "T *b"] | Bool[Array, "T *b"],
    trace: float,
) -> Real[Array, "T *b"]:
    """Return generalised advantages.  Schulman et al. 2016 (arXiv 1506.02438), equations 11 and 16.

    δ_t = r_t + d_t V(x'_t) - V(x_t),  A_t = δ_t + λ d_t A_{t+1}, where d_t is γ, or 0 at a terminal state.

    rewards, discounts, values: r_t, d_t, V(x_t).  next_values: V(x'_t) of the true next state, which at a time limit is
    not the state of the next row.  goes_on: 1 if the next row continues this episode, else 0.  trace: λ.
    """
    errors = rewards + discounts * next_values - values

    def step(after: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        error, carried = now
        advantage = error + carried * after
        return advantage, advantage

    carried = trace * discounts * goes_on
    return jax.lax.scan(step, jnp.zeros_like(errors[-1]), (errors, carried), reverse=True)[1]
