"""Clip values that are too large to learn from, with one warning per sensor.

Learning sums squares of the observations and rewards of a minibatch in float32, whose largest value is 3.4e38.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np

from reverie.core.errors import ReverieWarning
from reverie.core.finite import all_within
from reverie.environments.values import finite_vector

LARGEST = 1e16  # its square, summed over a minibatch of any size, is within float32


class ClippedValues:
    """Clips the values of an environment to ±LARGEST.

    name: the environment's.  entry: index -> what an entry of a flat observation is, in words.
    """

    def __init__(self, name: str, entry: Callable[[int], str]):
        self._name, self._entry = name, entry
        self._warned: set[str] = set()

    def vector(self, where: str, values: np.ndarray) -> np.ndarray:
        """Return observations [n] or [B, n], clipped.

        where: what they are, for messages.  Raises WorldError that names the first entry which is not finite.
        """
        if all_within(values, LARGEST):
            return values
        finite_vector(self._name, where, values.ravel(), lambda i: self._entry(i % values.shape[-1]))
        for index in np.argwhere(np.abs(values) > LARGEST)[:, -1].tolist():
            self._warn(f"the observation at {self._entry(index)}")
        return values.clip(-LARGEST, LARGEST)

    def number(self, value: float) -> float:
        """Return a reward, clipped.  value: finite."""
        if abs(value) > LARGEST:
            self._warn("the reward")
            return math.copysign(LARGEST, value)
        return value

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            text = (
                f"{self._name}: {what} goes beyond ±{LARGEST:g}; float32 cannot sum squares of that, so it counts as "
            )
            warnings.warn(f"{text}±{LARGEST:g}: correct the sensor, or scale it", ReverieWarning, stacklevel=4)
