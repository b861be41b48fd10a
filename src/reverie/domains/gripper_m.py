"""Gripper_m: the gripper on a mobile base. The arm does not reach object and target well without moving the base."""

from collections.abc import Sequence

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.gripper import VERSION, Grasp, grasp, held, observation, start_near
from reverie.domains.planar import distance, square

TARGET = (0.35, 0.45)  # m
BASE = slice(0, 2)  # x and y of the base, in positions and in velocities; the rest is the gripper's
TO_OBJECT, TO_TARGET, EFFORT = 0.75, 0.5, 0.0002  # weights of both distances, per m, and of |u|²
MISSING = 0.08  # cost of an object that is not held at the target


def gripper(state: State) -> State:
    """Return the state without the base."""
    return State(state.q[2:], state.v[2:])


def start(generator: np.random.Generator) -> InitialState:
    """Return a start of the gripper, with its base at the origin and the object within 4 cm of (0.60, 0.08)."""
    arm = start_near(generator, 0.60, 0.08, 0.04)
    return InitialState((0.0, 0.0, *arm.q), (0.0, 0.0, *arm.v), TARGET)


def features(state: State, target: Sequence[Number], ops: Ops) -> Grasp:
    """Return where the object is."""
    return grasp(gripper(state), state.q[BASE], target, ops)


def observe(state: State, features: Grasp, ops: Ops) -> list[Number]:
    """Return the gripper's observation with the base's position and velocity (2 + 2) added (31 in all)."""
    base = State(state.q[BASE], state.v[BASE])
    return observation(gripper(state), features, base, ops)


def reward(before: State, action: Sequence[Number], state: State, features: Grasp, ops: Ops) -> Number:
    """Return -0.75 d(pinch, object) - 0.5 d(object, target) - 0.08 (1 - held) - 0.0002 |u|²."""
    del before, state
    near, away = distance(features.from_pinch, ops), distance(features.from_target, ops)
    return -TO_OBJECT * near - TO_TARGET * away - MISSING * (1.0 - held(features, ops)) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "gripper_m",
        "the gripper on a base that moves",
        "gripper_m.xml",
        8,
        start,
        observe,
        reward,
        features,
        version=VERSION,
    ),
)
