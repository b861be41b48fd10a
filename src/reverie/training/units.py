"""Conversion between the user's units and the agent's: flat finite observations, actions in the environment's units."""

from typing import Any

import numpy as np

from reverie.core.errors import ConfigError
from reverie.core.types import EnvSpec
from reverie.core.words import count
from reverie.environments.clipped_values import ClippedValues, by_index
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.values import finite_number, float32, shown


class Units:
    """The units of an environment, or of a spec where the user's own program is the environment."""

    def __init__(self, spec: EnvSpec, env: EnvAdapter | None):
        self._spec, self._env = spec, env
        self._clipped = ClippedValues(spec.name, by_index if env is None else env.sensor)

    def flat(self, observation: Any, batch: bool = True) -> np.ndarray:
        """Return an observation [n] or a batch [B, n] as finite float32.  Raises ConfigError for other shapes.

        batch: whether the message speaks of batches.
        """
        n = self._spec.observation_dim
        if self._env is None or isinstance(observation, np.ndarray):
            try:
                flat = float32(observation)  # a copy, since the caller may reuse its array
            except Exception as error:  # a strange object may raise anything
                raise ConfigError(
                    f"{self._spec.name}: the observation is {shown(observation)}, not {count(n, 'real number')}"
                ) from error
            if flat.shape == (n,) or (flat.ndim == 2 and flat.shape[1] == n):
                return self._clipped.vector("the observation", flat)
        if self._env is None:
            wanted = f"({n},) or (B, {n})" if batch else f"one of shape ({n},)"
            raise ConfigError(f"{self._spec.name}: the observation has shape {np.shape(observation)}; give {wanted}")
        return self._env.flatten(observation)

    def one(self, observation: Any) -> np.ndarray:
        """Return one observation [n].  Raises ConfigError for a batch."""
        flat = self.flat(observation, batch=False)
        if flat.ndim != 1:
            raise ConfigError(f"{self._spec.name}: the observation has shape {flat.shape}; give one, not a batch")
        return flat

    def outside(self, action: np.ndarray) -> np.ndarray:
        """Return an action in the environment's units and shape."""
        scaled = self._spec.to_world(action)
        return scaled if self._env is None else self._env.shape(scaled)

    def reward(self, value: Any, step: int) -> float:
        """Return the reward of a step as a float that learning can take.  Raises WorldError where it is not finite."""
        return self._clipped.number(finite_number(self._spec.name, f"the reward of step {step}", value))
