"""A flag that signal handlers set when the process should stop; code checks it where stopping is safe.

The handlers are in `training.deferred_interrupts`.  This module has only what every package may use.
"""

from collections.abc import Callable


class Interrupted(KeyboardInterrupt):
    """Raised at a safe point after a signal.  Its text says how far the work had come."""


EXIT_STATUS = 130  # of a process that saved its work after a signal


class Flag:
    """`asked`: whether a signal came; `since`: when.  `handled`: whether signals set this flag at all."""

    def __init__(self):
        self.handled = self.asked = False
        self.since = 0.0  # seconds, by the clock of the caller of `ask`
        self.listeners: list[Callable[[], object]] = []

    def ask(self, now: float) -> None:
        """Set the flag and call the listeners, the first time only.  now: seconds of time.monotonic()."""
        if not self.asked:
            self.since = now
            self.asked = True
            for listener in tuple(self.listeners):
                listener()

    def raise_if_interrupted(self) -> None:
        """Raise Interrupted if a signal came."""
        if self.asked:
            raise Interrupted


FLAG = Flag()
raise_if_interrupted = FLAG.raise_if_interrupted
