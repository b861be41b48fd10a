"""Errors that a user can cause and fix.  Each is one sentence: what is wrong, where, and what to do."""

import difflib
from collections.abc import Iterable

from reverie.core.other_names import called_here
from reverie.core.words import listed

LIKENESS = 0.55  # least similarity of a proposed name: excludes 'os' for 'nosuch', includes 'ppo' for 'trpo'
LONGEST = 1000  # characters of a message; input in it may have any length


class ReverieError(Exception):
    """Wrong input or a faulty environment.  The command line prints its one line and exits with 2."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str) -> str:
    """Return `text` as one printable line: control characters escaped, the middle of a long text left out."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ReverieWarning(UserWarning):
    """A one-sentence warning about something that a run continues with, but that the user should look at."""


def sentence(error: BaseException) -> str:
    """Return any exception as one line, even if its own text raises."""
    try:
        text = " ".join(str(error).split())
    except BaseException as second:  # an error of a user's class
        text = f"reading its text raises {type(second).__name__}"
    return one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def with_advice(message: object, advice: str) -> str:
    """Return a message followed by advice: after a semicolon, or as a new sentence if the message ends one."""
    text = str(message).rstrip()
    return f"{text} {advice[:1].upper()}{advice[1:]}" if text.endswith(("?", ".", "!")) else f"{text}; {advice}"


class ConfigError(ReverieError, ValueError):
    """A hyper-parameter, name or option that cannot be used as given."""


class SpaceError(ReverieError, ValueError):
    """An environment or array whose spaces, shapes or bounds the agent cannot work with."""


class WorldError(ReverieError, RuntimeError):
    """The environment raised, or returned unusable values.  The experience before is safe."""


class StorageError(ReverieError, OSError):
    """A file that is damaged, foreign, in use by another process, or cannot be written."""


class DivergedError(ReverieError, ArithmeticError):
    """Learning reached numbers that are not finite.  The last good checkpoint is kept."""

    line: str | None = None  # the command that continues with other settings, if the message ends with it


def unknown(kind: str, name: str, known: Iterable[str], listing: str = "") -> ConfigError:
    """Return the error for a `name` that is not a known `kind`.

    It gives the name used here, or else the nearest known name, or else `listing`, which says where all names are.
    Without a listing it shows the first names.
    """
    names = sorted(known)
    ours = called_here(name, names)
    if ours is not None:
        return ConfigError(f"unknown {kind} {name!r}; {name} is called {ours} here")
    close = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS)
    if close:
        return ConfigError(f"unknown {kind} {name!r}; did you mean {close[0]!r}?")
    return ConfigError(f"unknown {kind} {name!r}; {listing or f'known: {listed(names)}'}")
