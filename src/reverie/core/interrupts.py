"""Was this process asked to stop?  A flag that signal handlers set, looked at wherever stopping is safe.

Handlers: `training.deferred_interrupts`.  Here only what every room may ask.
"""

from collections.abc import Callable


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop, and here is a good moment.  Its text says how far what was going on had come."""


EXIT_STATUS = 130  # of a process that a signal interrupted, and that saved what it had


class Flag:
    """`asked`: whether a signal came, `since` when.  `handled`: whether signals come here at all."""

    def __init__(self):
        self.handled = self.asked = False
        self.since = 0.0  # seconds, by the clock of whoever asks
        self.listeners: list[Callable[[], object]] = []

    def ask(self, now: float) -> None:
        """Set the flag and call the listeners, the first time.  now: seconds of time.monotonic()."""
        if not self.asked:
            self.since = now
            self.asked = True
            for listener in tuple(self.listeners):
                listener()

    def look(self) -> None:
        """Raise Interrupted if a signal came."""
        if self.asked:
            raise Interrupted


FLAG = Flag()
look = FLAG.look
