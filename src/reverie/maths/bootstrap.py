"""Statistics of few seeds: a robust mean, bootstrap intervals, and the probability of improvement.

Source: Agarwal et al. 2021 (arXiv 2108.13264), *Deep reinforcement learning at the edge of the statistical precipice*.

Scores may be infinite, if a run diverged or never reached a level. Therefore the ends of intervals are values that occur,
without interpolation. If a score is NaN, each statistic of it is NaN.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Real

from reverie.maths.array_arguments import array, of_arrays
from reverie.maths.array_types import Numbers

LEVEL, RESAMPLES = 0.95, 2000  # of intervals: confidence level, and number of bootstrap samples

Statistic: TypeAlias = (
    Callable[[Float[np.ndarray, "*b N"]], Float[np.ndarray, "*b"]]
    | Callable[[Float[np.ndarray, "*b N"], Float[np.ndarray, "*b M"]], Float[np.ndarray, "*b"]]
)
"""A function of one group of samples, or of two."""


@of_arrays
def interquartile_mean(samples: Real[np.ndarray, "*b N"]) -> Float[np.ndarray, "*b"]:
    """Return the mean of the middle half of N samples. ⌊N/4⌋ samples are cut off at each end."""
    ordered = np.sort(samples, axis=-1)
    n = ordered.shape[-1]
    return _known(ordered[..., n // 4 : n - n // 4].mean(axis=-1), samples)


@of_arrays
def median(samples: Real[np.ndarray, "*b N"]) -> Real[np.ndarray, "*b"]:
    """Return the median of N samples: the middle one, or the mean of the two in the middle. It may be infinite."""
    ordered = np.sort(samples, axis=-1)
    n = ordered.shape[-1]
    return _known(ordered[..., (n - 1) // 2 : n // 2 + 1].mean(axis=-1), samples)


def interval(
    statistic: Statistic,
    groups: Sequence[Numbers],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the bootstrap percentile interval (low, high) of a statistic of groups [n_i].

    Each group is resampled by itself (stratified).  resamples: number of bootstrap samples.  level: confidence level.
    If a group has fewer than two samples, the result is (nan, nan).
    """
    samples = [np.asarray(array("bootstrap.interval: groups", group)) for group in groups]
    if min(map(len, samples)) < 2:
        return np.nan, np.nan
    drawn = [group[generator.integers(len(group), size=(resamples, len(group)))] for group in samples]
    with np.errstate(invalid="ignore"):  # -∞ minus -∞, if two runs diverged
        values = statistic(*drawn)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


@of_arrays
def probability_of_improvement(x: Real[np.ndarray, "*b N"], y: Real[np.ndarray, "*b M"]) -> Float[np.ndarray, "*b"]:
    """Return the probability that a sample of x exceeds one of y. Ties count half."""
    left, right = x[..., :, None], y[..., None, :]
    return _known(_known(((left > right) + 0.5 * (left == right)).mean(axis=(-2, -1)), x), y)


def _known(values: Real[np.ndarray, "*b"], samples: Real[np.ndarray, "*b N"]) -> Real[np.ndarray, "*b"]:
    """Return values, with NaN where one of samples is NaN."""
    return np.where(np.isnan(samples).any(axis=-1), np.nan, values)
