"""Logs in tables (CSV): columns are found by the names of sensors and actuators, in any order."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reverie.core.errors import ConfigError
from reverie.core.words import listed
from reverie.logs.log_data import LogData, episodes_by_ends, joined
from reverie.logs.mapping import ASKED, NEXT, OWN, SOURCE, Columns, column_of
from reverie.storage.foreign_tables import ForeignTable


class Roles(NamedTuple):
    """The names of columns that are sensors, and of those that are actuators."""

    sensors: tuple[str, ...]
    actuators: tuple[str, ...]


class _Log:
    """A table whose columns are found by our names.  A unit may follow a name: "bpm_4_x [mm]"."""

    def __init__(self, path: Path, columns: Columns):
        self.table, self._columns = ForeignTable(path), columns
        bare = [_split(name)[0] for name in self.table.names]
        pairs = zip(bare, self.table.names, strict=True)
        self._by_name = {name: head for name, head in pairs if bare.count(name) == 1}
        self._by_name |= {head: head for head in self.table.names}
        self.used = set[str]()

    def has(self, name: str) -> bool:
        """Return whether there is a column for one of our names."""
        return column_of(self._columns, name).column in self._by_name

    def column(self, name: str) -> str:
        """Return the table's name of the column for one of ours, and note that it is used."""
        found = self._by_name[column_of(self._columns, name).column]
        self.used.add(found)
        return found

    def require(self, names: Sequence[str]) -> None:
        """Raise ConfigError with the columns that are missing."""
        missing = [column_of(self._columns, name).column for name in names if not self.has(name)]
        if missing:
            words = "column" if len(missing) == 1 else "columns"
            raise ConfigError(
                f"{self.table.path} lacks {words} {listed(missing)}; it has {listed(self.table.names)}: rename them there, "
                "or map them with --columns FILE.json (in Python: rv.Log(columns=))"
            )

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        """Return columns as numbers [N, len(names)], in the table's units."""
        found = [self.table.numbers(self.column(name)) for name in names]
        return np.stack(found, axis=1) if found else np.zeros((len(self.table), 0))

    def rewards(self) -> np.ndarray:
        """Return the rewards [N], in our unit."""
        column = column_of(self._columns, "reward")
        return self.table.numbers(self.column("reward")) * column.factor + column.offset

    def flags(self, name: str) -> np.ndarray:
        """Return a column of 0 and 1 [N]; all False where there is none."""
        return self.table.flags(self.column(name)) if self.has(name) else np.zeros(len(self.table), bool)

    def whole_numbers(self, name: str) -> np.ndarray | None:
        """Return a column of whole numbers [N], or None where there is none."""
        return self.table.whole_numbers(self.column(name)) if self.has(name) else None

    def times(self) -> np.ndarray | None:
        """Return seconds [N], or None where there are none."""
        return self.table.times(self.column("time")) if self.has("time") else None

    def names_and_units(self, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what columns are called, by the mapping or else by us, and the units that the table gives."""
        called = tuple(column_of(self._columns, name).column for name in names)
        return called, tuple(_split(self.column(name))[1] for name in names)

    def roles(self) -> Roles:
        """Return what the table shows of sensors and actuators: a sensor has a column "next …" beside its own.

        Without such columns nothing tells the one from the other, and all that holds numbers counts as a sensor.
        """
        names = self.table.names
        own = {
            self._by_name[column] for name in OWN if (column := column_of(self._columns, name).column) in self._by_name
        }
        beside = {prefix + name for name in names for prefix in (NEXT, ASKED)}
        sensors = [name for name in names if NEXT + name in names]
        others = [name for name in names if name not in own and name not in sensors and name not in beside]
        numeric = [name for name in others if name != SOURCE and self.table.is_numeric(name)]
        return Roles(tuple(sensors), tuple(numeric)) if sensors else Roles(tuple(numeric), ())

    def unused(self) -> list[str]:
        """Return the columns that were not used, but for those that `reverie export` writes for people."""
        written = {ASKED + name for name in self.used} | {SOURCE}
        return [name for name in self.table.names if name not in self.used | written]


def _split(head: str) -> tuple[str, str]:
    """Return name and unit of a column, such as "bpm_4_x [mm]"; "" where it has no unit."""
    name, space, unit = head.rpartition(" [")
    return (name, unit[:-1]) if space and unit.endswith("]") else (head, "")


def read_csv(path: Path, roles: Roles | None, columns: Columns, computes_reward: bool) -> LogData:
    """Return the transitions of a table.

    roles: the sensors and actuators to look for; None: those that the table itself shows.
    columns: where a column has another name than ours; units are left as they are, but for the reward's.
    computes_reward: the reward's column is not needed.
    Raises ConfigError where columns are missing, and StorageError where the file is no table of numbers.
    """
    log = _Log(path, columns)
    sensors, actuators = log.roles() if roles is None else roles
    wanted = (*sensors, *actuators, *(() if computes_reward else ("reward",)))
    if twice := [name for name in wanted if wanted.count(name) > 1 or name in OWN[1:]]:
        raise ConfigError(f"{path}: a sensor or actuator is called {twice[0]!r}, as another column is; rename it")
    log.require(wanted)
    followed = any(log.has(NEXT + name) for name in sensors)
    if followed:
        log.require([NEXT + name for name in sensors])
    terminated, truncated = log.flags("terminated"), log.flags("truncated")
    observations, actions = log.matrix(sensors), log.matrix(actuators)
    episode = log.whole_numbers("episode")
    seen, sent = log.names_and_units(sensors), log.names_and_units(actuators)
    data = LogData(
        str(path),
        log.table.lines,
        "line",
        seen[0],
        sent[0],
        episodes_by_ends(terminated | truncated) if episode is None else episode,
        log.whole_numbers("step"),
        log.times(),
        observations,
        actions,
        np.full(len(log.table), np.nan) if computes_reward else log.rewards(),
        terminated,
        truncated,
        log.matrix([NEXT + name for name in sensors]) if followed else observations,
        observation_units=seen[1],
        action_units=sent[1],
        notes=() if log.has("terminated") else ("there is no column terminated, so no transition counts as a death",),
    )
    if roles is not None and (unused := [name for name in log.unused() if name != column_of(columns, "reward").column]):
        data = data.changed(notes=(*data.notes, f"columns that are not used: {listed(unused)}"))
    return data if followed else joined(data, terminal_too=not computes_reward)
