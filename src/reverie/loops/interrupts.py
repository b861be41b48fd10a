"""Ctrl-C and SIGTERM: handlers that only set a flag, since an exception may not pass through compiled code.

An import or JAX's compiler aborts the process where a handler raises beneath it.  So handlers raise in two places alone: in
a call into somebody's environment that outlasts the usual (`environments.foreign`), and, where no command line says what
else to do, at the second signal.  A thread is told of each signal too: the main one may be in compiled code for long.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from reverie.core.interrupts import FLAG, Interrupted, look
from reverie.environments.foreign import UNDER_WAY

STOPPING = (signal.SIGINT, signal.SIGTERM)
NUDGE = getattr(signal, "SIGURG", None)  # from the watching thread to the main one; the system ignores it by default
AGAIN = 0.1  # seconds: two signals nearer than this are one, which `timeout` and other wrappers send twice
LOOK = 0.25  # seconds between looks of the watching thread

AtOnce = Callable[[], object]  # ends the process


@contextlib.contextmanager
def at_a_good_moment(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` on the first interrupt inside the block, or before it, and raise KeyboardInterrupt at its end.

    A second interrupt raises at once, or ends the process where `install` was told how.  Outside the main thread, where
    Python delivers no signals, nothing changes.
    """
    with handling():
        if FLAG.asked:
            stop()
        FLAG.listeners.append(stop)
        try:
            yield
        finally:
            FLAG.listeners.remove(stop)
        look()


@contextlib.contextmanager
def handling(at_once: AtOnce | None = None) -> Iterator[None]:
    """Have signals set the flag within the block.  Nothing changes within another such block, or outside the main thread."""
    if FLAG.handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    give_back = install(at_once)
    try:
        yield
    finally:
        give_back()


def install(at_once: AtOnce | None = None) -> Callable[[], None]:
    """Have signals set the flag from now on; return what gives handlers back and forgets what came.  In the main thread.

    at_once: what the second signal does; by default it raises KeyboardInterrupt.
    """
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not first:
            first.append(time.monotonic())
            FLAG.ask()
        elif time.monotonic() - first[0] > AGAIN:
            if at_once is None:
                raise KeyboardInterrupt
            at_once()

    before = {number: signal.signal(number, handle) for number in STOPPING}
    FLAG.handled = True
    watch = None
    if NUDGE is not None:
        before[NUDGE] = signal.signal(NUDGE, lambda number, frame: _end_wait(first, frame))
        watch = _Watch(at_once)

    def give_back() -> None:
        if watch is not None:
            watch.stop()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        FLAG.handled = FLAG.asked = False
        UNDER_WAY.call = None

    return give_back


def _end_wait(first: list[float], frame: FrameType | None) -> None:
    """Raise in a call of this thread into somebody's environment that is overdue; beneath JAX not, which would abort."""
    call = UNDER_WAY.call
    if not first or call is None or not call.overdue(first[0]):
        return
    while frame is not None and not _module(frame).startswith(("jax.", "jaxlib.", "reverie.environments.")):
        frame = frame.f_back
    if frame is not None and _module(frame).startswith("reverie."):
        raise Interrupted


def _module(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__')}."


class _Watch:
    """A thread that hears of each signal, whatever the main thread does."""

    def __init__(self, at_once: AtOnce | None):
        self._at_once, self._main = at_once, threading.get_ident()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, daemon=True, name="reverie-signals")
        self._thread.start()

    def _run(self) -> None:
        first = None
        while (numbers := self._heard(None if first is None else LOOK)) is not None:
            now = time.monotonic()
            if any(number in STOPPING for number in numbers):
                if first is not None and now - first > AGAIN and self._at_once is not None:
                    self._at_once()
                first = now if first is None else first
            if first is not None and (call := UNDER_WAY.call) is not None and call.overdue(first):
                signal.pthread_kill(self._main, signal.SIGURG)

    def _heard(self, seconds: float | None) -> bytes | None:
        """Return the signals that came, none after `seconds`; None once nobody handles them any more."""
        import select

        if not select.select([self._reading], [], [], seconds)[0]:
            return b""
        return os.read(self._reading, 64) or None

    def stop(self) -> None:
        """End the thread."""
        if (now := signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)) != self._writing:
            signal.set_wakeup_fd(now)  # somebody else's meanwhile, an event loop's
        os.close(self._writing)
        self._thread.join()
        os.close(self._reading)


def _forget_in_child() -> None:
    """In a forked process signals mean what they do elsewhere, but for Ctrl-C: the parent hears it too, and ends it well."""
    if FLAG.handled:
        FLAG.handled = FLAG.asked = False
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
