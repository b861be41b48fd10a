"""Types that pass between environments, replay and algorithms: transitions and environment specifications."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from reverie.core.argument_checks import MOST, shown, whole
from reverie.core.errors import ConfigError, DivergedError, ReverieWarning, SpaceError, WorldError
from reverie.core.finite import all_finite
from reverie.core.words import count

WIDEST = 1e6  # times the range of the others: a wider actuator range is probably a mistake

if TYPE_CHECKING:  # JAX takes long to import
    import jax

    Array: TypeAlias = jax.Array | np.ndarray  # acting works on both
else:
    Array = Any


class Transition(NamedTuple):
    """One step of experience; callers add leading axes ([B] or [I, B]).

    `discount` is 0 where the episode terminated and 1 where it continued or ran out of time.  It never contains γ.
    """

    observation: Array  # [..., n]
    action: Array  # [..., m], the executed action: in [-1, 1], or a number 0, 1, … of a discrete one (m = 1)
    reward: Array  # [...], unscaled
    discount: Array  # [...]
    next_observation: Array  # [..., n], the true successor, also at the last step

    @classmethod
    def unpack(cls, rows: Array, observation_dim: int, action_dim: int) -> "Transition":
        """Split rows [..., `row_width(n, m)`] into fields.  Inverse of `pack`."""
        n, m = observation_dim, action_dim
        return cls(rows[..., :n], rows[..., n : n + m], rows[..., n + m], rows[..., n + m + 1], rows[..., n + m + 2 :])

    def pack(self) -> np.ndarray:
        """Return the fields side by side as float32 rows [..., `row_width(n, m)`]: one gather samples them all."""
        columns = (self.observation, self.action, self.reward, self.discount, self.next_observation)
        wide = [np.asarray(c)[..., None] if i in (2, 3) else np.asarray(c) for i, c in enumerate(columns)]
        return np.concatenate(wide, axis=-1, dtype=np.float32)


def row_width(observation_dim: int, action_dim: int) -> int:
    """Return the number of columns of a packed transition."""
    return 2 * observation_dim + action_dim + 2


@dataclasses.dataclass(frozen=True)
class EnvSpec:
    """What an algorithm knows of the environment: sizes, action bounds (in the environment's units) and a name.

    Give either action bounds or `actions`, the number of discrete actions, which the environment counts from
    `first_action`.
    observations: the parts of an observation in order, (name, kind, shape), if known.
    observation_low, observation_high: bounds of each number of an observation, if known; learning does not use them.
    Raises SpaceError where there are too few or too many bounds, where a bound or the width of a range is not finite,
    where a range is empty, or where there is only one action.  Warns of a range a million times as wide as the others.
    """

    observation_dim: int
    action_low: Sequence[float] = ()
    action_high: Sequence[float] = ()
    name: str = "world"
    actions: int = 0
    first_action: int = 0
    observations: Sequence[tuple[str, str, tuple[int, ...]]] = ()
    observation_low: Sequence[float] = ()
    observation_high: Sequence[float] = ()

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise SpaceError(f"name is {shown(self.name)}; give text")
        for field, least in (("observation_dim", 1), ("actions", 0), ("first_action", -MOST)):
            try:
                object.__setattr__(self, field, whole(f"{self.name}: {field}", getattr(self, field), least))
            except ConfigError as error:
                raise SpaceError(str(error)) from None
        for field in ("action_low", "action_high", "observation_low", "observation_high"):
            object.__setattr__(self, field, self._bounds(field))
        seen = {len(self.observation_low), len(self.observation_high)}
        if seen not in ({0}, {self.observation_dim}):
            raise SpaceError(
                f"{self.name}: observation_low has {count(len(self.observation_low), 'entry', 'entries')} and "
                f"observation_high {len(self.observation_high)}; give both, {self.observation_dim} each, or neither"
            )
        object.__setattr__(self, "observations", self._parts())
        if self.actions:
            if self.actions < 2 or self.action_low or self.action_high:
                raise SpaceError(f"{self.name}: actions is {self.actions}; give at least 2, and no bounds")
            return
        if len(self.action_low) != len(self.action_high) or not self.action_low:
            raise SpaceError(
                f"{self.name}: action_low has {count(len(self.action_low), 'entry', 'entries')} and action_high "
                f"{len(self.action_high)}; give both, one entry per actuator"
            )
        for i, (low, high) in enumerate(zip(self.action_low, self.action_high, strict=True)):
            if not (math.isfinite(low) and math.isfinite(high)):
                raise SpaceError(
                    f"{self.name}: action {i} has bounds [{low}, {high}]; give finite ones "
                    "(gymnasium.wrappers.RescaleAction, or a Box with the actuator's limits)"
                )
            if not low < high:
                raise SpaceError(f"{self.name}: action {i} has bounds [{low}, {high}]; low must be below high")
            if not math.isfinite(high - low):
                raise SpaceError(
                    f"{self.name}: action {i} has bounds [{low}, {high}], too far apart to calculate with; give the "
                    "actuator's limits"
                )
        self._warn_of_wide_ranges()

    def _bounds(self, field: str) -> tuple[float, ...]:
        given = getattr(self, field)
        try:
            return tuple(np.atleast_1d(np.asarray(given, dtype=float)).ravel().tolist())
        except Exception:  # a strange object may raise anything
            raise SpaceError(f"{self.name}: {field} is {shown(given)}; give a number for each actuator") from None

    def _parts(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        try:
            parts = [(name, kind, tuple(whole("size", n) for n in shape)) for name, kind, shape in self.observations]
            if not all(isinstance(word, str) for part in parts for word in part[:2]):
                raise TypeError
        except Exception:  # a strange object may raise anything
            raise SpaceError(
                f"{self.name}: observations is {shown(self.observations)}; give a (name, kind, shape) for each part, such as "
                '("joints", "Box", (3,))'
            ) from None
        return tuple(parts)

    def _warn_of_wide_ranges(self) -> None:
        """Warn of actuators whose range is far wider than the median of the others."""
        widths = np.subtract(self.action_high, self.action_low)
        # a quick test first: the others' median is at least the least width
        for i in np.flatnonzero(widths > WIDEST * widths.min()).tolist():
            width, others = widths[i], np.delete(widths, i)
            if width > WIDEST * np.median(others):
                warnings.warn(
                    f"{self.name}: action {i} has bounds [{self.action_low[i]}, {self.action_high[i]}], a range "
                    f"{width / np.median(others):.2g} times as wide as the other actuators'; give the actuator's limits",
                    ReverieWarning,
                    stacklevel=4,
                )

    @property
    def action_dim(self) -> int:
        """Number of actuators, m; 1 for discrete actions."""
        return len(self.action_low) or 1

    @functools.cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bounds and half the range of each actuator [m].  Cached, since every step uses them."""
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        return low, high, 0.5 * (high - low)

    def random(self, generator: np.random.Generator) -> np.ndarray:
        """Return a uniformly random action [m] in the agent's units."""
        if self.actions:
            return generator.integers(self.actions, size=1).astype(np.float32)
        return generator.uniform(-1.0, 1.0, self.action_dim).astype(np.float32)

    def as_input(self, action: Array) -> np.ndarray:
        """Return actions [..., m] as inputs of a dynamics model: discrete ones as indicators of all but the first."""
        if not self.actions:
            return np.asarray(action)
        return (np.asarray(action) == np.arange(1, self.actions)).astype(float)

    def to_world(self, action: Array) -> np.ndarray:
        """Map actions [..., m] from [-1, 1] to the environment's bounds, clipped.

        Discrete ones, which agents count from 0, become whole numbers that count from `first_action`.
        Raises DivergedError where one is not finite, since neither clipping nor rounding removes NaN.
        """
        if not all_finite(np.asarray(action)):
            raise DivergedError(f"{self.name}: the action {np.asarray(action).tolist()} is not finite; it was not sent")
        if self.actions:
            return np.asarray(action).astype(np.int64) + self.first_action
        low, high, half = self._range
        return (low + (np.asarray(action, dtype=float) + 1.0) * half).clip(low, high)

    def from_world(self, action: Array) -> np.ndarray:
        """Map actions [..., m] from the environment's bounds to [-1, 1].  Inverse of `to_world`.

        Raises WorldError where one is not finite.
        """
        if not all_finite(np.asarray(action)):
            raise WorldError(
                f"{self.name}: the action {np.asarray(action).tolist()} is not finite; give the action that was executed"
            )
        if self.actions:
            return (np.asarray(action) - self.first_action).astype(np.float32)
        low, _, half = self._range
        return ((np.asarray(action, dtype=float) - low) / half - 1.0).clip(-1.0, 1.0)
