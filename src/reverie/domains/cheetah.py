"""Cheetah: run as far as possible in three seconds, with Gymnasium's half-cheetah, controlled every 0.02 s."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import square

KILOGRAMS = 14.0
EFFORT = 0.0001  # weight of |u|²


def edit(spec: Any) -> None:
    """Scale the masses here. The original file uses `settotalmass`, which MuJoCo 4 warns will be removed."""
    spec.compiler.settotalmass = -1
    scale = KILOGRAMS / spec.copy().compile().body_mass.sum()
    for geom in spec.geoms:
        geom.density *= scale


def start(generator: np.random.Generator) -> InitialState:
    """Return a start near the default pose, which is all zeros."""
    return InitialState(generator.uniform(-0.1, 0.1, 9), generator.normal(0.0, 0.1, 9))


def observe(state: State, features: object, ops: Ops) -> list[Number]:
    """Return positions without x (8), velocities (9)."""
    del features, ops
    return [*state.q[1:], *state.v]


def reward(before: State, action: Sequence[Number], state: State, features: object, ops: Ops) -> Number:
    """Return x(t+1) - x(t) - 0.0001 |u|², which is mostly the distance covered in m."""
    del features, ops
    return state.q[0] - before.q[0] - EFFORT * square(action)


DOMAINS = (
    Domain(
        "cheetah", "run as far as possible in 3 s", "gymnasium:half_cheetah.xml", 2, start, observe, reward, edit=edit
    ),
)
