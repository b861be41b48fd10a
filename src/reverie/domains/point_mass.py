"""Point_mass: push a disc to a target, past a region with a bonus. The cost has a jump that derivatives do not show.

Start, target, region and their costs are from the code of Chebotar et al. 2017 (cbfinn/gps, its example of a
discontinuous cost). Where we differ:

| subject         | here          | there           |
|-----------------|---------------|-----------------|
| force and mass  | 6 N on 1 kg   | 1 N on 4.8 kg   |
| steps           | 150 of 0.02 s | 100 of 0.05 s   |
| cost of actions | 0.05 abs(u)²  | none            |
| start           | within 1 cm   | always the same |
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import square

TARGET = (3.0, 0.0)
REGION, REACH = (2.5, 0.5), 0.3  # m: middle of the region, and largest |Δx| + |Δy| from there
PAYS, EFFORT = 30.0, 0.05  # bonus of the region per step, and weight of |u|²


def start(generator: np.random.Generator) -> InitialState:
    """Return a start at rest near (1, 0)."""
    return InitialState(np.array([1.0, 0.0]) + generator.normal(0.0, 0.01, 2), (0.0, 0.0))


def inside(state: State) -> Any:
    """Return whether the disc is in the region."""
    x, y = state.q
    return abs(x - REGION[0]) + abs(y - REGION[1]) <= REACH


def observe(state: State, features: object, ops: Ops) -> list[Number]:
    """Return x, y, x', y' (4)."""
    del features, ops
    return [*state.q, *state.v]


def reward(before: State, action: Sequence[Number], state: State, features: object, ops: Ops) -> Number:
    """Return -½ d(disc, target)² + 30 [|x - 2.5| + |y - 0.5| ≤ 0.3] - 0.05 |u|²."""
    del before, features, ops
    x, y = state.q
    away = (x - TARGET[0]) * (x - TARGET[0]) + (y - TARGET[1]) * (y - TARGET[1])
    return -0.5 * away + PAYS * inside(state) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "point_mass", "push a disc to a place, past a region that pays", "point_mass.xml", 2, start, observe, reward
    ),
)
