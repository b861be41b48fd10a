"""Calls into somebody's environment, in which the main thread may wait for long: a signal ends such a wait.

Everywhere else the flag of `core.interrupts` is looked at; in here nobody looks.
"""

import math
from collections.abc import Callable
from time import monotonic

from reverie.core.errors import WorldError, sentence
from reverie.core.interrupts import FLAG

PATIENCE = 2.0  # seconds that a call may still take after a signal, or twice the longest of its kind so far


class _UnderWay:
    """The call under way; None: none is.  Another thread's may stand here, which handlers must rule out themselves.

    interrupted: when a wait was last ended, in seconds of time.monotonic().
    restore: puts signal handlers back that somebody's code replaced; called after rare calls, and after others once `due`.
    """

    __slots__ = ("call", "due", "interrupted", "restore")

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Mark nothing, put nothing back."""
        self.call: BlockingCalls | None = None
        self.restore: Callable[[], object] = bool  # nothing
        self.due = math.inf  # time.monotonic()
        self.interrupted = -math.inf

    def overdue(self, now: float) -> float:
        """Return for how many seconds a good moment has been overdue since a signal came; negative: there is time.

        What is not marked (somebody's properties, and objects that look like arrays) has `PATIENCE`.
        """
        return now - FLAG.since - PATIENCE if self.call is None else self.call.overdue(FLAG.since, now)


CALLS_UNDER_WAY = _UnderWay()


class BlockingCalls:
    """`with FOREIGN:` round calls of one kind.  Costs less than a microsecond; marks nothing where signals are not handled."""

    __slots__ = ("_began", "longest")

    def __init__(self):
        self.longest = self._began = 0.0

    def __enter__(self) -> None:
        if FLAG.handled:
            self._began = monotonic()
            CALLS_UNDER_WAY.call = self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if CALLS_UNDER_WAY.call is self:
            CALLS_UNDER_WAY.call = None
            now = monotonic()
            took = now - self._began
            if took > self.longest and kind is None:  # a wait that was ended is not the usual
                self.longest = took
            if now > CALLS_UNDER_WAY.due:
                CALLS_UNDER_WAY.restore()

    def overdue(self, asked: float, now: float) -> float:
        """Return for how many seconds the call under way is overdue after a signal at `asked`; negative: it has time."""
        return now - max(self._began, asked) - max(PATIENCE, 2.0 * self.longest)


class _Rare(BlockingCalls):
    """Calls in which libraries usually install handlers of their own."""

    __slots__ = ()

    def __exit__(self, kind: type | None, *_: object) -> None:
        marked = CALLS_UNDER_WAY.call is self
        super().__exit__(kind)
        if marked:
            CALLS_UNDER_WAY.restore()


IMPORT, MAKE, RESET, STEP, RENDER, CLOSE = _Rare(), _Rare(), _Rare(), BlockingCalls(), BlockingCalls(), BlockingCalls()


def failed(name: str, where: str, error: BaseException) -> BaseException:
    """Return what to raise where somebody's code raised: WorldError, whatever it was, or the interrupt that a signal was.

    An environment that calls sys.exit() has not ended the program; nor has one that raises KeyboardInterrupt, unless a
    signal came, or signals are Python's own business here.
    """
    if isinstance(error, KeyboardInterrupt) and (FLAG.asked or not FLAG.handled):
        return error
    return WorldError(f"{name} {where}: {sentence(error)}")
