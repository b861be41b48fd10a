"""Hit a ball with a stick on a planar arm so that it comes to rest on a target out of reach."""

import numpy as np

from reverie.domains.domain import Domain, Number, Ops, Start, State
from reverie.domains.planar import distance, posture, square, to_tip


def start(generator: np.random.Generator) -> Start:
    """Bent behind a ball at rest; the target beyond reach."""
    joints = np.array([1.2, -2.4, 1.2]) + generator.normal(0.0, 0.05, 3)
    ball = (generator.uniform(0.40, 0.46), generator.uniform(-0.1, 0.1))
    target = (generator.uniform(0.9, 1.3), generator.uniform(-0.3, 0.3))
    return Start((*joints, *ball), (0.0,) * 5, target)


def observe(state: State, target: tuple, ops: Ops) -> list[Number]:
    """Return sin q, cos q, q' of the arm (9), ball (2), its velocity (2), ball - tip (2), target - ball (2)."""
    q, v = state
    x, y = to_tip(q[:3], q[3:], ops)
    return [*posture(q[:3], v[:3], ops), *q[3:], *v[3:], -x, -y, target[0] - q[3], target[1] - q[4]]


def reward(before: State, action: list, state: State, target: tuple, ops: Ops) -> Number:
    """Return -0.02 d(ball, tip) - 0.105 d(ball, target) - 0.0002 |u|²."""
    del before
    x, y = state.q[3:]
    near = distance(*to_tip(state.q[:3], (x, y), ops), ops)
    away = distance(x - target[0], y - target[1], ops)
    return -0.02 * near - 0.105 * away - 0.0002 * square(action)


DOMAINS = (
    Domain("canada2d", "hit a ball so that it rests on a distant target", "canada2d.xml", 8, start, observe, reward),
)
