"""Cartpole: swing a pole up on a cart, and keep it up."""

import math
from collections.abc import Sequence

import numpy as np

from reverie.domains.domain import Domain, InitialState, Number, Ops, State

TILT, OFFSET, EFFORT = 0.007, 0.001, 0.0002  # weights of 1 - cos θ, of x² (per m²) and of u²


def start(generator: np.random.Generator) -> InitialState:
    """Return a start: the pole hangs, nearly at rest, near the middle of the rail."""
    place, angle = generator.uniform(-0.1, 0.1, 2)
    return InitialState((place, math.pi + angle), generator.normal(0.0, 0.01, 2))


def observe(state: State, features: object, ops: Ops) -> list[Number]:
    """Return x, sin θ, cos θ, x', θ' (5); θ = 0 is up."""
    del features
    x, angle = state.q
    return [x, ops.sin(angle), ops.cos(angle), *state.v]


def reward(before: State, action: Sequence[Number], state: State, features: object, ops: Ops) -> Number:
    """Return -0.007 (1 - cos θ) - 0.001 x² - 0.0002 u²."""
    del before, features
    x, angle = state.q
    return -TILT * (1.0 - ops.cos(angle)) - OFFSET * x * x - EFFORT * action[0] * action[0]


DOMAINS = (
    Domain("cartpole", "swing a pole up on a cart and keep it there", "cartpole.xml", 6, start, observe, reward),
)
