"""`Limits` as JSON, and back."""

import sys
from typing import Any

from reverie.core.errors import ConfigError
from reverie.core.machine_limits import Limits
from reverie.environments.imports import imported
from reverie.storage.config import WrittenLimits, WrittenRegion

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


def _name_of(veto: Any) -> str | None:
    """Return "package.module:function" where that leads to `veto`, else a text without a colon; None for None."""
    if veto is None:
        return None
    module, name = getattr(veto, "__module__", None), getattr(veto, "__qualname__", None)
    there = getattr(sys.modules.get(module or ""), name or "", None)
    return f"{module}:{name}" if there is veto and module != "__main__" else UNNAMED
