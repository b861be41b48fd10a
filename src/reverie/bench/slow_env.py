"""An environment that takes its time, as a real machine does: what `reverie bench collect` learns from."""

import time
from typing import Any

import gymnasium as gym
import numpy as np

SECONDS = 0.01  # of a step


class SlowEnv(gym.Env[Any, Any]):
    """A point that is pushed along a line; a step takes SECONDS of the clock and next to nothing of a core."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._state, self._left = np.zeros(2, np.float32), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode of 100 steps."""
        super().reset(seed=seed)
        self._state, self._left = self.np_random.uniform(-1, 1, 2).astype(np.float32), 100
        return self._state, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Push the point, and wait."""
        time.sleep(SECONDS)
        position, speed = self._state
        speed = np.clip(speed + 0.05 * float(action[0]), -1.0, 1.0)
        self._state = np.array([position + 0.05 * speed, speed], np.float32)
        self._left -= 1
        return self._state, -(float(position) ** 2), False, self._left == 0, {}
