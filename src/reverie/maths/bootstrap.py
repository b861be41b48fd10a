"""Scores of few seeds: a robust mean, intervals by resampling, and how often one beats another.

Agarwal et al. 2021 (arXiv 2108.13264), *Deep reinforcement learning at the edge of the statistical precipice*.  Scores may be
infinite (a run that diverged, a level never reached), so quantiles here are values that occur and nothing is interpolated.
Of a score that is no number nothing is known: each statistic of it is NaN, too.
"""

from collections.abc import Callable, Sequence

import numpy as np

from reverie.maths.array_arguments import array, of_arrays

LEVEL, RESAMPLES = 0.95, 2000

Statistic = Callable[..., np.ndarray]  # (samples [..., n_1], [..., n_2], …) -> [...]


@of_arrays
def interquartile_mean(samples: np.ndarray) -> np.ndarray:
    """Return the mean [...] of the middle half of samples [..., n]: ⌊n/4⌋ are cut off at either end."""
    ordered = np.sort(samples, axis=-1)
    n = ordered.shape[-1]
    return _known(ordered[..., n // 4 : n - n // 4].mean(axis=-1), samples)


@of_arrays
def median(samples: np.ndarray) -> np.ndarray:
    """Return the lower median [...] of samples [..., n]: a value that occurs, be it infinite."""
    ordered = np.sort(samples, axis=-1)
    return _known(ordered[..., (ordered.shape[-1] - 1) // 2], samples)


def interval(
    statistic: Statistic,
    groups: Sequence[np.ndarray],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the `level` percentile interval of a statistic of groups [n_i], each resampled within itself (stratified).

    A group of fewer than two says nothing of its spread: (nan, nan).
    """
    groups = [array("bootstrap.interval: groups", group) for group in groups]
    if min(len(group) for group in groups) < 2:
        return np.nan, np.nan
    drawn = [group[generator.integers(len(group), size=(resamples, len(group)))] for group in groups]
    with np.errstate(invalid="ignore"):  # -∞ less -∞: two that diverged
        values = statistic(*drawn)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


@of_arrays
def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how often a draw of x [..., n] exceeds one of y [..., m], ties counting half: [...]."""
    left, right = x[..., :, None], y[..., None, :]
    return _known(_known(((left > right) + 0.5 * (left == right)).mean(axis=(-2, -1)), x), y)


def _known(values: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return values [...], NaN where one of samples [..., n] is."""
    return np.where(np.isnan(samples).any(axis=-1), np.nan, values)
