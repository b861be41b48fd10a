"""A made-up thermal plant for the study `samples`: a heater whose effect comes late, and the PI controller to compare with."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

STEPS = 60  # in an episode
PERIOD = 10.0  # seconds between decisions
DELAY = 3  # steps until what the heater is told has an effect
LAG = 300.0  # seconds: time constant of the plant
GAIN = 100.0  # degrees above the surroundings with full power
AROUND = 20.0  # degrees, of the surroundings
TARGETS = (40.0, 80.0)  # degrees
NOISE = 0.1  # degrees, of a reading


class Plant(gym.Env[np.ndarray, np.ndarray]):
    """Bring a plant to its target temperature, and hold it there.

    Observations: temperature and target in degrees, then what the heater was told in the last steps, the oldest first.
    Actions: power, 0 to 1.  The reward is minus the distance from the target, in degrees.
    """

    observation_space = gym.spaces.Box(-20.0, 200.0, (2 + DELAY,))
    action_space = gym.spaces.Box(0.0, 1.0, (1,))

    def _observe(self) -> np.ndarray:
        read = self.celsius + NOISE * self.np_random.standard_normal()
        return np.array([read, self.target, *self.told], np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start near the surroundings' temperature, with another target."""
        super().reset(seed=seed)
        self.celsius = AROUND + self.np_random.uniform(0.0, 20.0)
        self.target = self.np_random.uniform(*TARGETS)
        self.told = deque([0.0] * DELAY, maxlen=DELAY)
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Heat for one period, with what the heater was told some steps ago."""
        power = self.told[0]
        self.told.append(float(np.clip(action[0], 0.0, 1.0)))
        end = AROUND + GAIN * power  # where this power would lead
        self.celsius = end + (self.celsius - end) * np.exp(-PERIOD / LAG)
        return self._observe(), -abs(self.celsius - self.target), False, False, {}


class PI(NamedTuple):
    """A proportional-integral controller that does not wind up: power = Kp e + Ki ∫ e dt, within [0, 1]."""

    proportional: float  # per degree
    integral: float  # per degree and second

    def episode(self, env: gym.Env[np.ndarray, np.ndarray], seed: int) -> float:
        """Return the return of one episode."""
        return sum(self._rewards(env, seed))

    def _rewards(self, env: gym.Env[np.ndarray, np.ndarray], seed: int) -> Iterator[float]:
        observation, _ = env.reset(seed=seed)
        held, ended = 0.0, False
        while not ended:
            error = float(observation[1] - observation[0])
            wanted = self.proportional * error + held + self.integral * PERIOD * error
            power = float(np.clip(wanted, 0.0, 1.0))
            if wanted == power:  # within the limits, so the integral goes on
                held += self.integral * PERIOD * error
            observation, reward, terminated, truncated, _ = env.step(np.array([power]))
            ended = terminated or truncated
            yield float(reward)


def make_env() -> gym.Env[np.ndarray, np.ndarray]:
    """Return the plant with ten minutes an episode."""
    return gym.wrappers.TimeLimit(Plant(), STEPS)


TUNED = PI(proportional=0.0511, integral=0.000546)
"""Nelder-Mead over both gains, from four starts: the highest mean return of 20 episodes."""
TUNED_RETURN = -346.3  # its mean return over the episodes of seeds 0 to 19
