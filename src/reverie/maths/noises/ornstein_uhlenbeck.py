"""Ornstein-Uhlenbeck: correlated from step to step, restarted at zero with each episode.

Lillicrap et al. 2016 (arXiv 1509.02971), section 7.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from reverie.core.checked_settings import Settings
from reverie.maths.array_arguments import array
from reverie.maths.array_types import Array, Numbers
from reverie.maths.exploration import Process


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrnsteinUhlenbeck(Settings):
    """N ← (1 - θ) N + σ ε.  With the default θ its standard deviation settles at 1.90 σ."""

    scale: float = 0.3
    """σ: what each standard normal draw ε is multiplied by, where actions span [-1, 1]."""
    theta: float = 0.15
    """θ: the pull towards zero, as a share per step."""

    def process(self) -> Process:
        """Return the process; its memory is N [m]."""

        def begin(action_dim: int) -> Float[np.ndarray, "m"]:
            return np.zeros(action_dim, np.float32)

        def step(memory: Float[Array, "... m"], noise: Numbers) -> tuple[Float[Array, "... m"], Float[Array, "... m"]]:
            memory = (1.0 - self.theta) * memory + self.scale * array("exploration: noise", noise)
            return memory, memory

        return Process(begin, step)
