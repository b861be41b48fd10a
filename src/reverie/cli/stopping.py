"""What the command line does at Ctrl-C and SIGTERM: stop at the next good moment, say what is saved, exit with 130.

Imported before anything else: where this process is the `reverie` command, handlers are in place from here on.
"""

import contextlib
import os
import sys
from collections.abc import Callable

from reverie.core.interrupts import EXIT_STATUS
from reverie.loops import interrupts

NOTHING = "nothing was begun"


class _Last:
    """What will be said: (how far things had come, or "") -> lines; and whether it was."""

    def __init__(self):
        self.sentence: Callable[[str], str] = lambda how_far: _line(how_far, NOTHING)
        self.told = False


_last = _Last()


def _line(how_far: str, saved: str) -> str:
    return f"reverie: interrupted{how_far and ' ' + how_far}; {saved}"


def say(sentence: str | Callable[[str], str]) -> None:
    """Set what is said if a signal comes from now on: what is saved, or a function of how far things had come."""
    _last.sentence = sentence if callable(sentence) else lambda how_far: _line(how_far, sentence)


def tell(how_far: str = "") -> int:
    """Say it on stderr, once; return the exit status."""
    if not _last.told:
        _last.told = True
        with contextlib.suppress(OSError):
            print(_last.sentence(how_far), file=sys.stderr, flush=True)
    return EXIT_STATUS


def end_at_once() -> None:
    """End the process, perhaps from another thread, whatever the main one does: what is on disk is whole at any moment."""
    try:
        text = "" if _last.told else _last.sentence("at once") + "\n"
        if os.isatty(2):
            text = "\r\x1b[K\x1b[?25h" + text  # a progress bar hides the cursor
        os.write(2, text.encode(errors="replace"))
    finally:
        os._exit(EXIT_STATUS)


@contextlib.contextmanager
def handled():
    """Have signals set the flag within the block, where the process's own handlers do not do so anyway."""
    global _last
    _last = _Last()
    with interrupts.handling():
        yield


def _is_command() -> bool:
    """Return whether this process is the `reverie` command or `python -m reverie`, and no child that imports it again."""
    file = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    folder, name = os.path.split(file)
    name = os.path.basename(folder) if name == "__main__.py" else name
    return os.path.splitext(name)[0] == "reverie"


if _is_command():
    interrupts.install(end_at_once)
