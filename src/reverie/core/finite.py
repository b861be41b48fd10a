"""Checks that all numbers of an array are finite or bounded.  Fast for short vectors, since they run at every step."""

from math import isfinite

import numpy as np

SHORT = 64  # entries up to which a Python loop is faster than NumPy, whose calls cost 2 us at any size


def all_finite(values: np.ndarray) -> bool:
    """Return whether no number of `values` (any shape) is infinite or NaN."""
    if values.size <= SHORT:
        return all(map(isfinite, values.ravel().tolist()))
    return bool(np.isfinite(values).all())


def all_within(values: np.ndarray, most: float) -> bool:
    """Return whether every number of `values` (any shape) is in [-most, most]; NaN is not."""
    if values.size <= SHORT:
        # The sum is faster than a check of each; if it is too large, NumPy decides in the precision of `values`.
        if sum(map(abs, values.ravel().tolist())) <= most:
            return True
    return bool((np.abs(values) <= most).all())
