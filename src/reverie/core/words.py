"""Formatting of numbers and names for messages."""

from collections.abc import Iterable
from typing import Any

LARGEST_FLOAT = 2.0**53  # larger floats skip whole numbers
SHOWN, LONGEST = 12, 300  # at most, for a list in a message: names, and characters


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 episode", "2 episodes"; plural: needed where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def mean_of_last(number: int) -> str:
    """Return "mean return of the last 3 episodes", or "return of the last episode"."""
    return "return of the last episode" if number == 1 else f"mean return of the last {count(number, 'episode')}"


def plain(value: Any) -> Any:
    """Return `value`.  Raises ValueError for numbers that only Python accepts: 1_000, or digits of other scripts."""
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        raise ValueError(f"{value!r} is no plain number")
    return value


def whole_number(text: str) -> int:
    """Return the whole number of at least 0 in a text such as 10000, 1e4 or 2.5e3.  Raises ValueError for others."""
    if text.isascii() and text.isdecimal():
        return int(text)
    value = float(plain(text))
    if not 0 <= value <= LARGEST_FLOAT or value != int(value):
        raise ValueError(f"{text!r} is no whole number")
    return int(value)


def listed(names: Iterable[object], most: int = SHOWN) -> str:
    """Return "a, b, c", or "a, b and 310 more" where there are more than `most` names or the text would be too long."""
    found = [str(name) for name in names]
    shown = found[:most]
    while len(shown) > 1 and len(", ".join(shown)) > LONGEST:
        shown.pop()
    rest = len(found) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def either(names: Iterable[object]) -> str:
    """Return "a", "a or b", "a, b or c"."""
    *others, last = map(str, names)
    return f"{', '.join(others)} or {last}" if others else last


def joined(names: Iterable[object]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last


def typed(value: Any) -> str:
    """Return a value as it is typed after `--set`."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) or "()" if isinstance(value, list | tuple) else str(value)


def number(value: float) -> str:
    """Return a number with as few characters as identify it: .99 as "0.99", but 1 - 1e-16 not as 1."""
    text = f"{value:g}"
    return text if float(text) == value else str(value)


def size(number: int) -> str:
    """Return a number of bytes as "812 bytes", "12 kB", "3.4 MB"."""
    if number < 1000:
        return count(number, "byte")
    return f"{number / 1e3:.0f} kB" if number < 999_500 else f"{number / 1e6:.1f} MB"
