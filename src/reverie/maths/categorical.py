"""Values as probability distributions over fixed atoms.  Bellemare et al. 2017 (C51, arXiv 1707.06887), section 4.

Letters: K atoms of a distribution, and J atoms that it is projected to.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Real

from reverie.maths.array_arguments import of_arrays
from reverie.maths.array_types import Array


@of_arrays
def project(
    values: Real[Array, "*b K"], probabilities: Real[Array, "*b K"], atoms: Real[Array, "J"]
) -> Real[jax.Array, "*b J"]:
    """Return the probabilities of `atoms` that stand for a distribution over `values`.  Equation 7.

    values: z_k, with probability p_k each.  atoms: rising, with equal distances.  Each value is clipped to the range of
    the atoms, and its probability is shared between the two atoms next to it, so that the mean stays.
    """
    last = atoms.shape[0] - 1
    spacing = (atoms[-1] - atoms[0]) / last
    place = ((values - atoms[0]) / spacing).clip(0.0, last)  # in atoms, so that the shares of a value add up to 1
    shares = (1.0 - jnp.abs(place[..., None] - jnp.arange(last + 1))).clip(0.0)
    return jnp.sum(probabilities[..., None] * shares, axis=-2)


@of_arrays
def mean(logits: Real[Array, "*b K"], atoms: Real[Array, "K"]) -> Real[jax.Array, "*b"]:
    """Return the mean Σ_k p_k z_k.  logits: log p_k, up to a constant.  atoms: z_k."""
    return jnp.sum(jax.nn.softmax(logits) * atoms, axis=-1)


@of_arrays
def cross_entropy(target: Real[Array, "*b K"], logits: Real[Array, "*b K"]) -> Real[jax.Array, "*b"]:
    """Return -Σ_k m_k log p_k, in nats.  target: probabilities m_k.  logits: log p_k, up to a constant."""
    return -jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)
