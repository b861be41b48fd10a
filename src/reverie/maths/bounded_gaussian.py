"""Gaussian policies over bounded actions: squashed by tanh (SAC), or clipped to [-1, 1] (PPO).

Log densities are sums over the last axis, that of actions.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Real

from reverie.maths.array_arguments import of_arrays
from reverie.maths.array_types import Array

LOG_ROOT_TWO_PI = 0.9189385332046727  # ½ log 2π


@of_arrays
def sample(
    mean: Real[Array, "*b m"], log_std: Real[Array, "*#b m"], noise: Real[Array, "*b m"]
) -> tuple[Real[jax.Array, "*b m"], Real[jax.Array, "*b"]]:
    """Return the action u = tanh(mean + σ ε) and its log density.

    log_std: log σ.  noise: ε, standard normal.  Source: Haarnoja et al. 2018b, appendix C, equation 26.

    log |du/dz| = log (1 - tanh² z) is computed as 2 (log 2 - z - softplus(-2 z)), which is accurate if tanh saturates.
    """
    z = mean + jnp.exp(log_std) * noise
    normal = -0.5 * noise**2 - log_std - LOG_ROOT_TWO_PI
    return jnp.tanh(z), jnp.sum(normal - 2.0 * (jnp.log(2.0) - z - jax.nn.softplus(-2.0 * z)), axis=-1)


@of_arrays
def clipped_log_density(
    mean: Real[Array, "*b m"], log_std: Real[Array, "*#b m"], action: Real[Array, "*b m"]
) -> Real[jax.Array, "*b"]:
    """Return log π(u|x) of actions u = clip(mean + σ ε, -1, 1).

    log_std: log σ.  action: u. Within the bounds it is the log density. At ±1 it is the log probability of a
    sample beyond the bound. With it the policy gradient of clipped actions is unbiased, and has less variance than with
    the density of the sample before clipping.  Source: Fujita & Maeda 2018 (arXiv 1802.07564), equation 5.
    """
    scaled = (action - mean) * jnp.exp(-log_std)
    within = -0.5 * scaled**2 - log_std - LOG_ROOT_TWO_PI
    below = jax.scipy.special.log_ndtr(scaled)  # at -1: P(draw <= -1)
    above = jax.scipy.special.log_ndtr(-scaled)
    logs = jnp.where(action <= -1.0, below, jnp.where(action >= 1.0, above, within))
    return jnp.sum(logs, axis=-1)


@of_arrays
def entropy(log_std: Real[Array, "*b m"]) -> Real[jax.Array, "*b"]:
    """Return the entropy in nats of a Gaussian before squashing or clipping.  log_std: log σ."""
    return jnp.sum(log_std + 0.5 + LOG_ROOT_TWO_PI, axis=-1)
