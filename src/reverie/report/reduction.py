"""Long curves with few points: means of stretches, and the range that they cover."""

import itertools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST = 400  # points of a curve; a screen shows no more


class Reduced(NamedTuple):
    """Points [K] of a curve, and the lowest and highest value of each stretch [K] (empty: nothing was left out)."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def reduced(x: np.ndarray, y: np.ndarray, most: int = MOST) -> Reduced:
    """Return at most `most` points of y [N] at x [N]: means of stretches of equal length, at their last x.

    Values that are not finite do not count; a stretch without others is a gap (nan).
    """
    if len(y) <= most:
        return Reduced(x.tolist(), y.tolist())
    ends = np.linspace(0, len(y), most + 1).round().astype(int)
    y = np.where(np.isfinite(y), y, np.nan)
    parts = [y[first:end] for first, end in itertools.pairwise(ends)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of stretches without a value
        mean, low, high = ([float(of(part)) for part in parts] for of in (np.nanmean, np.nanmin, np.nanmax))
    return Reduced(x[ends[1:] - 1].tolist(), mean, low, high)


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST) -> Reduced:
    """Return at most `most` of the points y [N] at x [N], evenly spaced, the first and the last included."""
    if not len(y):
        return Reduced([], [])
    kept = np.unique(np.linspace(0, len(y) - 1, min(most, len(y))).round().astype(int))
    return Reduced(x[kept].tolist(), y[kept].tolist())
