"""Walker2d: walk as far as possible without falling, with Gymnasium's walker. It starts at a walking pace.

The motors are weaker than in the original model, and the legs more damped.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import square

PACE = 1.1  # m/s at the start
GEAR = 40.0  # N m; 100 in the original, with which an episode of random actions lasts 7 steps
LOWEST, HIGHEST, STEEPEST = 0.8, 2.0, 1.0  # m, m, rad: height and pitch of a torso that has not fallen
FASTEST = 10.0  # m/s and rad/s: velocities are observed as if none were greater
ALIVE, EFFORT = 0.001, 0.0001  # reward per step without a fall, and weight of |u|²
DAMPING = 1.0  # N m s, of the six leg joints; 0.1 in the original


def edit(spec: Any) -> None:
    """Make the motors weaker and the legs more damped."""
    for motor in spec.actuators:
        motor.gear[0] = GEAR
    for joint in spec.joints:
        if not joint.name.startswith("root"):
            joint.damping[0] = DAMPING  # the first of three coefficients is the linear one


def start(generator: np.random.Generator) -> InitialState:
    """Return a start: upright, walking at PACE."""
    q = np.array([0.0, 1.25, *[0.0] * 7]) + generator.uniform(-0.005, 0.005, 9)
    v = np.array([PACE, *[0.0] * 8]) + generator.uniform(-0.005, 0.005, 9)
    return InitialState(q, v)


def observe(state: State, features: object, ops: Ops) -> list[Number]:
    """Return positions without x (8), velocities clipped to ±10 (9)."""
    del features
    return [*state.q[1:], *(ops.clip(v, -FASTEST, FASTEST) for v in state.v)]


def fallen(state: State) -> Any:
    """Return whether the torso's height is outside 0.8 < z < 2.0 m, or its pitch is 1 rad or more."""
    z, pitch = state.q[1], state.q[2]
    return (z <= LOWEST) | (z >= HIGHEST) | (abs(pitch) >= STEEPEST)


def reward(before: State, action: Sequence[Number], state: State, features: object, ops: Ops) -> Number:
    """Return x(t+1) - x(t) + 0.001 (unless fallen) - 0.0001 |u|²."""
    del features, ops
    return state.q[0] - before.q[0] + ALIVE * (1 - fallen(state)) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "walker2d",
        "walk on without falling",
        "gymnasium:walker2d_v5.xml",
        10,
        start,
        observe,
        reward,
        terminated=fallen,
        edit=edit,
    ),
)
