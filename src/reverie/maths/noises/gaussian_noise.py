"""Gaussian: independent from step to step."""

import dataclasses

import numpy as np

from reverie.core.checked_settings import Settings
from reverie.maths.array_arguments import array
from reverie.maths.exploration import Process


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianNoise(Settings):
    """N = σ ε."""

    scale: float = 0.3
    """σ: what each standard normal draw ε is multiplied by, where actions span [-1, 1]."""

    def process(self) -> Process:
        """Return the process; its memory is never read."""

        def begin(action_dim: int) -> np.ndarray:
            return np.zeros(action_dim, np.float32)

        def step(memory, noise):
            return self.scale * array("exploration: noise", noise), memory

        return Process(begin, step)
