"""Types of arguments: functions from text that raise ArgumentTypeError or a ReverieError."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from reverie.core.words import plain, whole_number

MOST = 10**12  # of anything counted; more than a machine does in years


def up_to(most: int, least: int = 0) -> Callable[[str], int]:
    """Return a type of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            value = whole_number(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} is no whole number of at least 0, such as 10000 or 1e4"
            ) from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too few; give at least {least}")
        if value > most:
            raise argparse.ArgumentTypeError(f"{text[:40]} is too many; give at most {most}")
        return value

    return parse


whole, positive, seed = up_to(MOST), up_to(MOST, least=1), up_to(2**32 - 1)
LONGEST = 3600  # seconds of a film


def number(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(plain(text))
        if value - value != 0:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no finite number") from None
    return value


def path(text: str) -> str:
    """Return a path that the system accepts; a leading ~ is expanded, since shells do not do so after a =."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path; leave the option out, or give one")
    try:
        text = os.path.expanduser(text)
        longest = "latest.safetensors" + 32 * "x"  # the longest file name in a run
        os.lstat(os.path.join(text, "checkpoint", longest))
    except (FileNotFoundError, NotADirectoryError):
        return text
    except (OSError, ValueError) as error:  # too long, no permission, a loop of links, a NUL
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise argparse.ArgumentTypeError(f"{text!r} cannot be used: {reason}; give another path") from None
    return text


def file(text: str) -> str:
    """Return the path of a file; a slash at the end is refused here, since `Path` drops it."""
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if text.endswith(separators):
        raise argparse.ArgumentTypeError(f"{text!r} is the name of a folder; give a file, without the {text[-1]!r}")
    return path(text)


def folder(text: str) -> str:
    """Return the path of a folder that exists or can be made.  Raises StorageError otherwise."""
    from reverie.storage.files import require_room  # imported only where a folder is given

    text = path(text)
    require_room(Path(text))
    return text


def waiting(text: str) -> float:
    """Return seconds to wait: a finite number above 0."""
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no time to wait; give seconds above 0")
    return value


def seconds(text: str) -> float:
    """Return the length of a film, in seconds."""
    try:
        value = float(plain(text))
        if not 0 < value <= LONGEST:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no number of seconds from 0 to {LONGEST}, an hour"
        ) from None
    return value


def pair(text: str) -> tuple[str, str]:
    """Return (name, value) for "name=value"."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def names(text: str) -> list[str]:
    """Return the names between commas."""
    return [name for name in text.split(",") if name]
