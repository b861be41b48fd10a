"""Are all numbers of an array finite, or within a bound?  Asked of short vectors at every step, so quick for those."""

from math import isfinite

import numpy as np

SHORT = 64  # entries up to which a Python loop is quicker than NumPy, whose calls cost 2 us whatever the size


def all_finite(values: np.ndarray) -> bool:
    """Return whether no number of `values` (any shape) is infinite or NaN."""
    if values.size <= SHORT:
        return all(map(isfinite, values.ravel().tolist()))
    return bool(np.isfinite(values).all())


def all_within(values: np.ndarray, most: float) -> bool:
    """Return whether every number of `values` (any shape) lies in [-most, most]; NaN does not."""
    if values.size <= SHORT:
        # The sum is quicker than a look at each; where it does not say yes, NumPy decides, in the precision of `values`.
        if sum(map(abs, values.ravel().tolist())) <= most:
            return True
    return bool((np.abs(values) <= most).all())
