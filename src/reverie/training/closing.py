"""Learners that a program left open are closed when it ends, so that environments get their machines back."""

import atexit
import contextlib
import weakref
from typing import Protocol


class Closable(Protocol):
    """What `closed_at_exit` takes."""

    def close(self) -> None:
        """Close it; a second call does nothing."""
        ...


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def closed_at_exit(learner: Closable) -> None:
    """Close `learner` when the interpreter ends, unless it was closed or dropped before."""
    if not _open:
        atexit.register(_close_all)
    _open.add(learner)


def _close_all() -> None:
    for learner in list(_open):
        with contextlib.suppress(Exception):  # the program's own error was shown already
            learner.close()
