"""Running normalisation of observations, from the minibatches that updates use.

Replay is sampled uniformly, so the average of minibatch moments estimates the moments of all experience. The moments
are stored with the networks, and so are part of each checkpoint.
"""

from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Float, Real

from reverie.maths.array_arguments import array, of_arrays
from reverie.maths.array_types import Array, Numbers

CLIP = 10.0  # beyond it standardised observations are clipped, as outliers
HORIZON = 10_000  # updates after which the average forgets old minibatches, so that it follows a changing policy

Moments: TypeAlias = dict[str, Float[Array, "..."]]
"""Running moments of observations: `mean` and `var` [n], and `count` [], minibatches so far, at most HORIZON."""


def init(observation_dim: int) -> Moments:
    """Return first moments, with which observations do not change."""
    return {
        "mean": jnp.zeros(observation_dim, jnp.float32),
        "var": jnp.ones(observation_dim, jnp.float32),
        "count": jnp.zeros((), jnp.float32),
    }


@of_arrays
def update(moments: Moments, observations: Real[Array, "B n"]) -> Moments:
    """Return moments moved towards those of `observations` by 1/count. So they are the mean over minibatches."""
    count = jnp.minimum(moments["count"] + 1.0, HORIZON)
    mean = moments["mean"] + (observations.mean(0) - moments["mean"]) / count
    variance = ((observations - mean) ** 2).mean(0)
    # The first minibatch replaces the initial variance of 1, because 1 - 1/count is 0 then.
    var = moments["var"] + (variance - moments["var"]) / count
    return {"mean": mean, "var": var, "count": count}


def to_size(moments: Moments, size: float) -> Moments:
    """Return moments by which `apply` gives observations the standard deviation `size`, not 1."""
    return moments if size == 1.0 else {**moments, "var": moments["var"] / size**2}


def apply(moments: Moments, observation: Numbers) -> Real[Array, "... n"]:
    """Return (observation - mean)/std, clipped to ±CLIP.  observation: [..., n], of NumPy or JAX."""
    observation = array("normalise.apply: observation", observation)
    scaled = (observation - moments["mean"]) / (moments["var"] + 1e-8) ** 0.5
    return scaled.clip(-CLIP, CLIP)
