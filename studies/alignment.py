"""A made-up beam for the study `samples`: n mirrors bring a beam through n monitors, and light is earned.

After the seed laser of a free-electron laser (Bruchon et al. 2020, arXiv 2011.02129): a reading for each monitor, small
changes of each mirror, and an episode that ends when nearly all light is there.
"""

from typing import Any

import gymnasium as gym
import numpy as np

SHOTS = 50  # in an episode
STEP = 1 / 12  # the largest change of a mirror in one shot; mirrors move within [0, 1]
WIDTH = 0.125  # of the beam: how far it may miss one monitor, for a loss of 40 % of the light
ALIGNED = 0.95  # share of the light with which an episode ends
SPREAD = 0.05  # standard deviation of the best positions, which are others in each episode
CONDITION = 3.0  # of the response matrix


def response(mirrors: int) -> np.ndarray:
    """Return the response matrix [monitors, mirrors]: the same for each number of mirrors."""
    generator = np.random.default_rng(mirrors)
    left, right = (np.linalg.qr(generator.standard_normal((mirrors, mirrors)))[0] for _ in range(2))
    return left * np.geomspace(1.0, 1.0 / CONDITION, mirrors) @ right


class Alignment(gym.Env[np.ndarray, np.ndarray]):
    """Find the light from mirrors that stand anywhere; the best positions are others in each episode.

    Observations: readings of the monitors [mirrors], with noise.  Actions: changes of the mirrors.  The reward is the
    share of the light minus 1.
    mirrors: how many, and how many monitors.  noise: standard deviation of a reading.
    """

    def __init__(self, mirrors: int = 4, noise: float = 0.02):
        self.response, self.noise = response(mirrors), noise
        self.observation_space = gym.spaces.Box(-10.0, 10.0, (mirrors,))
        self.action_space = gym.spaces.Box(-STEP, STEP, (mirrors,))
        self.best = np.full(mirrors, 0.5)

    @property
    def miss(self) -> np.ndarray:
        """How far the beam misses each monitor."""
        return self.response @ (self.positions - self.best)

    @property
    def light(self) -> float:
        """The share of the light that is there."""
        return float(np.exp(-0.5 * np.mean(self.miss**2) / WIDTH**2))

    def _observe(self) -> np.ndarray:
        return (self.miss + self.noise * self.np_random.standard_normal(len(self.best))).astype(np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start with mirrors that stand anywhere, and other best positions than before."""
        super().reset(seed=seed)
        self.best = np.clip(0.5 + SPREAD * self.np_random.standard_normal(len(self.best)), 0.3, 0.7)
        self.positions = self.np_random.uniform(0.0, 1.0, len(self.best))
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the mirrors, and fire."""
        self.positions = np.clip(self.positions + np.clip(action, -STEP, STEP), 0.0, 1.0)
        return self._observe(), self.light - 1.0, self.light >= ALIGNED, False, {}


def make_env(mirrors: int = 4, noise: float = 0.02) -> gym.Env[np.ndarray, np.ndarray]:
    """Return the beam with 50 shots an episode."""
    return gym.wrappers.TimeLimit(Alignment(mirrors, noise), SHOTS)
