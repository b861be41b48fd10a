"""Exploration noise added to the greedy action, as processes over standard normal innovations [m].

A process is a pair of functions: `begin(m) -> memory` at an episode's start and
`step(memory, innovation, scale) -> (noise, memory)` at each step.  NumPy or JAX arrays.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import scipy.special

from reverie.maths.array_arguments import array

Noise = Literal["ou", "gaussian", "precision"]
THETA = 0.15  # pull of the Ornstein-Uhlenbeck process towards zero, per step.  Lillicrap et al. 2016, section 7


class Process(NamedTuple):
    """A noise process; see the module."""

    begin: Callable[[int], Any]
    step: Callable[..., Any]


def _begin(action_dim: int):
    return np.zeros(action_dim, np.float32)


def _ornstein_uhlenbeck(memory, innovation, scale):
    """N ← (1 - θ) n + σ ε: correlated in time, restarted at zero each episode.  σ = scale; it settles at 1.90 σ."""
    innovation = array("exploration: innovation", innovation)
    memory = (1.0 - THETA) * memory + scale * innovation
    return memory, memory


def _gaussian(memory, innovation, scale):
    """N = σ ε: independent from step to step."""
    return scale * array("exploration: innovation", innovation), memory


def uniform(innovation):
    """Return draws from [0, 1] made of standard normal ones, by their distribution function."""
    if isinstance(innovation, jax.Array):
        return jax.scipy.special.ndtr(innovation)
    return scipy.special.ndtr(array("exploration.uniform: innovation", innovation))


ORNSTEIN_UHLENBECK = Process(_begin, _ornstein_uhlenbeck)
GAUSSIAN = Process(_begin, _gaussian)


def process(noise: Noise) -> Process:
    """Return the process in time of a kind of noise; "precision" is Ornstein-Uhlenbeck over shaped innovations."""
    return GAUSSIAN if noise == "gaussian" else ORNSTEIN_UHLENBECK
