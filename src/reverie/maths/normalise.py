"""Running normalisation of observations, learnt from the very minibatches that updates see.

Replay is sampled uniformly, so the average of minibatch moments estimates the moments of all experience; the state
lives with the networks and is therefore part of every checkpoint.
"""

import jax.numpy as jnp

from reverie.maths.array_arguments import array, of_arrays

CLIP = 10.0  # standard deviations; beyond it an observation is an outlier that should not drive a network
HORIZON = 10_000  # updates after which the average starts to forget, so that it follows a policy that moves on


def init(observation_dim: int):
    """Return moments that leave observations as they are."""
    return {
        "mean": jnp.zeros(observation_dim, jnp.float32),
        "var": jnp.ones(observation_dim, jnp.float32),
        "count": jnp.zeros((), jnp.float32),
    }


@of_arrays
def update(moments, observations):
    """Return moments moved towards those of `observations` [B, n] by 1/count: the mean of all minibatches so far."""
    count = jnp.minimum(moments["count"] + 1.0, HORIZON)
    mean = moments["mean"] + (observations.mean(0) - moments["mean"]) / count
    spread = ((observations - mean) ** 2).mean(0)
    # The first minibatch replaces the initial unit variance entirely: (1 - 1/count) is then zero.
    var = moments["var"] + (spread - moments["var"]) / count
    return {"mean": mean, "var": var, "count": count}


def apply(moments, observation):
    """Return (observation - mean)/std, clipped to ±CLIP.  observation: [..., n], NumPy or JAX."""
    observation = array("normalise.apply: observation", observation)
    scaled = (observation - moments["mean"]) / (moments["var"] + 1e-8) ** 0.5
    return scaled.clip(-CLIP, CLIP)
