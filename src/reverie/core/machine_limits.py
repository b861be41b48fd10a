"""`Limits`: what a machine allows beyond the bounds of its actuators, in its own units."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reverie.core.argument_checks import finite, shown
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.words import count

Values = float | Sequence[float | None] | Mapping[str, float] | None  # for all actuators, for each, or for those named
Veto = Callable[[np.ndarray, np.ndarray], Any]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a machine allows beyond the bounds of its actuators, in its own units.

    Each of these but `safe_action` is a number for all actuators, a number for each, or a dict by actuator's name.
    Limits act on every action that is sent: after exploration noise, on warm-up actions, and on planners' actions.
    The action that is left is stored and learnt from.  The targets of learning know only the bounds of EnvSpec.

    low, high: a box narrower than the bounds.
    slew: the largest change of each actuator from the last executed action.
    region: (reference, distance): each actuator stays within `distance` of its reference.
    veto: a function (observation [n], action [m]) that returns the action to send instead, or None where it has no
        objection.  What it returns is held within the other limits.
    safe_action: [m], what `ask` answers after `abort`, and what is sent when `learn` ends within an episode.
    """

    low: Values = None
    high: Values = None
    slew: Values = None
    region: tuple[Values, Values] | Mapping[str, Values] | None = None
    veto: Veto | None = None
    safe_action: float | Sequence[float] | Mapping[str, float] | None = None

    def __post_init__(self):
        if self.veto is not None and not callable(self.veto):
            raise ConfigError(f"Limits: veto is {shown(self.veto)}; give a function (observation, action)")
        for field, none in (("low", -math.inf), ("high", math.inf), ("slew", math.inf), ("safe_action", None)):
            object.__setattr__(self, field, _own(getattr(self, field), none))
        region = self.region
        if region is None:
            return
        try:
            pair = (region["reference"], region["distance"]) if isinstance(region, Mapping) else tuple(region)
            reference, distance = pair
        except Exception:  # a strange object may raise anything
            raise ConfigError(f"Limits: region is {shown(region)}; give (reference, distance)") from None
        if reference is None or distance is None:
            raise ConfigError("Limits: region needs both a reference and a distance")
        reference, distance = _own(reference, None), _own(distance, math.inf)
        object.__setattr__(self, "region", None if distance is None else (reference, distance))


def _own(value: Any, none: float | None) -> Any:
    """Return a copy of Python's own numbers, lists and dicts; a value that is no limit is left to `resolved` to refuse.

    none: the number that means no limit, which becomes None, or is left out of a dict.
    """

    def number(part: Any) -> Any:
        if isinstance(part, numbers.Real) and not isinstance(part, bool):
            part = int(part) if isinstance(part, numbers.Integral) else float(part)
        return None if part == none else part

    if isinstance(value, str | bytes):
        return value
    try:
        if isinstance(value, Mapping):
            return {name: part for name, part in ((n, number(p)) for n, p in value.items()) if part is not None}
        found = np.asarray(value, object).tolist()
        return [number(part) for part in found] if isinstance(found, list) else number(found)
    except Exception:  # a strange object may raise anything
        return value


class ResolvedLimits(NamedTuple):
    """Limits as arrays, in the machine's units; all but `safe_action` are empty for discrete actions."""

    low: np.ndarray  # [m], of the box
    high: np.ndarray  # [m]
    slew: np.ndarray | None  # [m], inf where an actuator has none; None: none has one
    safe_action: np.ndarray | None  # [m]


def resolved(limits: Limits, spec: EnvSpec) -> ResolvedLimits:
    """Return limits as arrays.  Raises ConfigError where one does not fit the actuators, or leaves one no room."""
    if spec.actions:
        return _of_discrete(limits, spec)
    low, high = _box(limits, spec)
    return ResolvedLimits(low, high, _slew(limits, spec), _safe(limits, spec, low, high))


def _of_discrete(limits: Limits, spec: EnvSpec) -> ResolvedLimits:
    for field in ("low", "high", "slew", "region"):
        if getattr(limits, field) is not None:
            raise ConfigError(f"{spec.name}: {field} is for actuators with ranges, and its actions are discrete")
    safe = None
    if limits.safe_action is not None:
        safe = _many(spec, "safe_action", limits.safe_action, np.nan)
        if safe % 1 or not 0 <= safe.item() - spec.first_action < spec.actions:
            raise ConfigError(
                f"{spec.name}: safe_action is {safe.item():g}; give one of its {count(spec.actions, 'action')}"
            )
    return ResolvedLimits(np.zeros(0), np.zeros(0), None, safe)


def _box(limits: Limits, spec: EnvSpec) -> tuple[np.ndarray, np.ndarray]:
    low = np.maximum(spec.action_low, _many(spec, "low", limits.low, -np.inf))
    high = np.minimum(spec.action_high, _many(spec, "high", limits.high, np.inf))
    if limits.region is not None:
        assert isinstance(limits.region, tuple)  # since __post_init__
        reference = _many(spec, "region's reference", limits.region[0], np.nan)
        distance = _many(spec, "region's distance", limits.region[1], np.inf)
        distance = np.where(np.isnan(reference), np.inf, distance)  # without a reference an actuator is free
        low = np.maximum(low, np.nan_to_num(reference) - distance)
        high = np.minimum(high, np.nan_to_num(reference) + distance)
    for i in np.flatnonzero(~(low < high)).tolist():
        raise ConfigError(
            f"{spec.name}: the limits leave {spec.actuator(i)} no room: at least {low[i]:g} and at most {high[i]:g}, within "
            f"its bounds [{spec.action_low[i]:g}, {spec.action_high[i]:g}]"
        )
    return low, high


def _slew(limits: Limits, spec: EnvSpec) -> np.ndarray | None:
    if limits.slew is None:
        return None
    slew = _many(spec, "slew", limits.slew, np.inf)
    for i in np.flatnonzero(~(slew > 0)).tolist():
        raise ConfigError(f"{spec.name}: slew of {spec.actuator(i)} is {slew[i]:g}; it must be above 0")
    return slew


def _safe(limits: Limits, spec: EnvSpec, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    if limits.safe_action is None:
        return None
    if isinstance(limits.safe_action, int | float) and spec.action_dim > 1:
        raise ConfigError(
            f"{spec.name}: safe_action is {shown(limits.safe_action)}; give {count(spec.action_dim, 'number')}"
        )
    safe = _many(spec, "safe_action", limits.safe_action, np.nan)
    for i in np.flatnonzero(np.isnan(safe)).tolist():
        raise ConfigError(f"{spec.name}: safe_action says nothing of {spec.actuator(i)}; give all actuators")
    for i in np.flatnonzero((safe < low) | (safe > high)).tolist():
        raise ConfigError(
            f"{spec.name}: safe_action of {spec.actuator(i)} is {safe[i]:g}, outside its limits [{low[i]:g}, {high[i]:g}]"
        )
    return safe


def _many(spec: EnvSpec, field: str, value: Any, missing: float) -> np.ndarray:
    """Return numbers [m]; `missing` where the user gave none, or None."""
    m = spec.action_dim
    if value is None:
        return np.full(m, missing)
    if isinstance(value, Mapping):
        names = spec.actuator_names
        for name in value:
            if name not in names:
                raise ConfigError(f"{spec.name}: {field} names {shown(name)}; the actuators are {', '.join(names)}")
        value = [value.get(name) for name in names]
    given = value if isinstance(value, list) else [value]
    try:
        parts = [missing if part is None else finite(field, part) for part in given]
    except ConfigError:
        parts = []
    if len(parts) not in (1, m):
        raise ConfigError(f"{spec.name}: {field} is {shown(value)}; give one number, or {m}, one for each actuator")
    return np.broadcast_to(np.array(parts), (m,)).copy()
