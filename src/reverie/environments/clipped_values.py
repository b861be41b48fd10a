"""Numbers too large to learn from: clipped where they come in, with one warning for each sensor.

Learning squares observations and rewards and sums the squares of a minibatch in float32, which ends at 3.4e38.
"""

import math
import warnings
from collections.abc import Callable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import utils as space_utils

from reverie.core.errors import ReverieWarning
from reverie.core.finite import all_within
from reverie.environments.values import finite_vector

LARGEST = 1e16  # the square, times a minibatch of any size, is within float32


class ClippedValues:
    """Clips what comes from a world to ±MOST.

    name: the world's.  sensor: what people call an entry of a flat observation.
    """

    def __init__(self, name: str, sensor: Callable[[int], str]):
        self._name, self._sensor = name, sensor
        self._told: set[str] = set()

    def vector(self, where: str, values: np.ndarray) -> np.ndarray:
        """Return observations [n] or [B, n], clipped.  Raises WorldError, with `where`, naming the first that is not finite."""
        if all_within(values, LARGEST):
            return values
        finite_vector(self._name, where, values.ravel())
        for index in np.argwhere(np.abs(values) > LARGEST)[:, -1].tolist():
            self._tell(f"the observation at {self._sensor(index)}")
        return values.clip(-LARGEST, LARGEST)

    def number(self, value: float) -> float:
        """Return a finite reward, clipped."""
        if abs(value) > LARGEST:
            self._tell("the reward")
            return math.copysign(LARGEST, value)
        return value

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            text = (
                f"{self._name}: {what} goes beyond ±{LARGEST:g}; float32 cannot sum squares of that, so it counts as "
            )
            warnings.warn(f"{text}±{LARGEST:g}: mend the sensor, or scale it", ReverieWarning, stacklevel=4)


def by_index(index: int) -> str:
    """Return what an entry of a flat observation is called where nothing more is known of it."""
    return f"index {index}"


def sensor_of(space: gym.Space, index: int) -> str:
    """Return an entry of a flattened observation as "index 3 (arm/q)", with the keys of the Dict spaces that it lies in."""
    keys, left = [], index
    while isinstance(space, gym.spaces.Dict):
        ends = np.cumsum([space_utils.flatdim(inner) for inner in space.spaces.values()])
        place = int(np.searchsorted(ends, left, side="right"))
        left -= int(ends[place - 1]) if place else 0
        key, space = list(space.spaces.items())[place]
        keys.append(str(key))
    return by_index(index) + (f" ({'/'.join(keys)})" if keys else "")
