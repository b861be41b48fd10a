"""The errors a user can cause and mend: one sentence each, naming what, where and what to do."""

import difflib
from collections.abc import Iterable

from reverie.core.other_names import called_here
from reverie.core.words import listed

LIKENESS = 0.55  # of a name to the one that is proposed instead: no 'os' for 'nosuch', but 'ppo' for 'trpo'
LONGEST = 1000  # characters of a message: what was typed or read may be of any length


class ReverieError(Exception):
    """Wrong input or a broken world.  The command line prints its one line and exits with 2."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str) -> str:
    """Return `text` as one line that any terminal can print: control characters escaped, the middle of a long one left out."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ReverieWarning(UserWarning):
    """What a run goes on with, though somebody should look at it: one sentence."""


def sentence(error: BaseException) -> str:
    """Return an exception of whatever kind as one line, also one whose own text raises."""
    try:
        text = " ".join(str(error).split())
    except BaseException as second:  # of somebody else's class
        text = f"its text cannot be had, which raises {type(second).__name__}"
    return one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def going_on(said: object, more: str) -> str:
    """Return what an error says and then `more`: after a semicolon, or as another sentence where the first has ended."""
    text = str(said).rstrip()
    return f"{text} {more[:1].upper()}{more[1:]}" if text.endswith(("?", ".", "!")) else f"{text}; {more}"


class ConfigError(ReverieError, ValueError):
    """A hyper-parameter, name or option that cannot be used as given."""


class SpaceError(ReverieError, ValueError):
    """An environment or array whose spaces, shapes or bounds the agent cannot work with."""


class WorldError(ReverieError, RuntimeError):
    """The environment raised, or returned what no learner can use; the experience before it is safe."""


class StorageError(ReverieError, OSError):
    """A file that is damaged, foreign, in use by another process, or could not be written."""


class DivergedError(ReverieError, ArithmeticError):
    """Learning came to numbers that are not finite; the last good checkpoint is kept."""

    line: str | None = None  # that goes on with other settings, where the message ends with it


def unknown(kind: str, name: str, known: Iterable[str], listing: str = "") -> ConfigError:
    """Return the error for a `name` that is no known `kind`.

    It says what that is called here, else the nearest right name, else `listing`, which says where all are; without a listing
    the first of them are named.
    """
    names = sorted(known)
    ours = called_here(name, names)
    if ours is not None:
        return ConfigError(f"unknown {kind} {name!r}; {name} is called {ours} here")
    close = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS)
    if close:
        return ConfigError(f"unknown {kind} {name!r}; did you mean {close[0]!r}?")
    return ConfigError(f"unknown {kind} {name!r}; {listing or f'known: {listed(names)}'}")
