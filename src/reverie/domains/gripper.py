"""Gripper: grasp an object with the two fingers of an arm, and bring it to a target. One variant has a single start."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, end, posture, square, turn

LINKS = (0.20, 0.20, 0.12, 0.11)  # m: three links, and from the palm to the pinch point between the fingertips
JOINTS = (1.4, -2.5, 1.1, 0.0)  # rad, at the start
OPEN = -0.3  # rad, of an open finger
TARGET = (0.20, 0.40)  # m


def lay(generator: np.random.Generator, x: float, y: float, spread: float) -> InitialState:
    """Return a start near one posture, at rest, with open fingers.

    x, y: place of the object, m.  spread: the object is within ± this distance, m.
    """
    joints = np.array(JOINTS) + generator.normal(0.0, 0.05, 4)
    place = np.array([x, y]) + generator.uniform(-spread, spread, 2)
    return InitialState((*joints, OPEN, OPEN, *place, 0.0), (0.0,) * 9, TARGET)


def start(generator: np.random.Generator) -> InitialState:
    """Return a start with the object within 4 cm of (0.50, 0). Nearer to the arm it would start inside the fingers."""
    return lay(generator, 0.50, 0.0, 0.04)


def start_single(generator: np.random.Generator) -> InitialState:
    """Return a start with the object within 5 mm of (0.50, 0)."""
    return lay(generator, 0.50, 0.0, 0.005)


def grasp(
    joints: Sequence[Number], thing: Sequence[Number], base: Sequence[Number], target: tuple, ops: Ops
) -> tuple[Vector, Vector]:
    """Return the vectors from the pinch point to the object, and from the target to the object, m.

    joints: angles j0 … j3.  thing: x and y of the object.  base: x and y of the arm's base.  target: x and y.
    """
    x, y = end(joints, LINKS, ops)
    return (thing[0] - base[0] - x, thing[1] - base[1] - y), (thing[0] - target[0], thing[1] - target[1])


def features(state: State, target: tuple, ops: Ops) -> tuple[Vector, Vector]:
    """Return the vectors from the pinch point to the object, and from the target to the object, m."""
    return grasp(state.q[:4], state.q[6:8], (0.0, 0.0), target, ops)


def seen(state: State, measured: Any, base: State, ops: Ops) -> list[Number]:
    """Return the observation of an arm with fingers and an object. Entries of its base follow the fingers' velocities.

    state: j0 … j3, the two fingers, and x, y and angle of the object.  base: state of the base.
    """
    q, v = state
    from_pinch, from_target = measured
    heading = q[0] + q[1] + q[2] + q[3]
    in_palm = turn(from_pinch, ops.cos(heading), ops.sin(heading))
    arm = [*posture(q[:4], (), ops), *q[4:6], *v[:6], *base.q, *base.v]
    return [*arm, *q[6:8], *v[6:8], *from_pinch, *in_palm, *from_target, 0.1 * v[8]]


def observe(state: State, measured: Any, ops: Ops) -> list[Number]:
    """Return the observation (27).

    It holds sin and cos of j0 … j3 (4 + 4), fingers (2), velocities of all these joints (4 + 2), object (2), its
    velocity (2), object - pinch point in world coordinates and in the palm's axes (2 + 2), object - target (2), and 0.1
    x the object's angular velocity (1).
    """
    return seen(state, measured, State((), ()), ops)


def reward(before: State, action: list, state: State, measured: Any, ops: Ops) -> Number:
    """Return -0.35 d(pinch, object) - 0.2 d(object, target) + 0.05 exp(-(d(object, target) / 0.05)²) - 0.0002 |u|²."""
    del before, state
    from_pinch, from_target = measured
    away = distance(from_target, ops)
    bonus = 0.05 * ops.exp(-((away / 0.05) * (away / 0.05)))
    return -0.35 * distance(from_pinch, ops) - 0.2 * away + bonus - 0.0002 * square(action)


DOMAINS = (
    Domain("gripper", "grasp an object and bring it to a place", "gripper.xml", 8, start, observe, reward, features),
    Domain(
        "gripper_single",
        "the same, the object always in one spot",
        "gripper.xml",
        8,
        start_single,
        observe,
        reward,
        features,
    ),
)
