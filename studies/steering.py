"""A made-up beam line for the study `logs`: four correctors steer a beam through four position monitors."""

from typing import Any

import gymnasium as gym
import numpy as np

MONITORS, STEPS = 4, 15
STEP = 0.3  # amperes, the largest change of a corrector in one step
MOST = 2.0  # amperes
NOISE = 0.02  # mm, of a reading
NEAR = 0.3  # mm; an episode that ends with the beam this near the axis (root mean square) is a success
PHASES = (0.0, 0.9, 1.9, 2.6)  # of the correctors, radians
ADVANCE = 0.7  # from a corrector to the monitor behind it, radians


SETTINGS = {  # of the machine: times the phases, and the sign of each corrector
    "today": (1.0, (1, 1, 1, 1)),
    "other optics": (1.5, (1, 1, 1, 1)),
    "reversed": (1.0, (1, -1, 1, 1)),
}


def response(setting: str = "today") -> np.ndarray:
    """Return the response matrix [monitors, correctors] of a setting of the machine, mm per ampere."""
    scale, signs = SETTINGS[setting]
    correctors = np.array(PHASES) * scale
    phase = (correctors + ADVANCE * scale)[:, None] - correctors
    return np.where(phase > 0, 2.0 * np.sin(phase), 0.0) * signs


class Steering(gym.Env[np.ndarray, np.ndarray]):
    """Bring the beam to the axis of all monitors, from another drift of the machine in each episode.

    Observations: monitors [mm], then correctors [A].  Actions: changes of the correctors [A].
    setting: of the machine, see `SETTINGS`.  noise: of a reading, mm.
    """

    observation_space = gym.spaces.Box(-100.0, 100.0, (2 * MONITORS,))
    action_space = gym.spaces.Box(-STEP, STEP, (MONITORS,))

    def __init__(self, setting: str = "today", noise: float = NOISE):
        self.response, self.noise = response(setting), noise

    def _observe(self) -> np.ndarray:
        read = self.offset + self.response @ self.current + self.noise * self.np_random.standard_normal(MONITORS)
        return np.concatenate([read, self.current]).astype(np.float32)

    @property
    def rms(self) -> float:
        """Distance of the beam from the axis, mm."""
        return float(np.sqrt(np.mean((self.offset + self.response @ self.current) ** 2)))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start with a machine that has drifted."""
        super().reset(seed=seed)
        self.current = np.zeros(MONITORS)
        self.offset = self.response @ self.np_random.uniform(-1.0, 1.0, MONITORS)
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Change the correctors, and read the monitors."""
        self.current = np.clip(self.current + np.asarray(action, float), -MOST, MOST)
        return self._observe(), -(self.rms**2), False, False, {}


def make_env(setting: str = "today", noise: float = NOISE) -> gym.Env[np.ndarray, np.ndarray]:
    """Return a beam line with 15 steps an episode."""
    return gym.wrappers.TimeLimit(Steering(setting, noise), STEPS)
