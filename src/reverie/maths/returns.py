"""Returns and advantages along trajectories."""

import jax
import jax.numpy as jnp

from reverie.maths.array_arguments import of_arrays


@of_arrays
def gae(rewards, discounts, values, next_values, goes_on, trace: float):
    """Return generalised advantages [T, ...].  Schulman et al. 2016 (arXiv 1506.02438), eqs 11 and 16.

    δ_t = r_t + d_t V(x'_t) - V(x_t),  A_t = δ_t + λ d_t A_{t+1}, where d_t is γ, or 0 at a death.
    next_values: V of the true successor, which at a time-out is not the next row's state; goes_on: 1 where the next row
    begins where this one ended.  trace: λ.
    """
    errors = rewards + discounts * next_values - values

    def step(after, now):
        error, carried = now
        advantage = error + carried * after
        return advantage, advantage

    carried = trace * discounts * goes_on
    return jax.lax.scan(step, jnp.zeros_like(errors[-1]), (errors, carried), reverse=True)[1]
