"""The parts of a flat observation, in the order in which they are flattened, and its bounds."""

from typing import Any

import gymnasium as gym
from gymnasium.spaces import utils as space_utils

Parts = tuple[tuple[str, str, tuple[int, ...]], ...]


MOST_BOUNDS = 1000  # largest observation whose bounds are stored; the bounds of pictures are of no use


def bounds_of(space: gym.Space[Any]) -> tuple[list[float], list[float]]:
    """Return the bounds (low [n], high [n]) of a flat observation.

    Both are empty if the observation has more than MOST_BOUNDS numbers, or if it has no bounds.
    """
    flat = space_utils.flatten_space(space) if space_utils.flatdim(space) <= MOST_BOUNDS else None
    if not isinstance(flat, gym.spaces.Box):
        return [], []
    return flat.low.astype(float).ravel().tolist(), flat.high.astype(float).ravel().tolist()


def layout_of(space: gym.Space[Any], name: str = "") -> Parts:
    """Return (name, kind, shape) of each part of a flat observation.

    Parts of a Dict or a Tuple are named by their keys and positions, such as "arm.0".  name: that of the space itself.
    """
    inner = ()
    if isinstance(space, gym.spaces.Dict):
        inner = space.spaces.items()
    elif isinstance(space, gym.spaces.Tuple):
        inner = enumerate(space.spaces)
    if inner:
        found = [layout_of(part, f"{name}.{key}" if name else str(key)) for key, part in inner]
        return tuple(part for group in found for part in group)
    if isinstance(space, gym.spaces.Box | gym.spaces.MultiBinary):
        shape = tuple(map(int, space.shape))
    else:
        shape = (space_utils.flatdim(space),)
    return ((name or "observation", type(space).__name__, shape),)
