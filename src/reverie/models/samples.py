"""Episodes as fits want them: z = [x; u; x' - x] by step, standardised, with masks for those that ended early.

The change x' - x stands for x': beside it the ridge and the floors of covariances are as small as a step's own change.
"""

from typing import Any, NamedTuple

import numpy as np

from reverie.core.dynamics import Episode
from reverie.core.status import Status

RUN, BOUND = 20, 10.0  # `explodes`: steps of a rollout, and how many ranges from the middle are too far


class Scale(NamedTuple):
    """Standardisation of z."""

    mean: np.ndarray  # [D]
    std: np.ndarray  # [D], 1 where z never changes


class Moments(NamedTuple):
    """What a fit needs of the samples of each step."""

    number: np.ndarray  # [T], episodes alive
    mean: np.ndarray  # [T, D], 0 where none is
    scatter: np.ndarray  # [T, D, D], Σᵢ (zᵢ - z̄)(zᵢ - z̄)ᵀ


def joint(episode: Episode) -> np.ndarray:
    """Return z = [x; u; x' - x]  [T, 2 n + m]."""
    x = np.asarray(episode.states, float)
    return np.concatenate([x[:-1], np.asarray(episode.actions, float), np.diff(x, axis=0)], axis=1)


def pool(episodes: list[Episode]) -> np.ndarray:
    """Return z of all steps of all episodes [P, D]."""
    return np.concatenate([joint(episode) for episode in episodes])


def unfit(episodes: list[Episode]) -> Status | None:
    """Return why no model can be fitted to episodes at all: none, one without a step, data that are not finite."""
    if not episodes or not all(map(len, episodes)):
        return Status.TOO_FEW_SAMPLES
    fine = all(np.isfinite(e.states).all() and np.isfinite(e.actions).all() for e in episodes)
    return None if fine else Status.NONFINITE_MODEL


def scale_of(points: np.ndarray) -> Scale:
    """Return mean and standard deviation of points [P, D]; a coordinate that never changes is left in its unit."""
    mean, std = points.mean(0), points.std(0)
    return Scale(mean, np.where(std > 1e-12 * np.abs(points).max(0), std, 1.0))


def stack(episodes: list[Episode], scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised z [N, T, D], 0 after an episode's end, and who is alive [N, T]; T is the longest episode's."""
    alive = np.arange(max(map(len, episodes))) < np.array([[len(e)] for e in episodes])
    z = np.zeros((*alive.shape, len(scale.mean)))
    z[alive] = (pool(episodes) - scale.mean) / scale.std
    return z, alive


def moments(z: np.ndarray, alive: np.ndarray) -> Moments:
    """Return the moments by step of z [N, T, D] over those alive [N, T]."""
    count = alive.sum(0).astype(float)
    mean = (z * alive[..., None]).sum(0) / np.maximum(count, 1.0)[:, None]
    centred = ((z - mean) * alive[..., None]).swapaxes(0, 1)
    return Moments(count, mean, centred.swapaxes(1, 2) @ centred)


def rank(z: np.ndarray, alive: np.ndarray, d: int) -> np.ndarray:
    """Return how many directions of y = [x; u] the samples of each step span [T]; at most d and those alive less 1."""
    y = z[..., :d] * alive[..., None]
    centred = ((y - y.sum(0) / np.maximum(alive.sum(0), 1)[:, None]) * alive[..., None]).swapaxes(0, 1)
    return np.linalg.matrix_rank(centred, tol=1e-6)


def explodes(dynamics: Any, episodes: list[Episode]) -> bool:
    """Return whether the mean, run for RUN steps under recorded actions, leaves BOUND times the range of recorded states.

    Not over the whole horizon: a right model of an unstable plant leaves every bound in time without feedback.
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
        if not (np.abs(x - middle) <= bound).all():  # so written, NaN counts as out
            return True
    return False
