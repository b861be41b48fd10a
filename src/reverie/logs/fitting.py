"""Fit a log to an environment: its sensors and actuators in our order, its actions within our bounds."""

from collections.abc import Sequence

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, unknown
from reverie.core.words import count, listed
from reverie.logs.log_data import LogData
from reverie.logs.mapping import NEXT, OWN, Columns, column_of
from reverie.storage.conversion import ROUNDING


def fitted(data: LogData, spec: EnvSpec, columns: Columns) -> LogData:
    """Return a log with the sensors and actuators of an environment, in its order.

    Raises ConfigError where the log has others, or another number of them.
    """
    sensors, actuators = spec.sensor_names, spec.actuator_names
    known = (*sensors, *actuators, *OWN, *(NEXT + name for name in sensors))
    if other := [name for name in columns if name not in known]:
        raise unknown(f"sensor or actuator of {spec.name}", other[0], known)
    seen, one = _order(data, data.observation_names, data.observations.shape[1], sensors, columns, "sensor")
    sent, two = _order(data, data.action_names, data.actions.shape[1], actuators, columns, "actuator")
    if data.bounds is not None and bool(data.bounds.actions) != bool(spec.actions):
        kinds = ["discrete actions" if found.actions else "continuous actions" for found in (data.bounds, spec)]
        raise ConfigError(f"{data.name} has {kinds[0]}, and {spec.name} {kinds[1]}; give a log of the same machine")
    return data.changed(
        observations=_scaled(data.observations[:, seen], sensors, columns),
        next_observations=_scaled(data.next_observations[:, seen], sensors, columns),
        actions=_scaled(data.actions[:, sent], actuators, columns),
        observation_names=tuple(data.observation_names[i] for i in seen) if data.observation_names else (),
        action_names=tuple(data.action_names[i] for i in sent) if data.action_names else (),
        observation_units=_units(data.observation_units, seen, sensors, columns),
        action_units=_units(data.action_units, sent, actuators, columns),
        notes=(*data.notes, *one, *two),
    )


def _order(
    data: LogData, theirs: Sequence[str], size: int, ours: Sequence[str], columns: Columns, what: str
) -> tuple[list[int], list[str]]:
    """Return which of their columns are ours, in our order, and notes."""
    wanted = [column_of(columns, name).column for name in ours]
    if theirs and set(wanted) <= set(theirs):
        left = [name for name in theirs if name not in wanted]
        notes = [f"{what}s that are not used: {listed(left)}"] if left else []
        return [list(theirs).index(name) for name in wanted], notes
    if size != len(ours):
        named = f" ({listed(theirs)})" if theirs else ""
        raise ConfigError(
            f"{data.name} has {count(size, what)}{named} instead of {len(ours)} ({listed(wanted)}); give a log of the same "
            "machine"
        )
    if theirs and not (_unnamed(theirs) or _unnamed(ours)):
        missing = [name for name in wanted if name not in theirs]
        raise ConfigError(
            f"{data.name} lacks {what} {listed(missing)}; it has {listed(theirs)}: map them with --columns FILE.json (in "
            "Python: rv.Log(columns=)), or give a log of the same machine"
        )
    if theirs and tuple(theirs) != tuple(ours):
        return list(range(size)), [f"{what}s are taken in the order of the log: {listed(theirs)} as {listed(ours)}"]
    return list(range(size)), []


def _units(theirs: Sequence[str], order: Sequence[int], ours: Sequence[str], columns: Columns) -> tuple[str, ...]:
    """Return the units of the log in our order; "" where the mapping converts a unit."""
    if not theirs:
        return ()
    found = [column_of(columns, name) for name in ours]
    same = [column.factor == 1 and column.offset == 0 for column in found]
    return tuple(theirs[i] if kept else "" for i, kept in zip(order, same, strict=True))


def _unnamed(names: Sequence[str]) -> bool:
    """Return whether these are the names that unnamed numbers get."""
    return all(name.partition("[")[0] in ("observation", "action") for name in names)


def _scaled(values: np.ndarray, ours: Sequence[str], columns: Columns) -> np.ndarray:
    found = [column_of(columns, name) for name in ours]
    if all(column.factor == 1 and column.offset == 0 for column in found):
        return values
    return values * [column.factor for column in found] + [column.offset for column in found]


def in_bounds(actions: np.ndarray, spec: EnvSpec) -> np.ndarray:
    """Return which actions [N, m], in the environment's units, lie within its bounds [N], but for rounding."""
    if spec.actions:
        numbers = actions[:, 0] - spec.first_action
        return (numbers == np.floor(numbers)) & (numbers >= 0) & (numbers < spec.actions)
    return outside(actions, spec).max(axis=1) <= ROUNDING


def outside(actions: np.ndarray, spec: EnvSpec) -> np.ndarray:
    """Return how far continuous actions [N, m] lie outside the bounds, in halves of the range; at most 0 within."""
    return np.abs(spec.scaled(actions)) - 1.0
