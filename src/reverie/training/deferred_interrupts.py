"""Ctrl-C, SIGTERM and SIGHUP: handlers that only set a flag, since an exception may not pass through compiled code.

An import or JAX's compiler aborts the process where a handler raises beneath it.  So handlers raise in two places alone: in
a call into somebody's environment that outlasts the usual (`environments.foreign`), and, where no command line says what
else to do, at the second signal.  A thread watches too, since the main one may be in compiled code, or in an environment
that swallows exceptions, for long: where a command line says how, it ends the process at once.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from reverie.core.interrupts import FLAG, Interrupted, look
from reverie.environments.blocking_calls import CALLS_UNDER_WAY
from reverie.training.signal_handlers import HANG_UP, STOPPING, Handler, Held, heard

NUDGE = getattr(signal, "SIGURG", None)  # from the watching thread to the main one; the system ignores it by default
AGAIN = 0.1  # seconds: two signals nearer than this are one, which `timeout` and other wrappers send twice
LOOK = 0.25  # seconds between looks of the watching thread
CLEAN_UP = 1.0  # seconds in which what was interrupted closes its connections and pools, before it is interrupted again
GIVE_UP = 5.0  # seconds in which an overdue call is interrupted in vain; then the process ends at once
BACKSTOP = 8.0  # seconds after a signal, or after an environment's call, in which our own code comes to a good moment

AtOnce = Callable[[], object]  # ends the process


@contextlib.contextmanager
def deferred_interrupts(stop: Callable[[], object]) -> Iterator[None]:
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

    at_once: what the second signal does, and a first that nothing else obeys; by default the second raises KeyboardInterrupt.
    """
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if not first:
            first.append(time.monotonic())
            FLAG.ask(time.monotonic())
        elif number != HANG_UP and time.monotonic() - first[0] > AGAIN:  # shell and system both tell of a hang-up
            if at_once is None:
                raise KeyboardInterrupt
            at_once()

    ours: dict[int, Handler] = dict.fromkeys(heard(), handle)
    if NUDGE is not None:
        ours[NUDGE] = lambda number, frame: _end_wait(frame)
    held = Held(ours, for_all=at_once is not None)
    FLAG.handled = True
    watch = None if NUDGE is None else _Watch(at_once)

    def restore() -> None:
        held.restore()
        if watch is not None:
            watch.listen()

    def give_back() -> None:
        CALLS_UNDER_WAY.reset()
        if watch is not None:
            watch.stop()
        held.give_back()
        FLAG.handled = FLAG.asked = False

    CALLS_UNDER_WAY.due, CALLS_UNDER_WAY.restore = 0.0, restore
    return give_back


def _end_wait(frame: FrameType | None) -> None:
    """Raise where this thread waits too long for somebody's environment; beneath JAX or an import not, which would abort."""
    now = time.monotonic()
    if not FLAG.asked or CALLS_UNDER_WAY.overdue(now) <= 0 or now < CALLS_UNDER_WAY.interrupted + CLEAN_UP:
        return
    while frame is not None and not (module := _module(frame)).startswith("reverie.environments."):
        if module.startswith(("jax.", "jaxlib.", "importlib.")):
            return
        frame = frame.f_back
    if frame is not None:
        CALLS_UNDER_WAY.interrupted = now
        raise Interrupted


def _module(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__')}."


class _Watch:
    """A thread that hears of each signal, whatever the main thread does."""

    def __init__(self, at_once: AtOnce | None):
        self._at_once, self._main = at_once, threading.get_ident()
        self._first: float | None = None  # when a signal was heard here
        self._well = 0.0  # when an environment's call was last under way
        self._over = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, daemon=True, name="reverie-signals")
        self._thread.start()

    def _run(self) -> None:
        # Here signals come in where an environment masks them in the main thread; Python does not ask for whom they were meant.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOPPING, signal.SIGURG))
        while not self._over:
            numbers, now = self._heard(), time.monotonic()
            if any(number in STOPPING for number in numbers):
                FLAG.ask(now)
                self._count(numbers, now)
            if FLAG.asked:
                self._hurry(now)

    def _heard(self) -> bytes:
        """Return the signals that came, none after a while: an environment may have taken the wakeup descriptor away."""
        import select

        try:
            if not select.select([self._reading], [], [], LOOK)[0]:
                return b""
            return os.read(self._reading, 64)
        except (OSError, ValueError):  # or have closed every file
            time.sleep(LOOK)
            return b""

    def _count(self, numbers: bytes, now: float) -> None:
        """End the process at the second signal."""
        if self._first is None:
            self._first = now
        elif now - self._first > AGAIN and self._at_once is not None and any(n != HANG_UP for n in numbers):
            self._at_once()

    def _hurry(self, now: float) -> None:
        """Interrupt what is overdue; end the process where that is in vain."""
        late = CALLS_UNDER_WAY.overdue(now)
        if CALLS_UNDER_WAY.call is not None:
            self._well, in_vain = now, late > GIVE_UP
        else:
            in_vain = now - max(self._well, FLAG.since) > BACKSTOP
        if in_vain and self._at_once is not None:
            self._at_once()
        elif late > 0:
            signal.pthread_kill(self._main, signal.SIGURG)  # ends a wait in the system, unless it is masked there
            signal.raise_signal(signal.SIGURG)  # has the main thread run the handler, wherever it comes to one

    def listen(self) -> None:
        """Hear of signals again, unless somebody else does: an event loop."""
        with contextlib.suppress(OSError, ValueError):
            if (now := signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)) not in (-1, self._writing):
                signal.set_wakeup_fd(now)

    def stop(self) -> None:
        """End the thread."""
        self._over = True
        with contextlib.suppress(OSError, ValueError):
            if (now := signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)) not in (-1, self._writing):
                signal.set_wakeup_fd(now)  # an event loop's meanwhile
            os.write(self._writing, b"\0")
        self._thread.join()
        for end in (self._writing, self._reading):
            with contextlib.suppress(OSError):
                os.close(end)


def _forget_in_child() -> None:
    """In a forked process signals mean what they do elsewhere, but for Ctrl-C: the parent hears it too, and ends it well."""
    if FLAG.handled:
        FLAG.handled = FLAG.asked = False
        CALLS_UNDER_WAY.reset()
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for number in heard():
                if number != signal.SIGINT:
                    signal.signal(number, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
