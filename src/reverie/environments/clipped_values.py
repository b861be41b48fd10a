"""Clip values that are too large to learn from, with one warning per sensor.

Learning sums squares of the observations and rewards of a minibatch in float32, whose largest value is 3.4e38.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import utils as space_utils

from reverie.core.errors import ReverieWarning
from reverie.core.finite import all_within
from reverie.environments.values import finite_vector

LARGEST = 1e16  # its square, summed over a minibatch of any size, is within float32


class ClippedValues:
    """Clips the values of an environment to ±LARGEST.

    name: the environment's.  sensor: index -> readable name of an entry of a flat observation.
    """

    def __init__(self, name: str, sensor: Callable[[int], str]):
        self._name, self._sensor = name, sensor
        self._warned: set[str] = set()

    def vector(self, where: str, values: np.ndarray) -> np.ndarray:
        """Return observations [n] or [B, n], clipped.

        where: what they are, for messages.  Raises WorldError that names the first entry which is not finite.
        """
        if all_within(values, LARGEST):
            return values
        finite_vector(self._name, where, values.ravel())
        for index in np.argwhere(np.abs(values) > LARGEST)[:, -1].tolist():
            self._warn(f"the observation at {self._sensor(index)}")
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


def by_index(index: int) -> str:
    """Return the name of an entry of a flat observation if only its index is known."""
    return f"index {index}"


def sensor_of(space: gym.Space[Any], index: int) -> str:
    """Return a readable name of an entry of a flat observation, such as "index 3 (arm/q)".

    The keys are those of the Dict spaces that contain the entry.
    """
    keys, left = [], index
    while isinstance(space, gym.spaces.Dict):
        ends = np.cumsum([space_utils.flatdim(inner) for inner in space.spaces.values()])
        place = int(np.searchsorted(ends, left, side="right"))
        left -= int(ends[place - 1]) if place else 0
        key, space = list(space.spaces.items())[place]
        keys.append(str(key))
    return by_index(index) + (f" ({'/'.join(keys)})" if keys else "")
