"""Exploration noise: what is added to the greedy action, made of standard normal draws.

A process is a pair of functions: `begin(m) -> memory` at the start of an episode, and
`step(memory, noise, scale) -> (added, memory)` at each step.  noise: standard normal [..., m].  added: [..., m], where
actions span [-1, 1].  NumPy or JAX arrays.
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


def _ornstein_uhlenbeck(memory, noise, scale):
    """N ← (1 - θ) n + σ ε: correlated in time, restarted at zero each episode.  σ = scale; it settles at 1.90 σ."""
    noise = array("exploration: noise", noise)
    memory = (1.0 - THETA) * memory + scale * noise
    return memory, memory


def _gaussian(memory, noise, scale):
    """N = σ ε: independent from step to step."""
    return scale * array("exploration: noise", noise), memory


def uniform(noise):
    """Return draws from [0, 1] made of standard normal ones, by their distribution function."""
    if isinstance(noise, jax.Array):
        return jax.scipy.special.ndtr(noise)
    return scipy.special.ndtr(array("exploration.uniform: noise", noise))


ORNSTEIN_UHLENBECK = Process(_begin, _ornstein_uhlenbeck)
GAUSSIAN = Process(_begin, _gaussian)


def process(kind: Noise) -> Process:
    """Return the process in time of a kind of noise; "precision" is Ornstein-Uhlenbeck over shaped draws."""
    return GAUSSIAN if kind == "gaussian" else ORNSTEIN_UHLENBECK
