"""Ctrl-C and SIGTERM on the command line: stop at the next safe point, print what is saved, exit with 130.

Imported before anything else: if this process is the `reverie` command, handlers are in place from then on.
"""

import atexit
import contextlib
import gc
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import NoReturn

from reverie.core.errors import sentence
from reverie.core.interrupts import EXIT_STATUS, FLAG
from reverie.training import deferred_interrupts, last_words

DONE, WRONG = 0, 2  # exit statuses
NOTHING = "nothing was begun"


class _Last:
    """The message after a signal: a function of how far the work had come (or ""), and whether it was printed."""

    def __init__(self):
        self.sentence: Callable[[str], str] = lambda how_far: _line(how_far, NOTHING)
        self.claim = threading.Lock()  # never released by whoever prints: a signal may come at any time
        self.is_printed = False


_last = _Last()


def _line(how_far: str, saved: str) -> str:
    return f"reverie: interrupted{how_far and ' ' + how_far}; {saved}"


def set_message(sentence: str | Callable[[str], str]) -> None:
    """Set the message after a signal from now on: what is saved, or a function of how far the work had come."""
    _last.sentence = sentence if callable(sentence) else lambda how_far: _line(how_far, sentence)


def print_message(how_far: str = "") -> int:
    """Print the message on stderr, once; return the exit status."""
    if _last.claim.acquire(blocking=False):
        with contextlib.suppress(OSError):
            print(_last.sentence(how_far), file=sys.stderr, flush=True)
        _last.is_printed = True
    return EXIT_STATUS


def end_at_once() -> None:
    """End the process, perhaps from another thread.  This is safe, since files on disk are whole at any time."""
    if not _last.claim.acquire(blocking=False):
        if not _last.is_printed and threading.current_thread() is threading.main_thread():
            return  # the main thread, or the watching thread, is about to print
        _wait_until_printed()
        os._exit(EXIT_STATUS)
    try:
        last_words.write(_last.sentence("at once"))
        last_words.end_children()
    finally:
        os._exit(EXIT_STATUS)


def _wait_until_printed(seconds: float = 1.0) -> None:
    until = time.monotonic() + seconds
    while not _last.is_printed and time.monotonic() < until:
        time.sleep(0.01)


def leave(status: int) -> NoReturn:
    """Exit.  After an interrupt nothing more is printed, and threads that never end are not waited for."""
    FLAG.listeners.append(lambda: os._exit(status))
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        pass
    except (OSError, ValueError) as error:  # a full disk, or stdout was closed
        print(f"reverie: stdout could not be written: {sentence(error)}", file=sys.stderr, flush=True)
        status = status or WRONG
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if status != EXIT_STATUS and all(thread.daemon for thread in others):
        sys.exit(status)
    if status == EXIT_STATUS:
        _last.claim.acquire(blocking=False)
        _last.is_printed = True
        last_words.end_children()
        if not _DEBUG:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # There is no public way to do this before the interpreter's own teardown, when signals are no longer handled here.
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    _flush_files()
    os._exit(status)


def _flush_files() -> None:
    """Flush the open files of an environment, as the interpreter does at its end."""
    for file in gc.get_objects():
        if isinstance(file, io.IOBase) and not file.closed:
            with contextlib.suppress(Exception):
                file.flush()


def _quieten() -> None:
    """Silence messages about what an interrupt breaks off, such as those of event loops and pools."""
    import logging

    sys.unraisablehook = threading.excepthook = lambda given: None
    logging.lastResort = logging.NullHandler()


@contextlib.contextmanager
def handled() -> Generator[None]:
    """Let signals set the flag within the block, unless the process's own handlers do so already."""
    global _last
    _last = _Last()
    with deferred_interrupts.handling():
        yield


def _is_command() -> bool:
    """Return whether this process is the `reverie` command or `python -m reverie`, and not a child of it."""
    file = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    folder, name = os.path.split(file)
    name = os.path.basename(folder) if name == "__main__.py" else name
    return os.path.splitext(name)[0] == "reverie"


_DEBUG = "--debug" in sys.argv
if _is_command():
    deferred_interrupts.install(end_at_once)
    if not _DEBUG:
        FLAG.listeners.append(_quieten)
