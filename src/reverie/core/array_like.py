"""Conversion of user arguments to arrays, before they are checked."""

from typing import Any

import numpy as np


def as_array(value: Any) -> np.ndarray:
    """Return `value` as an array, or an array of None if it is ragged or raises during conversion."""
    try:
        return np.asarray(value)
    except Exception:
        return np.asarray(None)
