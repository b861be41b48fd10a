"""The kettle of the README, for the study `normalisation`: its temperatures drive plain networks into the flat ends of tanh."""

from typing import Any

import gymnasium as gym
import numpy as np


class Kettle(gym.Env[np.ndarray, np.ndarray]):
    """Heat 2 litres of water to 80 degrees and hold them there; the element takes 0 … 2 kW."""

    observation_space = gym.spaces.Box(0.0, 150.0, (1,))
    action_space = gym.spaces.Box(0.0, 2.0, (1,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start with cold water."""
        super().reset(seed=seed)
        self.celsius = float(self.np_random.uniform(15, 40))
        return np.array([self.celsius], np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Heat for ten seconds."""
        self.celsius += 10 * (1e3 * float(action[0]) - 8 * (self.celsius - 20)) / 8400
        return np.array([self.celsius], np.float32), -abs(self.celsius - 80) / 60, False, False, {}


def make_env() -> gym.Env[np.ndarray, np.ndarray]:
    """Return a kettle with ten minutes an episode."""
    return gym.wrappers.TimeLimit(Kettle(), 60)
