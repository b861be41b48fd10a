"""`Limits` as JSON, in config.json or in a file of their own, and back."""

import sys
from pathlib import Path
from typing import Any

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError, StorageError
from reverie.core.machine_limits import Limits
from reverie.environments.imports import imported
from reverie.storage.config import Config, WrittenLimits, WrittenRegion
from reverie.storage.reading import convert, read_json
from reverie.storage.run import RunDirectory

UNNAMED = "a function of the program that began the run"


def written(limits: Limits | None) -> WrittenLimits | None:
    """Return limits for config.json.  A veto is written as "package.module:function" where that names it."""
    if limits is None:
        return None
    values: Any = limits  # plain numbers, lists and dicts, since `Limits` makes them so
    region = None if values.region is None else WrittenRegion(*values.region)
    return WrittenLimits(values.low, values.high, values.slew, region, _name_of(limits.veto), values.safe_action)


def limits_of(found: WrittenLimits) -> Limits:
    """Return the limits that `written` wrote, with the veto imported.

    Raises ConfigError where the veto has no name, or is not there.
    """
    veto = None
    if found.veto is not None:
        if ":" not in found.veto:
            raise ConfigError(f"the veto of its limits is {UNNAMED}; give limits= again (in Python)")
        veto = imported(found.veto, "veto")
    region = None if found.region is None else (found.region.reference, found.region.distance)
    return Limits(found.low, found.high, found.slew, region, veto, found.safe_action)


def read(config: Config, run: RunDirectory) -> Limits | None:
    """Return the limits of a run.  Raises StorageError where its veto cannot be found again."""
    try:
        return None if config.limits is None else limits_of(config.limits)
    except ConfigError as error:
        raise StorageError(f"{run.config_file}: {error}") from error


def read_file(path: Path) -> Limits:
    """Return the limits in a JSON file.  Raises ConfigError where it holds something else."""
    keys = "low, high, slew, region (reference, distance), veto, safe_action"
    try:
        facts: Any = read_json(path, dict, f"a file of limits is one JSON object with any of {keys}")
        odd = set(facts) - set(WrittenLimits.__struct_fields__)
        if odd:
            raise ConfigError(f"{path}: {min(odd)!r} is no limit; there are {keys}")
        found = convert(facts, WrittenLimits)
        if found.veto is not None and ":" not in found.veto:
            raise ConfigError(f"{path}: veto is {shown(found.veto)}; give 'package.module:function'")
        return limits_of(found)
    except (StorageError, ValueError) as error:
        text = str(error) if isinstance(error, StorageError) else f"{path} does not hold limits: {error}"
        raise ConfigError(text) from error


def _name_of(veto: Any) -> str | None:
    """Return "package.module:function" where that leads to `veto`, else a text without a colon; None for None."""
    if veto is None:
        return None
    module, name = getattr(veto, "__module__", None), getattr(veto, "__qualname__", None)
    there = getattr(sys.modules.get(module or ""), name or "", None)
    return f"{module}:{name}" if there is veto and module != "__main__" else UNNAMED
