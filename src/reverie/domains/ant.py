"""Ant: walk to a target on four legs, with the model of Gymnasium's ant."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, square, to_target

Axis = tuple[Number, Number, Number]

TARGET = (3.0, 0.0)  # m
SEEN = 5.0  # m: the target is observed as if no component were farther
PER_METRE, EFFORT = 0.0095, 0.0003  # weights of the torso's distance and of |u|²


def edit(spec: Any) -> None:
    """Add the target, and a camera that shows both start and target."""
    spec.worldbody.add_camera(name="view", pos=[1.5, -6.0, 2.6], xyaxes=[1, 0, 0, 0, 0.4, 1])
    spec.worldbody.add_body(name="target", mocap=True).add_geom(
        name="target", size=[0.2, 0, 0], rgba=[0.2, 0.65, 0.3, 0.5], contype=0, conaffinity=0
    )


def start(generator: np.random.Generator) -> InitialState:
    """Return the start, which is always the default pose at rest, as in the paper."""
    del generator
    return InitialState((0.0, 0.0, 0.75, 1.0, *[0.0] * 11), (0.0,) * 14, TARGET)


def rotation(w: Number, x: Number, y: Number, z: Number) -> tuple[Axis, Axis, Axis]:
    """Return the torso's axes in world coordinates, the columns of its rotation matrix, from a unit quaternion."""
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
    )


def observe(state: State, features: Vector, ops: Ops) -> list[Number]:
    """Return the observation (32).

    It holds the torso's height (1), its x and z axes in world coordinates (6), target - torso in the torso's axes,
    clipped to ±5 (3), joint angles (8), linear velocity in the torso's axes (3), angular velocity (3), joint velocities
    (8). The target is at the torso's height.
    """
    q, v = state
    axes = rotation(*q[3:7])  # of the torso's quaternion
    ahead, across = features
    to_target = [ops.clip(ahead * axis[0] + across * axis[1], -SEEN, SEEN) for axis in axes]
    velocity = [v[0] * axis[0] + v[1] * axis[1] + v[2] * axis[2] for axis in axes]
    height, joints, spin, joint_velocities = q[2], q[7:], v[3:6], v[6:]
    return [height, *axes[0], *axes[2], *to_target, *joints, *velocity, *spin, *joint_velocities]


def reward(before: State, action: Sequence[Number], state: State, features: Vector, ops: Ops) -> Number:
    """Return -0.0095 d(torso, target) - 0.0003 |u|²."""
    del before, state
    return -PER_METRE * distance(features, ops) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "ant", "walk to a target on four legs", "gymnasium:ant.xml", 5, start, observe, reward, to_target, edit=edit
    ),
)
