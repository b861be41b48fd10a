"""What was executed against what was asked for, per actuator, from a run's journal."""

from typing import NamedTuple

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ReverieError
from reverie.core.words import count, listed
from reverie.experiments.analysis.run_data import RunData
from reverie.report.document import Curves, Line, Panels, Part, Text
from reverie.report.reduction import MOST, reduced
from reverie.storage.journal_sample import newest, spread
from reverie.storage.reading import exists

DRAWN = 6  # actuators in a figure, those that differ most
SEEN = 1e-6  # of an action in [-1, 1]: a smaller difference is rounding
PERCENT = 50.0  # per unit of an action in [-1, 1], whose range is 2
ACTIONS = "Executed minus asked"


class _Differing(NamedTuple):
    discrete: bool
    spec: EnvSpec | None  # None: an older journal does not describe the environment
    records: np.ndarray
    actuators: list[int]  # that differ, the largest mean difference first


def actions_of(data: RunData, is_alone: bool) -> list[Part]:
    """Return how executed actions differ from those that were asked for; [] where none does or where it is unknown.

    is_alone: whether the page is about this run only; it then also draws the last episode, in the machine's units.
    A journal that is damaged gives its fault in words: the rest of the page does not need it.
    """
    try:
        found = _differing(data)
        if found is None:
            return []
        difference = _difference(data, found, is_alone)
        return [difference, *_last_episode(data, found)] if is_alone else [difference]
    except ReverieError as error:
        return [Text([f"{error}."])]


def _differing(data: RunData) -> _Differing | None:
    if not exists(data.run.journal_file):
        return None
    header, records = spread(data.run.journal_file)
    if "asked" not in (records.dtype.fields or ()) or not len(records):
        return None
    apart = np.abs(records["action"] - records["asked"])
    size = apart.mean(0)
    order = [int(i) for i in np.argsort(-size, kind="stable") if apart[:, i].max() > SEEN]
    spec = None if header.world is None else header.world.value()
    return _Differing(header.actions > 0, spec, records, order) if order else None


def _difference(data: RunData, found: _Differing, is_alone: bool) -> Curves:
    """Return the difference over all steps, of the actuators that differ most."""
    discrete, _, records, actuators = found
    scale = 1.0 if discrete else PERCENT
    apart = (records["action"] - records["asked"]) * scale
    steps, shown = records["step"].astype(int), actuators[:DRAWN]
    lines = [Line(_name(found.spec, i), *reduced(steps, apart[:, i])) for i in shown]
    ranged = len(steps) > MOST
    note = "Means of stretches of steps; the band is their range." if ranged else ""
    if len(actuators) > DRAWN:
        note += f" The {DRAWN} that differ most; so do {listed(_name(found.spec, i) for i in actuators[DRAWN:])}."
    unit = "number of the action" if discrete else "% of the actuator's range"
    title = ACTIONS if is_alone else f"{ACTIONS}: {data.label}"
    return Curves(title, "real steps", unit, lines, note=note.strip())


def _last_episode(data: RunData, found: _Differing) -> list[Part]:
    """Return asked and executed actions in the newest episode that has a difference, in the machine's units."""
    spec, records = found.spec, newest(data.run.journal_file, MOST).records
    if spec is None or found.discrete or not len(records):
        return []
    records = records[records["episode"] == records["episode"][-1]]
    executed, asked = spec.to_world(records["action"]), spec.to_world(records["asked"])
    steps = records["step"].astype(int).tolist()
    episode = int(records["episode"][-1])
    figures = [
        Curves(
            _name(found.spec, i),
            "real steps",
            _unit(spec, i),
            [Line("asked", steps, asked[:, i].tolist()), Line("executed", steps, executed[:, i].tolist())],
        )
        for i in found.actuators[:DRAWN]
    ]
    return [Text([f"The newest {count(len(steps), 'step')} of episode {episode}:"]), Panels(figures)]


def _name(spec: EnvSpec | None, index: int) -> str:
    """Return an actuator's index, with its name and unit where they are known."""
    return f"action {index}" if spec is None else spec.actuator(index)


def _unit(spec: EnvSpec, index: int) -> str:
    return spec.action_units[index] if spec.action_units and spec.action_units[index] else "the environment's units"
