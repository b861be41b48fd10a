"""Gaussian: independent from step to step."""

import dataclasses

import numpy as np
from jaxtyping import Float

from reverie.core.checked_settings import Settings
from reverie.maths.array_arguments import array
from reverie.maths.array_types import Array, Numbers
from reverie.maths.exploration import Process


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianNoise(Settings):
    """N = σ ε."""

    scale: float = 0.3
    """σ: what each standard normal draw ε is multiplied by, where actions span [-1, 1]."""

    def process(self) -> Process:
        """Return the process; its memory is never read."""

        def begin(action_dim: int) -> Float[np.ndarray, "m"]:
            return np.zeros(action_dim, np.float32)

        def step(memory: Float[Array, "... m"], noise: Numbers) -> tuple[Float[Array, "... m"], Float[Array, "... m"]]:
            return self.scale * array("exploration: noise", noise), memory

        return Process(begin, step)
