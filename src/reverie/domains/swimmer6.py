"""Swimmer6: swim to a target, with a chain of seven links and six motors in a viscous fluid."""

from collections.abc import Sequence

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, square, to_target, turn

TARGET = (2.1, 0.0)  # m
EFFORT = 0.005  # weight of |u|²


def start(generator: np.random.Generator) -> InitialState:
    """Return a start: slightly bent, at rest, the nose at the origin, and headed within ±0.5 rad of the target."""
    heading, bends = generator.uniform(-0.5, 0.5), generator.uniform(-0.4, 0.4, 6)
    return InitialState((0.0, 0.0, heading, *bends), (0.0,) * 9, TARGET)


def observe(state: State, features: Vector, ops: Ops) -> list[Number]:
    """Return the observation (19).

    It holds target - nose (2) and the nose's velocity (2), both in the head's axes, the head's angular velocity (1),
    joint angles (6), joint velocities (6), and cos and sin of the heading (2).
    """
    q, v = state
    heading, joints, turning, joint_velocities = q[2], q[3:], v[2], v[3:]
    cosine, sine = ops.cos(heading), ops.sin(heading)
    ahead = turn(features, cosine, sine)
    return [*ahead, *turn((v[0], v[1]), cosine, sine), turning, *joints, *joint_velocities, cosine, sine]


def reward(before: State, action: Sequence[Number], state: State, features: Vector, ops: Ops) -> Number:
    """Return -1.0 d(nose, target) - 0.005 |u|²."""
    del before, state
    return -distance(features, ops) - EFFORT * square(action)


DOMAINS = (
    Domain("swimmer6", "swim to a target with six joints", "swimmer6.xml", 4, start, observe, reward, to_target),
)
