"""Gripper_m: the gripper on a mobile base. The arm does not reach object and target well without moving the base."""

from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.gripper import grasp, lay, seen
from reverie.domains.planar import Vector, distance, square

TARGET = (0.35, 0.45)


def start(generator: np.random.Generator) -> InitialState:
    """Return a start of the gripper, with its base at the origin and the object within 4 cm of (0.60, 0.08)."""
    arm = lay(generator, 0.60, 0.08, 0.04)
    return InitialState((0.0, 0.0, *arm.q), (0.0, 0.0, *arm.v), TARGET)


def features(state: State, target: tuple, ops: Ops) -> tuple[Vector, Vector]:
    """Return the vectors from the pinch point to the object, and from the target to the object, m."""
    return grasp(state.q[2:6], state.q[8:10], state.q[:2], target, ops)


def observe(state: State, measured: Any, ops: Ops) -> list[Number]:
    """Return the gripper's observation with the base's position and velocity (2 + 2) added (31 in all)."""
    q, v = state
    return seen(State(q[2:], v[2:]), measured, State(q[:2], v[:2]), ops)


def reward(before: State, action: list, state: State, measured: Any, ops: Ops) -> Number:
    """Return -0.85 d(pinch, object) - 0.56 d(object, target) - 0.0002 |u|²."""
    del before, state
    from_pinch, from_target = measured
    return -0.85 * distance(from_pinch, ops) - 0.56 * distance(from_target, ops) - 0.0002 * square(action)


DOMAINS = (
    Domain("gripper_m", "the gripper on a base that moves", "gripper_m.xml", 8, start, observe, reward, features),
)
