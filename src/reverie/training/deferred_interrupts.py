"""Handlers for Ctrl-C, SIGTERM and SIGHUP that only set a flag, since an exception must not pass through compiled code.

If a handler raises beneath an import or JAX's compiler, the process aborts.  So handlers raise in two places only:

- in a call into a user's environment that takes unusually long after a signal, or longer than the limit of
  `hang_guard` (`environments.blocking_calls`);
- at the second signal, where no command line says what else to do.

A thread watches as well, since the main thread may spend long in compiled code, or in an environment that swallows
exceptions.  Where a command line says how, that thread ends the process at once.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType

from reverie.core.interrupts import FLAG, Interrupted, raise_if_interrupted
from reverie.environments.blocking_calls import CALLS_UNDER_WAY, Hung
from reverie.training.signal_handlers import HANG_UP, STOPPING, Handler, InstalledHandlers, stopping_signals

NUDGE = getattr(signal, "SIGURG", None)  # sent by the watching thread to the main one; ignored by default
AGAIN = 0.1  # seconds: two signals closer than this count as one, because `timeout` and other wrappers send it twice
LOOK = 0.25  # seconds between checks of the watching thread
CLEAN_UP = 1.0  # seconds in which interrupted code can close connections and pools before it is interrupted again
GIVE_UP = 5.0  # seconds of fruitless interrupts of an overdue call; then the process ends at once
BACKSTOP = 8.0  # seconds in which our own code must reach a safe point, after a signal or after an environment's call

AtOnce = Callable[[], object]  # ends the process


@contextlib.contextmanager
def deferred_interrupts(stop: Callable[[], object]) -> Generator[None]:
    """Call `stop` on the first interrupt before or inside the block, and raise KeyboardInterrupt at the block's end.

    A second interrupt raises at once, or ends the process where `install` was told how.
    Does nothing outside the main thread, where Python delivers no signals.
    """
    with handling():
        if FLAG.asked:
            stop()
        FLAG.listeners.append(stop)
        try:
            yield
        finally:
            FLAG.listeners.remove(stop)
        raise_if_interrupted()


@contextlib.contextmanager
def handling(at_once: AtOnce | None = None) -> Generator[None]:
    """Let signals set the flag within the block.  Does nothing in a nested block or outside the main thread."""
    if FLAG.handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    give_back = install(at_once)
    try:
        yield
    finally:
        give_back()


def install(at_once: AtOnce | None = None) -> Callable[[], None]:
    """Let signals set the flag from now on; return a function that restores the old handlers and clears the flag.

    Call it in the main thread.  at_once: ends the process at the second signal, or after a first one that has no
    effect; by default the second signal raises KeyboardInterrupt.
    """
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if not first:
            first.append(time.monotonic())
            FLAG.ask(time.monotonic())
        # a hang-up comes twice, from the shell and from the system
        elif number != HANG_UP and time.monotonic() - first[0] > AGAIN:
            if at_once is None:
                raise KeyboardInterrupt
            at_once()

    ours: dict[int, Handler] = dict.fromkeys(stopping_signals(), handle)
    if NUDGE is not None:
        ours[NUDGE] = lambda number, frame: _end_wait(frame)
    held = InstalledHandlers(ours, for_all=at_once is not None)
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
    """Raise Interrupted in an overdue call of a user's environment, or Hung in one that is beyond its limit.

    Does nothing beneath JAX or an import, since the process would abort.
    """
    now = time.monotonic()
    asked = FLAG.asked and CALLS_UNDER_WAY.overdue(now) > 0
    if not (asked or CALLS_UNDER_WAY.hanging(now) > 0) or now < CALLS_UNDER_WAY.interrupted + CLEAN_UP:
        return
    while frame is not None and not (module := _module(frame)).startswith("reverie.environments."):
        if module.startswith(("jax.", "jaxlib.", "importlib.")):
            return
        frame = frame.f_back
    if frame is not None:
        CALLS_UNDER_WAY.interrupted, CALLS_UNDER_WAY.hung = now, not asked
        raise Interrupted if asked else Hung


def _module(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__')}."


class _Watch:
    """A thread that receives each signal, whatever the main thread is doing."""

    def __init__(self, at_once: AtOnce | None):
        self._at_once, self._main = at_once, threading.get_ident()
        self._first: float | None = None  # when the first signal was received here
        self._well = 0.0  # when a call into an environment was last in progress
        self._over = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, daemon=True, name="reverie-signals")
        self._thread.start()

    def _run(self) -> None:
        # This thread receives signals that an environment masks in the main thread; Python runs the handler in either
        # case.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOPPING, signal.SIGURG))
        while not self._over:
            numbers, now = self._heard(), time.monotonic()
            if any(number in STOPPING for number in numbers):
                FLAG.ask(now)
                self._count(numbers, now)
            if FLAG.asked:
                self._hurry(now)
            elif (late := CALLS_UNDER_WAY.hanging(now)) > 0:
                CALLS_UNDER_WAY.give_up() if late > GIVE_UP else self._nudge()

    def _heard(self) -> bytes:
        """Return the signals that arrived, or none after a timeout.

        A timeout is needed because an environment may have taken the wakeup descriptor.
        """
        import select

        try:
            if not select.select([self._reading], [], [], LOOK)[0]:
                return b""
            return os.read(self._reading, 64)
        except (OSError, ValueError):  # or it closed every file
            time.sleep(LOOK)
            return b""

    def _count(self, numbers: bytes, now: float) -> None:
        """End the process at the second signal."""
        if self._first is None:
            self._first = now
        elif now - self._first > AGAIN and self._at_once is not None and any(n != HANG_UP for n in numbers):
            self._at_once()

    def _hurry(self, now: float) -> None:
        """Interrupt an overdue call; end the process where that has no effect."""
        late = CALLS_UNDER_WAY.overdue(now)
        if CALLS_UNDER_WAY.call is not None:
            self._well, in_vain = now, late > GIVE_UP
        else:
            in_vain = now - max(self._well, FLAG.since) > BACKSTOP
        if in_vain and self._at_once is not None:
            self._at_once()
        elif late > 0:
            self._nudge()

    def _nudge(self) -> None:
        # ends a system call that waits, unless the signal is masked there
        signal.pthread_kill(self._main, signal.SIGURG)
        signal.raise_signal(signal.SIGURG)  # lets the main thread run the handler as soon as it can

    def listen(self) -> None:
        """Receive signals again, unless another library (an event loop) does."""
        with contextlib.suppress(OSError, ValueError):
            if (now := signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)) not in (-1, self._writing):
                signal.set_wakeup_fd(now)

    def stop(self) -> None:
        """End the thread."""
        self._over = True
        with contextlib.suppress(OSError, ValueError):
            if (now := signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)) not in (-1, self._writing):
                signal.set_wakeup_fd(now)  # an event loop has installed its own meanwhile
            os.write(self._writing, b"\0")
        self._thread.join()
        for end in (self._writing, self._reading):
            with contextlib.suppress(OSError):
                os.close(end)


def _forget_in_child() -> None:
    """Restore default signal handling in a forked process, and ignore Ctrl-C, which the parent receives and handles."""
    if FLAG.handled:
        FLAG.handled = FLAG.asked = False
        CALLS_UNDER_WAY.reset()
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for number in stopping_signals():
                if number != signal.SIGINT:
                    signal.signal(number, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
