"""What programs pass: each value is right, or a ConfigError says what to give instead."""

import math
import numbers
from typing import Any

from reverie.core.errors import ConfigError, one_line

SHOWN = 200  # characters of a value in a message


def shown(value: Any) -> str:
    """Return a value as an error shows it, whatever its `repr` does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"of type {type(value).__name__}"
    return one_line(text if len(text) <= SHOWN else text[:SHOWN] + " …")


def whole(name: str, value: Any, least: int = 0) -> int:
    """Return a whole number of at least `least`, of whatever integer type."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(f"{name} is {shown(value)}; give a whole number of at least {least}")
    return int(value)


def finite(name: str, value: Any) -> float:
    """Return a finite number, of whatever real type."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ConfigError(f"{name} is {shown(value)}; give a finite number")
    return float(value)
