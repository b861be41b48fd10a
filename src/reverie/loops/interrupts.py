"""Ctrl-C and SIGTERM end a step, not a sentence in the middle of it."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def at_a_good_moment(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first interrupt inside the block and raise KeyboardInterrupt at its end.

    A second interrupt raises at once.  Outside the main thread, where Python delivers no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    signals = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.getsignal(number) for number in signals}

    def handle(number, frame):
        del frame
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        stop()

    for number in signals:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if caught:
        raise KeyboardInterrupt
