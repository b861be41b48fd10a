"""Calls into somebody's environment, in which the main thread may wait for long: a signal ends such a wait.

Everywhere else the flag of `core.interrupts` is looked at; in here nobody looks.
"""

from time import monotonic

from reverie.core.errors import WorldError, sentence
from reverie.core.interrupts import FLAG

PATIENCE = 2.0  # seconds that a call may still take after a signal, or twice the longest of its kind so far


class _UnderWay:
    """The call under way; None: none is.  Another thread's may stand here, which handlers must rule out themselves."""

    __slots__ = ("call",)

    def __init__(self):
        self.call: Foreign | None = None


UNDER_WAY = _UnderWay()


class Foreign:
    """`with FOREIGN:` round calls of one kind.  Costs less than a microsecond; marks nothing where signals are not handled."""

    __slots__ = ("_began", "longest")

    def __init__(self):
        self.longest = self._began = 0.0

    def __enter__(self) -> None:
        if FLAG.handled:
            self._began = monotonic()
            UNDER_WAY.call = self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if UNDER_WAY.call is self:
            UNDER_WAY.call = None
            took = monotonic() - self._began
            if took > self.longest and kind is None:  # a wait that was ended is not the usual
                self.longest = took

    def overdue(self, asked: float) -> bool:
        """Return whether the call under way has had its time since a signal came at `asked`."""
        return monotonic() - max(self._began, asked) > max(PATIENCE, 2.0 * self.longest)


MAKE, RESET, STEP, RENDER = Foreign(), Foreign(), Foreign(), Foreign()


def failed(name: str, where: str, error: BaseException) -> BaseException:
    """Return what to raise where somebody's code raised: WorldError, whatever it was, or the interrupt that a signal was.

    An environment that calls sys.exit() has not ended the program; nor has one that raises KeyboardInterrupt, unless a
    signal came, or signals are Python's own business here.
    """
    if isinstance(error, KeyboardInterrupt) and (FLAG.asked or not FLAG.handled):
        return error
    return WorldError(f"{name} {where}: {sentence(error)}")
