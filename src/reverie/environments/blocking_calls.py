"""Mark calls into a user's environment, so that a signal, or a limit of time, can end one that blocks the main thread.

Elsewhere the program reads the flag of `core.interrupts` at regular points. During such a call it cannot.
"""

import math
from collections.abc import Callable
from time import monotonic

from reverie.core.errors import WorldError, sentence
from reverie.core.interrupts import FLAG

PATIENCE = 2.0  # seconds a call may take after a signal; or twice the longest call of its kind so far, if that is more


class Hung(KeyboardInterrupt):
    """Raised in a call that has taken longer than the limit."""


class HungError(WorldError):
    """The environment did not answer within the limit."""


class _UnderWay:
    """State of the current call into a user's code.

    call: the kind of the current call, or None. It may be a call of another thread: signal handlers must check that.
    interrupted: when a call was last interrupted, in seconds of time.monotonic().
    restore: restores signal handlers that a user's code replaced. It is called after each rare call, and after other
    calls once the time is past `due`, in seconds of time.monotonic().
    limit: seconds that a call which has a limit may take.  hung: whether such a call was interrupted for taking longer.
    give_up: ends the process where such an interrupt has no effect.
    """

    __slots__ = ("call", "due", "give_up", "hung", "interrupted", "limit", "restore")

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Set all fields to their first values: no call, and nothing to restore."""
        self.call: BlockingCalls | None = None
        self.restore: Callable[[], object] = bool  # does nothing
        self.due = math.inf
        self.interrupted = -math.inf
        self.unlimit()

    def unlimit(self) -> None:
        """Let calls take as long as they like."""
        self.limit, self.hung = math.inf, False
        self.give_up: Callable[[], object] = bool

    def hanging(self, now: float) -> float:
        """Return for how many seconds the current call has been beyond its limit.  Negative: it has time."""
        call = self.call
        return -math.inf if call is None else call.hanging(now, self.limit)

    def overdue(self, now: float) -> float:
        """Return for how many seconds the current call has been overdue since a signal came. Negative: it has time.

        Calls that are not marked, such as a user's properties and array-like objects, may take `PATIENCE` seconds.
        """
        return now - FLAG.since - PATIENCE if self.call is None else self.call.overdue(FLAG.since, now)


CALLS_UNDER_WAY = _UnderWay()


class BlockingCalls:
    """Context manager around calls of one kind, for example `with STEP:`.

    It costs less than a microsecond. It marks nothing while signals are not handled by `core.interrupts`.
    """

    __slots__ = ("_began", "longest", "name")

    def __init__(self, name: str = ""):
        self.longest = self._began = 0.0
        self.name = name  # "" where calls have no limit: imports and makers may take long

    def __enter__(self) -> None:
        if FLAG.handled:
            self._began = monotonic()
            CALLS_UNDER_WAY.call = self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if CALLS_UNDER_WAY.call is self:
            CALLS_UNDER_WAY.call = None
            now = monotonic()
            took = now - self._began
            if took > self.longest and kind is None:  # a call that raised says nothing about the usual duration
                self.longest = took
                CALLS_UNDER_WAY.hung = False  # it swallowed the interrupt, and did answer
            if now > CALLS_UNDER_WAY.due:
                CALLS_UNDER_WAY.restore()

    def overdue(self, asked: float, now: float) -> float:
        """Return for how many seconds the current call is overdue. Negative: it has time.

        asked: when the signal came.  now: the time.  Both in seconds of time.monotonic().
        """
        return now - max(self._began, asked) - max(PATIENCE, 2.0 * self.longest)

    def hanging(self, now: float, limit: float) -> float:
        """Return for how many seconds the current call has been beyond `limit`.  Negative: it has time."""
        return now - self._began - limit if self.name else -math.inf


class _Rare(BlockingCalls):
    """Calls during which libraries often install signal handlers of their own."""

    __slots__ = ()

    def __exit__(self, kind: type | None, *_: object) -> None:
        marked = CALLS_UNDER_WAY.call is self
        super().__exit__(kind)
        if marked:
            CALLS_UNDER_WAY.restore()


IMPORT, MAKE, RESET = _Rare(), _Rare(), _Rare("reset")
STEP, RENDER, CLOSE = BlockingCalls("step"), BlockingCalls("render"), BlockingCalls("close")


def failed(name: str, where: str, error: BaseException) -> BaseException:
    """Return the exception to raise after a user's code raised `error`.

    name: the environment's.  where: what failed, for the message. Usually the result is a WorldError, also for
    sys.exit(), which must not end the program. A KeyboardInterrupt is returned as it is if a signal came, or if signals
    are not handled by `core.interrupts`.  After a call that was beyond the limit it is a HungError, whatever was raised.
    """
    if CALLS_UNDER_WAY.hung:
        CALLS_UNDER_WAY.hung, limit = False, CALLS_UNDER_WAY.limit
        return HungError(f"{name} did not answer in {where.removeprefix('raised in ')} within {limit:g} s (hang_after)")
    if isinstance(error, KeyboardInterrupt) and (FLAG.asked or not FLAG.handled):
        return error
    return WorldError(f"{name} {where}: {sentence(error)}")
