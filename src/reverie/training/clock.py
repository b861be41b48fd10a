"""`Clock`: the pace of a machine.  `Ticks`: what is left of each tick for learning, and which ticks were missed."""

import dataclasses
import time
from collections import deque
from collections.abc import Callable

from reverie.core.argument_checks import finite
from reverie.core.errors import ConfigError
from reverie.storage.config import WrittenClock

RESERVED = 0.2  # of a period: what is left to the user's program at first, between `tell` and the next `ask`
LEAST, MOST_RESERVED = 0.02, 0.9  # of a period
RELAX = 0.995  # what the reserve is multiplied by after each tick in time, once none was missed by us for a while
CALM = 100, 10_000  # ticks without one until then: after the first tick missed by us, and at most; doubled by each one
PAUSES = 50  # ticks whose shortest pause, from `tell` to the next `ask`, is what the program needs at most
SLICES = 50  # updates whose longest one is taken for the next one's time
PATIENCE = 20, 1000  # ticks without a slice after which the longest one is tried again: at first, and at most
LONGEST = 86_400.0  # seconds: a day; the system cannot wait for any number of them
JUDGED = 50  # ticks after which a period that is too short is reported


@dataclasses.dataclass(frozen=True)
class Clock:
    """A machine takes one action in each `period`: learning fits into what is left of it.

    With `update_after="time"`, which a clock makes of "step", updates run in slices: one real step's updates at a time,
    as long as the last ticks taught that there is time.  Those that are still owed run at the episode's end.  With
    "background" a thread runs them, and `ask` never waits for it.  With "episode" they run at the episode's end alone.
    `learn` keeps the pace itself; around `ask` and `tell` your own program does.
    Raises ConfigError where a number is not one.
    """

    period: float
    """Seconds from one action to the next."""
    tolerance: float = 0.1
    """A tick counts as missed where its action is later than this share of a period."""

    def __post_init__(self):
        if finite("Clock(period)", self.period) <= 0:
            raise ConfigError(f"Clock(period) is {self.period}; it must be above 0 seconds")
        if self.period > LONGEST:
            raise ConfigError(f"Clock(period) is {self.period}; it must be at most {LONGEST:,.0f} seconds, a day")
        if not 0 <= finite("Clock(tolerance)", self.tolerance) <= 1:
            raise ConfigError(f"Clock(tolerance) is {self.tolerance}; it must lie in [0, 1]")

    @classmethod
    def of(cls, written: WrittenClock) -> "Clock":
        """Return the clock that a configuration describes."""
        return cls(written.period, written.tolerance)

    def written(self) -> WrittenClock:
        """Return what config.json says of it."""
        return WrittenClock(self.period, self.tolerance)


class Ticks:
    """Follows the calls of a loop: ask begins a tick, then the machine moves, then tell learns from the outcome.

    now, sleep: clock of the system in seconds, and waiting, which tests replace.
    """

    def __init__(
        self,
        clock: Clock,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
    ):
        self.clock, self._now, self._sleep = clock, now, sleep
        self.ours = self.machine = 0  # ticks missed, by cause
        self._start: float | None = None  # of the tick in progress; None before the first one of an episode
        self._acted = self._outcome = self._done = 0.0
        self._reserve = RESERVED * clock.period
        self._calm, self._relaxes_in = CALM[0], 0  # ticks in time until the reserve may shrink; how many are left
        self._pauses: deque[float] = deque(maxlen=PAUSES)
        self._slices: deque[float] = deque(maxlen=SLICES)
        self._without, self._patience = 0, PATIENCE[0]  # ticks without a slice, though there was some time
        self._moves: deque[float] | None = deque(maxlen=JUDGED)  # seconds that the machine took; None: reported

    def wait(self) -> None:
        """Wait until the next tick begins, where the loop is ours."""
        if self._start is not None and (left := self._start + self.clock.period - self._now()) > 0:
            self._sleep(left)

    def asked(self) -> None:
        """Begin a tick, and judge whether it began in time."""
        now = self._now()
        if self._start is not None:
            self._judge(now, now - self._start)
        self._start = now

    def acted(self) -> None:
        """Note that the action is known: now the machine moves."""
        self._acted = self._now()

    def outcome(self) -> None:
        """Note that the machine has moved."""
        self._outcome = self._now()
        if self._moves is not None:
            self._moves.append(self._outcome - self._acted)

    def done(self, last: bool) -> None:
        """Note that learning has ended for this tick.  last: the episode ended, and the pace with it."""
        self._done = self._now()
        if last:
            self._start = None

    def leave(self) -> None:
        """End the pace: an episode was left."""
        self._start = None

    def fits(self) -> bool:
        """Return whether another slice fits into the tick."""
        if self._start is None:
            return False
        left = self._start + self.clock.period - self._reserve - self._now()
        if max(self._slices, default=0.0) <= left:
            self._without = 0
            return True
        self._without += left > 0
        if self._without >= self._patience:  # one slow slice, such as the first, must not end learning within ticks
            self._slices.remove(max(self._slices))
            self._without, self._patience = 0, min(2 * self._patience, PATIENCE[1])
        return False

    def timed(self, slice_of_learning: Callable[[], object]) -> None:
        """Run a slice, and remember how long it took."""
        began = self._now()
        slice_of_learning()
        self._slices.append(self._now() - began)

    def too_short(self) -> str | None:
        """Return, once, a sentence where the machine alone takes longer than the period; else None."""
        if self._moves is None or len(self._moves) < JUDGED:
            return None
        middle = sorted(self._moves)[JUDGED // 2]
        if middle <= self.clock.period:
            return None
        self._moves = None
        return (
            f"a step of the machine takes {1e3 * middle:.3g} ms at the median, more than the period of "
            f"{1e3 * self.clock.period:.3g} ms, so every tick is missed: give a period of {1.2 * middle:.2g} s or more"
        )

    def _judge(self, now: float, total: float) -> None:
        period, late = self.clock.period, (1.0 + self.clock.tolerance) * self.clock.period
        moved, pause = max(0.0, self._outcome - self._acted), max(0.0, now - self._done)
        assert self._start is not None
        told, until_told = self._done >= self._start, self._done - self._start
        if told:
            self._pauses.append(pause)
        if total <= late:
            self._relaxes_in = max(0, self._relaxes_in - 1)
            if not self._relaxes_in:
                self._reserve = max(RELAX * self._reserve, LEAST * period)
            return
        # Ours where our calls alone used up the tick.  Also where the rest would have been in time without them, unless
        # they left the program the time that it needs: then it woke up late.
        left_enough = until_told + min(self._pauses, default=pause) <= late
        ours = told and moved <= period and (until_told > period or (moved + pause <= period and not left_enough))
        missed = max(1, int(total / period) - 1)
        if ours:
            self.ours += missed
            self._reserve = min(1.5 * self._reserve + LEAST * period, MOST_RESERVED * period)
            self._relaxes_in, self._calm = self._calm, min(2 * self._calm, CALM[1])
        else:
            self.machine += missed
