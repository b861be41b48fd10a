"""Checks of arguments from user programs.  A ConfigError says what to give instead."""

import math
import numbers
from typing import Any

from reverie.core.errors import ConfigError, one_line

SHOWN = 200  # characters of a value in a message
MOST = 2**63 - 1  # of whole numbers: the largest that arrays can count


def shown(value: Any) -> str:
    """Return a value as an error message shows it, even if its `repr` raises."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"of type {type(value).__name__}"
    return one_line(text if len(text) <= SHOWN else text[:SHOWN] + " …")


def whole(name: str, value: Any, least: int = 0) -> int:
    """Return a whole number from `least` to MOST, given as any integer type.  Raises ConfigError for other values."""
    number = _plain(value, numbers.Integral, int)
    if number is None or number < least:
        raise ConfigError(f"{name} is {shown(value)}; give a whole number of at least {least}")
    if number > MOST:
        raise ConfigError(f"{name} is {shown(value)}; give a whole number of at most {MOST}")
    return int(number)


def finite(name: str, value: Any) -> float:
    """Return a finite number, given as any real type.  Raises ConfigError for other values."""
    number = _plain(value, numbers.Real, float)
    if number is None or not math.isfinite(number):
        raise ConfigError(f"{name} is {shown(value)}; give a finite number")
    return float(number)


def at_least_0(name: str, value: Any) -> float:
    """Return a finite number of at least 0, given as any real type.  Raises ConfigError for other values."""
    if (number := finite(name, value)) < 0:
        raise ConfigError(f"{name} is {shown(value)}; it must be 0 or more")
    return number


def _plain(value: Any, kind: type, made: type[int] | type[float]) -> float | int | None:
    """Return a number of some kind as Python's own type; None for other values, bools, and numbers beyond float64."""
    try:
        return made(value) if isinstance(value, kind) and not isinstance(value, bool) else None
    except Exception:  # OverflowError, or anything that a user's number type raises
        return None
