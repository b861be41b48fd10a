"""Exploration noise: what is added to the greedy action, made of standard normal draws.

A noise is a frozen dataclass of its settings, such as those in `reverie.maths.noises`.  Its method `process()` returns a
`Process`.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import numpy as np
import scipy.special
from jaxtyping import Float

from reverie.maths.array_arguments import array
from reverie.maths.array_types import Array, Numbers


class Process(NamedTuple):
    """A noise process: two functions.

    begin: (m) -> memory at the start of an episode, for m actions: one float32 array [..., m].
    step: (memory, noise) -> (added, memory).  noise: standard normal [..., m].  added: [..., m], where actions span
    [-1, 1].  NumPy or JAX arrays; with memory [B, ..., m] and noise [B, m] it steps B processes side by side.
    """

    begin: Callable[[int], Float[np.ndarray, "m"]]
    step: Callable[[Float[Array, "... m"], Numbers], tuple[Float[Array, "... m"], Float[Array, "... m"]]]


class Noise(Protocol):
    """Settings of a kind of noise: a frozen dataclass.

    A field that is called `scale` or `theta` gets the agent's setting `noise_scale` or `noise_theta`.  A class attribute
    `shaped = True` says that the agent bends the draws to its precision matrix first; agents without one refuse it.
    """

    def process(self) -> Process:
        """Return the process in time."""
        ...


def uniform(noise: Numbers) -> Float[Array, "..."]:
    """Return draws from [0, 1] made of standard normal ones, by their distribution function."""
    if isinstance(noise, jax.Array):
        return jax.scipy.special.ndtr(noise)
    return scipy.special.ndtr(array("exploration.uniform: noise", noise))
