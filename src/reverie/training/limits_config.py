"""`Limits` as an entry of config.json or a file of their own, and back."""

from pathlib import Path
from typing import Any

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError, StorageError
from reverie.core.machine_limits import Limits
from reverie.storage.config import Config, WrittenLimits
from reverie.storage.limits_json import limits_of, written
from reverie.storage.reading import convert, read_json
from reverie.storage.run import RunDirectory

__all__ = ["limits_of", "read", "read_file", "written"]


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
