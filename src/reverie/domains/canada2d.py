"""Canada2d: hit a ball with a stick on a planar arm, so that it comes to rest on a target out of the arm's reach."""

from collections.abc import Sequence

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, posture, square, to_tip

ARM, BALL = slice(0, 3), slice(3, 5)  # joints of the arm, and x and y of the ball, in positions and in velocities
TO_BALL, TO_TARGET, EFFORT = 0.02, 0.105, 0.0002  # weights of the tip's and the ball's distance, per m, and of |u|²


def start(generator: np.random.Generator) -> InitialState:
    """Return a start: the arm is bent behind a ball at rest, and the target is out of reach."""
    joints = np.array([1.2, -2.4, 1.2]) + generator.normal(0.0, 0.05, 3)
    ball = (generator.uniform(0.40, 0.46), generator.uniform(-0.1, 0.1))
    target = (generator.uniform(0.9, 1.3), generator.uniform(-0.3, 0.3))
    return InitialState((*joints, *ball), (0.0,) * 5, target)


def features(state: State, target: Sequence[Number], ops: Ops) -> tuple[Vector, Vector]:
    """Return the vectors from the tip, and from the target, to the ball."""
    ball = state.q[BALL]
    x, y = to_tip(state.q[ARM], ball, ops)
    return (-x, -y), (ball[0] - target[0], ball[1] - target[1])


def observe(state: State, features: tuple[Vector, Vector], ops: Ops) -> list[Number]:
    """Return sin q, cos q, q' of the arm (9), ball (2), its velocity (2), ball - tip (2), target - ball (2)."""
    q, v = state
    from_tip, (x, y) = features
    return [*posture(q[ARM], v[ARM], ops), *q[BALL], *v[BALL], *from_tip, -x, -y]


def reward(before: State, action: Sequence[Number], state: State, features: tuple[Vector, Vector], ops: Ops) -> Number:
    """Return -0.02 d(ball, tip) - 0.105 d(ball, target) - 0.0002 |u|²."""
    del before, state
    from_tip, from_target = features
    return -TO_BALL * distance(from_tip, ops) - TO_TARGET * distance(from_target, ops) - EFFORT * square(action)


DOMAINS = (
    Domain(
        "canada2d",
        "hit a ball so that it rests on a distant target",
        "canada2d.xml",
        8,
        start,
        observe,
        reward,
        features,
    ),
)
