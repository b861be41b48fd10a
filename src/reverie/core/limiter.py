"""`Limiter`: holds actions within the limits of a machine."""

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, ReverieError, WorldError, sentence
from reverie.core.machine_limits import Limits, resolved
from reverie.core.types import Array

ROUNDING = 1e-6  # of a range: a smaller difference is float32's


class Limiter:
    """Holds actions within limits.  Actions are float32 [m] in [-1, 1] here, as learning has them.

    limits: None: there are none, and every action is left as it is.
    Raises ConfigError where a limit does not fit the actuators, or leaves one no room.
    """

    def __init__(self, spec: EnvSpec, limits: Limits | None = None):
        self.spec, self.limits = spec, limits or Limits()
        self.corrected_vetoes = 0  # actions of a veto that lay outside the other limits
        self._veto, self._name = self.limits.veto, spec.name
        self.values = resolved(self.limits, spec)
        safe = self.values.safe_action
        self.safe_action = None if safe is None else spec.from_world(safe).astype(np.float32)
        ranges = (self.limits.low, self.limits.high, self.limits.slew, self.limits.region)
        self.acts = self._veto is not None or any(limit is not None for limit in ranges)
        self._widths = np.subtract(spec.action_high, spec.action_low) if not spec.actions else np.ones(1)
        self._step: np.ndarray | None = None  # the slew, in the agent's units
        if not spec.actions:
            self._low, self._high = inward(spec.scaled(self.values.low), 1), inward(spec.scaled(self.values.high), -1)
            self._step = None if self.values.slew is None else self.values.slew / (0.5 * self._widths)
            self._require_room()
            if self.safe_action is not None:  # rounding must not take it out of the box
                self.safe_action = self.safe_action.clip(self._low, self._high)

    def _require_room(self) -> None:
        for i in np.flatnonzero(self._low > self._high).tolist():
            raise ConfigError(
                f"{self._name}: the limits leave {self.spec.actuator(i)} no room: at least {self.values.low[i]:.12g} and at "
                f"most {self.values.high[i]:.12g}, and float32 has no number between them"
            )

    def apply(self, action: np.ndarray, observation: np.ndarray, last: np.ndarray | None) -> np.ndarray:
        """Return the action [m] that is sent in place of `action` [m].

        observation: [n].  last: the last executed action [m], which the slew counts from; None: there is none.
        Raises WorldError where the veto raises, or returns something that is no action.
        """
        if not self.acts:
            return action
        held = self._held(action, last)
        if self._veto is None:
            return held
        try:
            wanted = self._veto(observation.copy(), self.to_world(held))
        except ReverieError:
            raise
        except Exception as error:
            raise WorldError(f"{self._name}: veto raised {sentence(error)}; the action was not sent") from error
        if wanted is None:
            return held
        chosen = self.spec.action("veto returned", wanted)
        allowed = self._held(self.spec.from_world(chosen).astype(np.float32), last)
        difference = np.abs(self.spec.to_world(allowed) - chosen)
        self.corrected_vetoes += bool((difference > ROUNDING * self._widths).any())
        return allowed

    def greedy(self, actions: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """Return `apply` of each of actions [..., m] for observations [..., n], without a last action."""
        if not self.acts:
            return actions
        if actions.ndim == 1:
            return self.apply(actions, observations, None)
        return np.stack([self.apply(a, o, None) for a, o in zip(actions, observations, strict=True)])

    def to_world(self, action: Array) -> np.ndarray:
        """Return an action [..., m] in the environment's units, as `EnvSpec.to_world` and exactly within the box."""
        world = self.spec.to_world(action)
        if not self.acts or self.spec.actions:
            return world
        inside = (np.asarray(action) >= self._low) & (np.asarray(action) <= self._high)
        return np.where(inside, world.clip(self.values.low, self.values.high), world)

    def _held(self, action: np.ndarray, last: np.ndarray | None) -> np.ndarray:
        if self.spec.actions:
            return action
        action = np.asarray(action, np.float32).clip(self._low, self._high)
        if self._step is None or last is None:
            return action
        # From outside the box, where a readback may be, the way back is as fast as the slew allows.
        low, high = inward(last - self._step, 1), inward(last + self._step, -1)
        return np.where(low <= high, action.clip(low, high), last).astype(np.float32)


def inward(bounds: np.ndarray, towards: int) -> np.ndarray:
    """Return bounds [m] as float32, rounded up (1) or down (-1), so that what is within them is within `bounds`."""
    near = bounds.astype(np.float32)
    wrong = near < bounds if towards > 0 else near > bounds
    return np.where(wrong, np.nextafter(near, np.float32(towards * np.inf)), near).astype(np.float32)
