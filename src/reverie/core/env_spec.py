"""`EnvSpec`: what an algorithm knows of the environment, and the way between its units and the agent's."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.core.argument_checks import MOST, shown, whole
from reverie.core.errors import ConfigError, DivergedError, ReverieWarning, SpaceError, WorldError
from reverie.core.finite import all_finite
from reverie.core.types import Array
from reverie.core.words import count

WIDEST = 1e6  # times the range of the others: a wider actuator range is probably a mistake


@dataclasses.dataclass(frozen=True)
class EnvSpec:
    """What an algorithm knows of the environment: sizes, action bounds (in the environment's units) and a name.

    Give either action bounds or `actions`, the number of discrete actions, which the environment counts from
    `first_action`.
    observations: the parts of an observation in order, (name, kind, shape), if known.
    observation_low, observation_high: bounds of each number of an observation, if known; learning does not use them.
    observation_names, observation_units, action_names, action_units: a text for each number, for messages, tables and
        files; none, or one for each.  Discrete actions have one name and one unit.
    max_episode_steps: most steps of an episode; None where nothing limits them, or it is not known.
    Raises SpaceError where there are too few or too many bounds, where a bound or the width of a range is not finite,
    where a range is empty, where there is only one action, or where names are not as many as numbers or not
    different.  Warns of a range a million times as wide as the others.
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
    observation_names: Sequence[str] = ()
    observation_units: Sequence[str] = ()
    action_names: Sequence[str] = ()
    action_units: Sequence[str] = ()
    max_episode_steps: int | None = None

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise SpaceError(f"name is {shown(self.name)}; give text")
        limit = {} if self.max_episode_steps is None else {"max_episode_steps": 1}
        for field, least in ({"observation_dim": 1, "actions": 0, "first_action": -MOST} | limit).items():
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
            self._check_names()
            return
        if len(self.action_low) != len(self.action_high) or not self.action_low:
            raise SpaceError(
                f"{self.name}: action_low has {count(len(self.action_low), 'entry', 'entries')} and action_high "
                f"{len(self.action_high)}; give both, one entry per actuator"
            )
        self._check_names()
        for i, (low, high) in enumerate(zip(self.action_low, self.action_high, strict=True)):
            what = self.actuator(i)
            if not (math.isfinite(low) and math.isfinite(high)):
                raise SpaceError(
                    f"{self.name}: {what} has bounds [{low}, {high}]; give finite ones "
                    "(gymnasium.wrappers.RescaleAction, or a Box with the actuator's limits)"
                )
            if not low < high:
                raise SpaceError(f"{self.name}: {what} has bounds [{low}, {high}]; low must be below high")
            if not math.isfinite(high - low):
                raise SpaceError(
                    f"{self.name}: {what} has bounds [{low}, {high}], too far apart to calculate with; give the "
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
                    f"{self.name}: {self.actuator(i)} has bounds [{self.action_low[i]}, {self.action_high[i]}], a range "
                    f"{width / np.median(others):.2g} times as wide as the other actuators'; give the actuator's limits",
                    ReverieWarning,
                    stacklevel=4,
                )

    def _check_names(self) -> None:
        sizes = {"observation": self.observation_dim, "action": self.action_dim}
        for what, size in sizes.items():
            for kind in ("names", "units"):
                field = f"{what}_{kind}"
                object.__setattr__(self, field, texts(self.name, field, getattr(self, field), size))

    def sensor(self, index: int) -> str:
        """Return what entry `index` of an observation is, for messages: "sensor 3 (bpm_4_x, mm)" or "observation 3"."""
        about = self._sensor_facts(index)
        return f"sensor {index} ({about})" if about else f"observation {index}"

    def entry(self, index: int) -> str:
        """Return where entry `index` of an observation is, for messages: "index 3 (bpm_4_x, mm)"; by parts "(arm.0)"."""
        about = self._sensor_facts(index)
        return f"index {index} ({about})" if about else f"index {index}"

    def _sensor_facts(self, index: int) -> str:
        """Return name and unit of a sensor, or the name of its part, or ""."""
        about = _about(index, self.observation_names, self.observation_units)
        if not about and len(self.observations) > 1:
            ends = np.cumsum([math.prod(shape) for _, _, shape in self.observations])
            about = self.observations[int(np.searchsorted(ends, index, side="right"))][0]
        return about

    def actuator(self, index: int) -> str:
        """Return what entry `index` of an action is, for messages: "actuator 2 (quad_QF3, A)" or "action 2"."""
        about = _about(index, self.action_names, self.action_units)
        return f"actuator {index} ({about})" if about else f"action {index}"

    @property
    def sensor_names(self) -> tuple[str, ...]:
        """A name for each number of an observation: the given one, or one such as "arm.0[2]" by the parts."""
        if self.observation_names:
            return tuple(self.observation_names)
        seen = [
            part if math.prod(shape) == 1 else f"{part}[{index}]"
            for part, _, shape in self.observations
            for index in range(math.prod(shape))
        ]
        if len(seen) != self.observation_dim:  # unknown parts
            seen = [f"observation[{index}]" for index in range(self.observation_dim)]
        return tuple(seen)

    @property
    def actuator_names(self) -> tuple[str, ...]:
        """A name for each number of an action: the given one, or one by its index."""
        if self.action_names:
            return tuple(self.action_names)
        return ("action",) if self.actions else tuple(f"action[{i}]" for i in range(self.action_dim))

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

    def action(self, what: str, value: Any) -> np.ndarray:
        """Return an action [m] in the environment's units, as float64.

        what: what it is, for messages, such as "the executed action is".  Raises WorldError where `value` is none.
        """
        try:
            found = np.asarray(value, dtype=float).reshape(-1)
        except Exception:  # a strange object may raise anything
            found = np.zeros(0)
        if found.shape != (self.action_dim,) or not np.isfinite(found).all():
            wanted = count(self.action_dim, "finite number")
            raise WorldError(f"{self.name}: {what} {shown(value)}; give an action, {wanted}")
        if self.actions and not (found % 1 == 0 and 0 <= found - self.first_action < self.actions):
            last = self.first_action + self.actions - 1
            raise WorldError(f"{self.name}: {what} {shown(value)}; its actions are {self.first_action} to {last}")
        return found

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
        return self.scaled(action).clip(-1.0, 1.0)

    def scaled(self, action: Array) -> np.ndarray:
        """Map actions [..., m] from the environment's bounds to [-1, 1], and what is outside them to beyond."""
        low, _, half = self._range
        return (np.asarray(action, dtype=float) - low) / half - 1.0


def texts(name: str, field: str, given: object, size: int) -> tuple[str, ...]:
    """Return names or units as a tuple of none or `size` texts.  Raises SpaceError for anything else.

    name: the environment's.  field: what they are.  Names are different from one another and not empty.
    """
    kind = field.partition("_")[2]
    try:
        if isinstance(given, str):
            raise TypeError
        found = tuple(given)  # type: ignore[arg-type]
        good = all(isinstance(text, str) and text.isprintable() for text in found)
    except Exception:  # a strange object may raise anything
        found, good = (), False
    if not good:
        raise SpaceError(f"{name}: {field} is {shown(given)}; give a list of texts without line breaks")
    if len(found) not in (0, size):
        raise SpaceError(f"{name}: {field} has {count(len(found), 'entry', 'entries')}; give {size}, or none")
    if kind == "names" and len({text.strip() for text in found} - {""}) != len(found):
        raise SpaceError(f"{name}: {field} is {shown(list(found))}; give names that differ, none of them empty")
    return found


def _about(index: int, names: Sequence[str], units: Sequence[str]) -> str:
    """Return "name, unit", or the one of them that is known, or ""."""
    return ", ".join(text for texts in (names, units) if texts and (text := texts[index]))
