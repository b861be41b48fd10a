"""Signal handlers that stay in place when libraries in environments (event loops, ROS, GUI toolkits) set theirs.

Another handler would end the process without a message, or swallow the signal.  So `signal.signal` keeps ours while a
command line runs.  Handlers set in another way are replaced after each creation and reset of an environment, and at
intervals.
"""

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from reverie.core.errors import ReverieWarning
from reverie.core.interrupts import FLAG
from reverie.environments.blocking_calls import CALLS_UNDER_WAY

HANG_UP = getattr(signal, "SIGHUP", None)  # the terminal, or the connection to it, was closed
STOPPING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None)
EVERY = 0.5  # seconds between checks for other handlers, while no environment is made or reset

Handler = Callable[[int, Any], object]


def stopping_signals() -> tuple[int, ...]:
    """Return the signals that stop learning; a hang-up is left out where it is ignored (`nohup`, `disown -h`)."""
    return tuple(n for n in STOPPING if n != HANG_UP or signal.getsignal(n) is not signal.SIG_IGN)


class InstalledHandlers:
    """Handlers of this process, in place until `give_back`.

    ours: handlers by signal number.  for_all: other code cannot replace them with `signal.signal`.
    """

    def __init__(self, ours: dict[int, Handler], for_all: bool):
        self._ours, self._real, self._has_warned = ours, signal.signal, False
        self._before = {number: signal.signal(number, handler) for number, handler in ours.items()}
        self._main = threading.get_ident()
        if for_all:
            signal.signal = self._signal

    def give_back(self) -> None:
        """Restore the earlier handlers."""
        signal.signal = self._real
        for number, handler in self._before.items():
            self._real(number, signal.SIG_DFL if handler is None else handler)

    def restore(self) -> None:
        """Install ours again where others are.

        Does nothing outside the main thread, where Python cannot set handlers.
        """
        if not FLAG.handled or threading.get_ident() != self._main:
            return
        CALLS_UNDER_WAY.due = time.monotonic() + EVERY
        for number, handler in self._ours.items():
            # Set in any case: the system's own entry may have changed, which Python does not see.
            found = self._real(number, handler)
            if found is not handler:
                self._warn(number, found)

    def _signal(self, number: int, handler: Any) -> Any:
        """Replace `signal.signal`."""
        theirs = callable(handler) or handler in (signal.SIG_DFL, signal.SIG_IGN)
        if not FLAG.handled or number not in self._ours or not theirs or threading.get_ident() != self._main:
            return self._real(number, handler)
        if CALLS_UNDER_WAY.call is not None:
            self._warn(number, handler)
        return self._ours[number]

    def _warn(self, number: int, handler: Any) -> None:
        """Warn once of another handler that will not be called."""
        usual = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, None)
        if self._has_warned or handler in usual:
            return
        self._has_warned = True
        with contextlib.suppress(ReverieWarning):  # where warnings are errors, the caller must not fail
            warnings.warn(
                f"the environment's own handler of {signal.Signals(number).name} is not called: a signal ends the run "
                "after the step and close() is called; put there what has to happen at a stop",
                ReverieWarning,
                stacklevel=3,
            )
