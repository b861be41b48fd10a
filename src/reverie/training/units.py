"""Conversion between the user's units and the agent's: flat finite observations, actions in the environment's units."""

import warnings
from typing import Any

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.limiter import Limiter
from reverie.core.words import count
from reverie.environments.clipped_values import ClippedValues
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.values import finite_number, float32, shown

NOTED = 1e-3  # of a range: a readback further outside the bounds is worth a warning


class Units:
    """The units of an environment, or of a spec where the user's own program is the environment."""

    def __init__(self, spec: EnvSpec, env: EnvAdapter | None, limiter: Limiter):
        self._spec, self._env, self._limiter = spec, env, limiter
        self._warned = False  # of an executed action outside the bounds
        self._clipped = ClippedValues(spec.name, spec.entry)

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
        scaled = self._limiter.to_world(action)
        return scaled if self._env is None else self._env.shape(scaled)

    def executed(self, action: Any) -> np.ndarray:
        """Return an executed action, in the environment's units, as [m] in [-1, 1].

        Where it lies outside the bounds it is clipped, with one warning.  Raises WorldError where it is no action.
        """
        given = self._spec.action("the executed action is", action)
        inside = self._spec.from_world(given)
        if not self._warned and not self._spec.actions:
            widths = np.subtract(self._spec.action_high, self._spec.action_low)
            odd = np.flatnonzero(np.abs(self._spec.to_world(inside) - given) > NOTED * widths)
            if len(odd):
                i, self._warned = int(odd[0]), True
                low, high = self._spec.action_low[i], self._spec.action_high[i]
                warnings.warn(
                    f"{self._spec.name}: {self._spec.actuator(i)} executed {given[i]:g}, outside its bounds [{low:g}, "
                    f"{high:g}]; it is stored as the nearest within them: widen the bounds, or check the readback",
                    ReverieWarning,
                    stacklevel=4,
                )
        return inside.astype(np.float32)

    def reward(self, value: Any, step: int) -> float:
        """Return the reward of a step as a float that learning can take.  Raises WorldError where it is not finite."""
        return self._clipped.number(finite_number(self._spec.name, f"the reward of step {step}", value))
