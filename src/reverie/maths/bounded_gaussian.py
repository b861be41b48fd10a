"""Gaussians on bounded actions: squashed by tanh (SAC), or clipped to [-1, 1] (PPO).  Densities sum over the last axis."""

import jax
import jax.numpy as jnp

from reverie.maths.array_arguments import of_arrays

LOG_ROOT_TWO_PI = 0.9189385332046727  # ½ log 2π


@of_arrays
def sample(mean, log_std, noise):
    """Return u = tanh(mean + σ ε) [..., m] and its log density [...], of standard normal `noise` ε [..., m].

    Haarnoja et al. 2018b, appendix C, eq. 26.

    log |du/dz| = log (1 - tanh² z) = 2 (log 2 - z - softplus(-2 z)), which does not cancel where tanh saturates.
    """
    z = mean + jnp.exp(log_std) * noise
    normal = -0.5 * noise**2 - log_std - LOG_ROOT_TWO_PI
    return jnp.tanh(z), jnp.sum(normal - 2.0 * (jnp.log(2.0) - z - jax.nn.softplus(-2.0 * z)), axis=-1)


@of_arrays
def clipped_log_density(mean, log_std, action):
    """Return log π(u|x) [...] of u = clip(mean + σ ε, -1, 1): a density within, the mass beyond at ±1.

    The policy gradient of clipped actions is unbiased with it, and of less variance than with the unclipped draw's.
    Fujita & Maeda 2018 (arXiv 1802.07564), eq. 5.
    """
    scaled = (action - mean) * jnp.exp(-log_std)
    within = -0.5 * scaled**2 - log_std - LOG_ROOT_TWO_PI
    below = jax.scipy.special.log_ndtr(scaled)  # at -1: P(draw <= -1)
    above = jax.scipy.special.log_ndtr(-scaled)
    logs = jnp.where(action <= -1.0, below, jnp.where(action >= 1.0, above, within))
    return jnp.sum(logs, axis=-1)


@of_arrays
def entropy(log_std):
    """Return the entropy [...] of a Gaussian before squashing or clipping."""
    return jnp.sum(log_std + 0.5 + LOG_ROOT_TWO_PI, axis=-1)
