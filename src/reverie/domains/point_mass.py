"""Push a disc to a place, past a region that pays: a cost with a jump that no derivative shows.

From the code of Chebotar et al. 2017 (cbfinn/gps, its example of a discontinuous cost): start, target, region, and what
they cost.  Where ours differs (ours / theirs): force 6 N on 1 kg / 1 N on 4.8 kg; 150 steps of 0.02 s / 100 of 0.05 s;
0.05 |u|² / no cost of actions; a start within 1 cm / always the same.
"""

from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import square

TARGET = (3.0, 0.0)
REGION, REACH = (2.5, 0.5), 0.3  # its middle, and how far from there |Δx| + |Δy| it extends, m
PAYS, EFFORT = 30.0, 0.05


def start(generator: np.random.Generator) -> InitialState:
    """Return a start at rest near (1, 0)."""
    return InitialState(np.array([1.0, 0.0]) + generator.normal(0.0, 0.01, 2), (0.0, 0.0))


def inside(state: State) -> Any:
    """Return whether the disc is in the region."""
    x, y = state.q
    return abs(x - REGION[0]) + abs(y - REGION[1]) <= REACH


def observe(state: State, measured: Any, ops: Ops) -> list[Number]:
    """Return x, y, x', y' (4)."""
    del measured, ops
    return [*state.q, *state.v]


def reward(before: State, action: list, state: State, measured: Any, ops: Ops) -> Number:
    """Return -½ d(disc, target)² + 30 [|x - 2.5| + |y - 0.5| ≤ 0.3] - 0.05 |u|²."""
    del before, measured, ops
    x, y = state.q
    away = (x - TARGET[0]) * (x - TARGET[0]) + (y - TARGET[1]) * (y - TARGET[1])
    return -0.5 * away + PAYS * inside(state) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "point_mass", "push a disc to a place, past a region that pays", "point_mass.xml", 2, start, observe, reward
    ),
)
