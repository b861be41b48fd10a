"""Reacher: bring the tip of a planar arm to a target, which is random in each episode, or always the same."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, posture, square, to_tip

AT_REST = (0.0, 0.0, 0.0)
PER_METRE, EFFORT = 0.033, 0.0002  # weights of the tip's distance and of |u|²
STRENGTH = 3.0  # factor of the motors' gears. With 1, the best controller scores hardly more than the paper's NAF.


def edit(spec: Any) -> None:
    """Make the motors stronger, for targets in all directions."""
    for motor in spec.actuators:
        motor.gear[0] *= STRENGTH


def start(generator: np.random.Generator) -> InitialState:
    """Return a start in any posture, at rest. The target is uniform over the annulus with radii 0.1 and 0.5 m."""
    posture = (generator.uniform(-math.pi, math.pi), *generator.uniform(-2.0, 2.0, 2))
    radius, direction = math.sqrt(generator.uniform(0.1**2, 0.5**2)), generator.uniform(-math.pi, math.pi)
    return InitialState(posture, AT_REST, (radius * math.cos(direction), radius * math.sin(direction)))


def start_single(generator: np.random.Generator) -> InitialState:
    """Return a start near one posture, at rest. The target is always the same."""
    return InitialState(np.array([0.0, 0.6, 0.6]) + generator.normal(0.0, 0.05, 3), AT_REST, (-0.25, 0.25))


def features(state: State, target: Sequence[Number], ops: Ops) -> tuple[Sequence[Number], Vector]:
    """Return the target and the vector from it to the tip."""
    return target, to_tip(state.q, target, ops)


def observe(state: State, features: tuple[Sequence[Number], Vector], ops: Ops) -> list[Number]:
    """Return sin q (3), cos q (3), q' (3), target (2), tip - target (2)."""
    target, from_target = features
    return [*posture(*state, ops), *target, *from_target]


def observe_single(state: State, features: tuple[Sequence[Number], Vector], ops: Ops) -> list[Number]:
    """Return sin q (3), cos q (3), q' (3), tip - target (2)."""
    _, from_target = features
    return [*posture(*state, ops), *from_target]


def reward(
    before: State, action: Sequence[Number], state: State, features: tuple[Sequence[Number], Vector], ops: Ops
) -> Number:
    """Return -0.033 d(tip, target) - 0.0002 |u|²."""
    del before, state
    _, from_target = features
    return -PER_METRE * distance(from_target, ops) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "reacher",
        "bring a planar arm's tip to a random target",
        "reacher.xml",
        4,
        start,
        observe,
        reward,
        features,
        edit=edit,
    ),
    Domain(
        "reacher_single",
        "the same arm, one start, one target",
        "reacher.xml",
        4,
        start_single,
        observe_single,
        reward,
        features,
    ),
)
