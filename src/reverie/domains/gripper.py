"""Gripper: grasp an object with the two fingers of an arm, and bring it to a target. One variant has a single start."""

from collections.abc import Sequence

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, end, posture, square, turn

LINKS = (0.20, 0.20, 0.12, 0.11)  # m: three links, and from the palm to the pinch point between the fingertips
JOINTS = (1.4, -2.5, 1.1, 0.0)  # rad, at the start
OPEN = -0.3  # rad, of an open finger
TARGET = (0.20, 0.40)  # m
JOINT, FINGER, OBJECT = slice(0, 4), slice(4, 6), slice(6, 8)  # in positions and in velocities; OBJECT: x and y
SPIN = 8  # the object's angular velocity, in velocities
SPIN_SCALE = 0.1  # s: brings that velocity to the size of the other observations
TO_OBJECT, TO_TARGET, EFFORT = 0.35, 0.2, 0.0002  # weights of both distances, per m, and of |u|²
BONUS, NEAR = 0.05, 0.05  # reward of an object at the target, and distance in m at which 1/e of it is left


def start_near(generator: np.random.Generator, x: float, y: float, spread: float) -> InitialState:
    """Return a start near one posture, at rest, with open fingers.

    x, y: place of the object, m.  spread: the object is within ± this distance, m.
    """
    joints = np.array(JOINTS) + generator.normal(0.0, 0.05, 4)
    place = np.array([x, y]) + generator.uniform(-spread, spread, 2)
    return InitialState((*joints, OPEN, OPEN, *place, 0.0), (0.0,) * 9, TARGET)


def start(generator: np.random.Generator) -> InitialState:
    """Return a start with the object within 4 cm of (0.50, 0). Nearer to the arm it would start inside the fingers."""
    return start_near(generator, 0.50, 0.0, 0.04)


def start_single(generator: np.random.Generator) -> InitialState:
    """Return a start with the object within 5 mm of (0.50, 0)."""
    return start_near(generator, 0.50, 0.0, 0.005)


def grasp(state: State, base: Sequence[Number], target: Sequence[Number], ops: Ops) -> tuple[Vector, Vector]:
    """Return the vectors from the pinch point to the object, and from the target to the object, m.

    state: of arm, fingers and object.  base: x and y of the arm's base.  target: x and y.
    """
    x, y = end(state.q[JOINT], LINKS, ops)
    thing_x, thing_y = state.q[OBJECT]
    return (thing_x - base[0] - x, thing_y - base[1] - y), (thing_x - target[0], thing_y - target[1])


def features(state: State, target: Sequence[Number], ops: Ops) -> tuple[Vector, Vector]:
    """Return the vectors from the pinch point to the object, and from the target to the object, m."""
    return grasp(state, (0.0, 0.0), target, ops)


def observation(state: State, features: tuple[Vector, Vector], base: State, ops: Ops) -> list[Number]:
    """Return the observation of an arm with fingers and an object. Entries of its base follow the fingers' velocities.

    state: j0 … j3, the two fingers, and x, y and angle of the object.  base: state of the base.
    """
    q, v = state
    from_pinch, from_target = features
    joints = q[JOINT]
    heading = joints[0] + joints[1] + joints[2] + joints[3]
    in_palm = turn(from_pinch, ops.cos(heading), ops.sin(heading))
    arm = [*posture(joints, (), ops), *q[FINGER], *v[JOINT], *v[FINGER], *base.q, *base.v]
    return [*arm, *q[OBJECT], *v[OBJECT], *from_pinch, *in_palm, *from_target, SPIN_SCALE * v[SPIN]]


def observe(state: State, features: tuple[Vector, Vector], ops: Ops) -> list[Number]:
    """Return the observation (27).

    It holds sin and cos of j0 … j3 (4 + 4), fingers (2), velocities of all these joints (4 + 2), object (2), its
    velocity (2), object - pinch point in world coordinates and in the palm's axes (2 + 2), object - target (2), and 0.1
    x the object's angular velocity (1).
    """
    return observation(state, features, State((), ()), ops)


def reward(before: State, action: Sequence[Number], state: State, features: tuple[Vector, Vector], ops: Ops) -> Number:
    """Return -0.35 d(pinch, object) - 0.2 d(object, target) + 0.05 exp(-(d(object, target) / 0.05)²) - 0.0002 |u|²."""
    del before, state
    from_pinch, from_target = features
    away = distance(from_target, ops)
    bonus = BONUS * ops.exp(-((away / NEAR) * (away / NEAR)))
    return -TO_OBJECT * distance(from_pinch, ops) - TO_TARGET * away + bonus - EFFORT * square(action)


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
