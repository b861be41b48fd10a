"""Samples for fits: z = [x; u; x' - x] of each step, standardised, with masks for episodes that ended early.

The change x' - x is used instead of x', so that ridges and lower limits of covariances are relative to it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from reverie.core.dynamics import Dynamics, Episode
from reverie.core.status import Status

RUN, BOUND = 20, 10.0  # of `explodes`: steps of a rollout, and the largest distance from the middle, in ranges


class Scale(NamedTuple):
    """Mean and standard deviation for standardising z."""

    mean: Float[np.ndarray, "D"]
    std: Float[np.ndarray, "D"]  # 1 in coordinates that never change


class Moments(NamedTuple):
    """Moments of the samples at each time step."""

    number: Float[np.ndarray, "T"]  # of episodes that have not ended
    mean: Float[np.ndarray, "T D"]  # 0 where there is no sample
    scatter: Float[np.ndarray, "T D D"]  # Σᵢ (zᵢ - z̄)(zᵢ - z̄)ᵀ


def joint(episode: Episode) -> Float[np.ndarray, "T D"]:
    """Return the samples z = [x; u; x' - x] of an episode."""
    x = np.asarray(episode.states, float)
    return np.concatenate([x[:-1], np.asarray(episode.actions, float), np.diff(x, axis=0)], axis=1)


def pool(episodes: list[Episode]) -> Float[np.ndarray, "P D"]:
    """Return the samples z of all steps of all episodes."""
    return np.concatenate([joint(episode) for episode in episodes])


def unfit(episodes: list[Episode]) -> Status | None:
    """Return why no model can be fitted to episodes, or None.

    TOO_FEW_SAMPLES: there is no episode, or one without a step.  NONFINITE_MODEL: data are not finite.
    """
    if not episodes or not all(map(len, episodes)):
        return Status.TOO_FEW_SAMPLES
    fine = all(np.isfinite(e.states).all() and np.isfinite(e.actions).all() for e in episodes)
    return None if fine else Status.NONFINITE_MODEL


def scale_of(points: Float[np.ndarray, "P D"]) -> Scale:
    """Return mean and standard deviation of points. The latter is 1 in coordinates that never change."""
    mean, std = points.mean(0), points.std(0)
    return Scale(mean, np.where(std > 1e-12 * np.abs(points).max(0), std, 1.0))


def stack(episodes: list[Episode], scale: Scale) -> tuple[Float[np.ndarray, "N T D"], Bool[np.ndarray, "N T"]]:
    """Return (standardised z, whether the episode has not ended). z is 0 after an episode's end.

    T is the length of the longest episode.
    """
    alive = np.arange(max(map(len, episodes))) < np.array([[len(e)] for e in episodes])
    z = np.zeros((*alive.shape, len(scale.mean)))
    z[alive] = (pool(episodes) - scale.mean) / scale.std
    return z, alive


def moments(z: Float[np.ndarray, "N T D"], alive: Bool[np.ndarray, "N T"]) -> Moments:
    """Return the moments of z at each time step, over episodes that have not ended, `alive`."""
    count = alive.sum(0).astype(float)
    mean = (z * alive[..., None]).sum(0) / np.maximum(count, 1.0)[:, None]
    centred = ((z - mean) * alive[..., None]).swapaxes(0, 1)
    return Moments(count, mean, centred.swapaxes(1, 2) @ centred)


def rank(z: Float[np.ndarray, "N T D"], alive: Bool[np.ndarray, "N T"], d: int) -> Int[np.ndarray, "T"]:
    """Return the number of directions of y = [x; u] that the samples of each time step span.

    alive: whether the episode has not ended.  d: size of y. The result is at most d, and less
    than the number of episodes that have not ended.
    """
    y = z[..., :d] * alive[..., None]
    centred = ((y - y.sum(0) / np.maximum(alive.sum(0), 1)[:, None]) * alive[..., None]).swapaxes(0, 1)
    return np.linalg.matrix_rank(centred, tol=1e-6)


def explodes(dynamics: Dynamics, episodes: list[Episode]) -> bool:
    """Return whether predictions of the mean, for RUN steps under recorded actions, diverge.

    They do if a state is more than BOUND ranges of the recorded states from their middle. The whole horizon is not
    used: without feedback, the correct model of an unstable environment leaves any bound in time.
    """
    seen = np.concatenate([e.states for e in episodes])
    low, high = seen.min(0), seen.max(0)
    middle, bound = (low + high) / 2, np.where(high > low, BOUND * (high - low), np.inf)
    starts = [(e, t) for e in episodes for t in range(0, len(e), RUN)]
    x = np.array([e.states[t] for e, t in starts], float)
    for step in range(RUN):
        going = np.array([t + step < len(e) for e, t in starts])
        starts, x = [start for start, go in zip(starts, going, strict=True) if go], x[going]
        if not starts:
            return False
        u = np.array([e.actions[t + step] for e, t in starts], float)
        with np.errstate(all="ignore"):
            x = dynamics.mean(x, u, np.array([t + step for _, t in starts]))
        if not (np.abs(x - middle) <= bound).all():  # NaN compares false, so it counts as out
            return True
    return False
