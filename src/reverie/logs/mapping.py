"""A mapping from our names to the columns of a log that was written by another program."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError
from reverie.storage.reading import convert, read_json

OWN = ("reward", "episode", "step", "time", "terminated", "truncated")  # besides sensors and actuators
NEXT = "next "  # before a sensor's name: its value after the step
ASKED, SOURCE = "asked ", "source"  # of `reverie export`: what the agent asked for, and who chose


class Column(msgspec.Struct, forbid_unknown_fields=True):
    """A column of a log, and its unit: our value is factor times theirs, plus offset."""

    column: str
    factor: float = 1.0
    offset: float = 0.0

    def __post_init__(self):
        if not (math.isfinite(self.factor) and math.isfinite(self.offset) and self.factor):
            raise ValueError("factor and offset are finite, and factor is not 0")


Columns = Mapping[str, Column]  # by our name


def columns_of(given: Any) -> Columns:
    """Return a mapping that is given as a dict, or as the path of a JSON file.

    Its values are names, or objects with `column`, `factor` and `offset`.
    Raises ConfigError for another value, and StorageError where the file cannot be read.
    """
    if given is None:
        return {}
    if isinstance(given, str | Path):
        found = read_json(Path(given), dict[str, str | Column], 'write {"our name": "their column", …}')
    else:
        try:
            plain = {name: _plain(value) for name, value in dict(given).items()}
            found = convert(plain, dict[str, str | Column])
        except Exception:  # a strange object may raise anything
            raise ConfigError(f"columns is {shown(given)}; give a dict from our names to those of the log") from None
    return {name: Column(value) if isinstance(value, str) else value for name, value in found.items()}


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value) if isinstance(value, Column) else value


def column_of(columns: Columns, name: str) -> Column:
    """Return the column for one of our names.  "next X" is beside X: "next " before the name of X's column."""
    if name in columns:
        return columns[name]
    bare = name.removeprefix(NEXT)
    if bare != name and bare in columns:
        beside = columns[bare]
        return Column(NEXT + beside.column, beside.factor, beside.offset)
    return Column(name)
