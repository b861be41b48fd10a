"""Peg: put a peg on a planar arm into a slot that is 15 mm wider on either side."""

from collections.abc import Sequence

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State
from reverie.domains.planar import Vector, distance, posture, square, to_tip

HOLE = (0.53, 0.0)  # m: position of the tip when the peg's end is 5 mm from the back wall
PER_METRE, EFFORT = 0.21, 0.0002  # weights of the tip's distance and of |u|²


def start(generator: np.random.Generator) -> InitialState:
    """Return a start: the arm is bent and at rest, with the tip near (0.40, 0), in front of the slot."""
    return InitialState(np.array([-0.9, 1.8, -0.9]) + generator.normal(0.0, 0.05, 3), (0.0, 0.0, 0.0), HOLE)


def features(state: State, target: Sequence[Number], ops: Ops) -> Vector:
    """Return the vector from the hole to the tip."""
    return to_tip(state.q, target, ops)


def observe(state: State, features: Vector, ops: Ops) -> list[Number]:
    """Return sin q (3), cos q (3), q' (3), tip - hole (2)."""
    return [*posture(*state, ops), *features]


def reward(before: State, action: Sequence[Number], state: State, features: Vector, ops: Ops) -> Number:
    """Return -0.21 d(tip, hole) - 0.0002 |u|²."""
    del before, state
    return -PER_METRE * distance(features, ops) - EFFORT * square(action)


DOMAINS = (
    Domain("peg", "put a peg on a planar arm into a narrow slot", "peg.xml", 8, start, observe, reward, features),
)
