"""Gripper: grasp an object with the two fingers of an arm, and bring it to a target. One variant has a single start.

The bonus asks for both fingers on the object. Without that, open fingers would do: they push the object along like a
scoop, and leave it at the target.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, end, posture, square, turn

VERSION = 2  # of all grippers. In version 1 the bonus did not ask for a grasp, and fingers closed further.
LINKS = (0.20, 0.20, 0.12, 0.11)  # m: three links, and from the palm to the pinch point between the fingertips
KNUCKLE = (-0.07, 0.035)  # m: joint of the left finger, seen from the pinch point in the palm's axes
PAD = (0.092, 0.0061)  # m: the pad, where a finger touches what it pinches, in the axes of the left finger
TOUCH = 0.035  # m: from a pad to the middle of an object that it touches, the sum of their radii
JOINTS = (1.4, -2.5, 1.1, 0.0)  # rad, at the start
OPEN = -0.3  # rad, of an open finger
TARGET = (0.20, 0.40)  # m
JOINT, FINGER, OBJECT = slice(0, 4), slice(4, 6), slice(6, 8)  # in positions and in velocities; OBJECT: x and y
SPIN = 8  # the object's angular velocity, in velocities
SPIN_SCALE = 0.1  # s: brings that velocity to the size of the other observations
TO_OBJECT, TO_TARGET, EFFORT = 0.35, 0.2, 0.0002  # weights of both distances, per m, and of |u|²
BONUS = 0.05  # reward of an object that is held at the target
NEAR, SNUG = 0.05, 0.005  # m: distance to the target, and gap to the fingers, at which 1/e of the bonus is left


class Grasp(NamedTuple):
    """Where an object is, in m."""

    from_pinch: Vector  # from the pinch point to the object
    in_palm: Vector  # the same, in the palm's axes
    from_target: Vector  # from the target to the object
    gap: Number  # between the object's surface and the pads of both fingers, their mean


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


def grasp(state: State, base: Sequence[Number], target: Sequence[Number], ops: Ops) -> Grasp:
    """Return where the object is.

    state: of arm, fingers and object.  base: x and y of the arm's base.  target: x and y.
    """
    joints = state.q[JOINT]
    x, y = end(joints, LINKS, ops)
    thing_x, thing_y = state.q[OBJECT]
    from_pinch = (thing_x - base[0] - x, thing_y - base[1] - y)
    heading = joints[0] + joints[1] + joints[2] + joints[3]
    in_palm = turn(from_pinch, ops.cos(heading), ops.sin(heading))
    from_target = (thing_x - target[0], thing_y - target[1])
    return Grasp(from_pinch, in_palm, from_target, gap(in_palm, state.q[FINGER], ops))


def gap(in_palm: Vector, fingers: Sequence[Number], ops: Ops) -> Number:
    """Return the mean distance between the object's surface and the pads of both fingers, m.

    It is near 0 only if the fingers have closed on an object between them. Between open fingers it is half of what they
    are too wide. Anywhere outside it is at least 14 mm, however far they are closed.

    in_palm: from the pinch point to the object, in the palm's axes.  fingers: angles of the left and the right one.
    """
    ahead, aside = in_palm
    total = -2 * TOUCH
    for finger, side in zip(fingers, (aside, -aside), strict=True):  # the right finger is the left one, mirrored
        cosine, sine = ops.cos(finger), ops.sin(finger)
        pad = KNUCKLE[0] + cosine * PAD[0] + sine * PAD[1], KNUCKLE[1] + cosine * PAD[1] - sine * PAD[0]
        total = total + distance((ahead - pad[0], side - pad[1]), ops)
    return 0.5 * total


def held(grasp: Grasp, ops: Ops) -> Number:
    """Return how far an object is held at the target: 1 with both fingers on it there, 0 far away or without them."""
    away, loose = distance(grasp.from_target, ops) / NEAR, grasp.gap / SNUG
    return ops.exp(-(away * away + loose * loose))


def features(state: State, target: Sequence[Number], ops: Ops) -> Grasp:
    """Return where the object is."""
    return grasp(state, (0.0, 0.0), target, ops)


def observation(state: State, features: Grasp, base: State, ops: Ops) -> list[Number]:
    """Return the observation of an arm with fingers and an object. Entries of its base follow the fingers' velocities.

    state: j0 … j3, the two fingers, and x, y and angle of the object.  base: state of the base.
    """
    q, v = state
    arm = [*posture(q[JOINT], (), ops), *q[FINGER], *v[JOINT], *v[FINGER], *base.q, *base.v]
    thing = [*q[OBJECT], *v[OBJECT], *features.from_pinch, *features.in_palm, *features.from_target]
    return [*arm, *thing, SPIN_SCALE * v[SPIN]]


def observe(state: State, features: Grasp, ops: Ops) -> list[Number]:
    """Return the observation (27).

    It holds sin and cos of j0 … j3 (4 + 4), fingers (2), velocities of all these joints (4 + 2), object (2), its
    velocity (2), object - pinch point in world coordinates and in the palm's axes (2 + 2), object - target (2), and 0.1
    x the object's angular velocity (1).
    """
    return observation(state, features, State((), ()), ops)


def reward(before: State, action: Sequence[Number], state: State, features: Grasp, ops: Ops) -> Number:
    """Return -0.35 d(pinch, object) - 0.2 d(object, target) + 0.05 held - 0.0002 |u|², with `held` of 0 to 1."""
    del before, state
    near, away = distance(features.from_pinch, ops), distance(features.from_target, ops)
    return -TO_OBJECT * near - TO_TARGET * away + BONUS * held(features, ops) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "gripper",
        "grasp an object and bring it to a place",
        "gripper.xml",
        8,
        start,
        observe,
        reward,
        features,
        version=VERSION,
    ),
    Domain(
        "gripper_single",
        "the same, the object always in one spot",
        "gripper.xml",
        8,
        start_single,
        observe,
        reward,
        features,
        version=VERSION,
    ),
)
