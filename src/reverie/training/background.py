"""Updates in a thread of their own, so that acting never waits for one."""

import contextlib
import threading
from collections.abc import Callable, Generator


class BackgroundUpdates:
    """Runs `update` in a thread whenever `owed` says that updates are owed.

    update: runs one of them, and counts it.  The compiled update lets other threads run meanwhile.
    """

    def __init__(self, update: Callable[[], None], owed: Callable[[], int]):
        self._update, self._owed = update, owed
        self._changed, self._busy = threading.Condition(), threading.Lock()
        self._closed, self._error, self._pausing = False, None, False
        self._thread: threading.Thread | None = None
        self._error: BaseException | None

    def wake(self) -> None:
        """Say that more updates are owed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reverie updates", daemon=True)
            self._thread.start()
        with self._changed:
            self._changed.notify_all()

    def wait(self) -> None:
        """Return once no update is owed.  Raises what an update raised."""
        with self._changed:
            while self._owed() and self._thread is not None and self._error is None:
                self._changed.wait(0.1)
        self.require_sound()

    def require_sound(self) -> None:
        """Raise what an update raised, if one did."""
        if self._error is not None:
            raise self._error

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Run no update during the block, which begins after the update in progress.  Not to be nested."""
        self._pausing = True  # else the thread would take the lock again at once, as long as updates are owed
        try:
            with self._busy:
                yield
        finally:
            self._pausing = False
            with self._changed:
                self._changed.notify_all()

    def end(self) -> None:
        """Let the thread end after the update in progress."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread after the update in progress, and wait for that."""
        self.end()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (self._pausing or not self._owed()):
                    self._changed.wait(1.0)
                if self._closed:
                    return
            try:
                with self._busy:
                    self._update()
            except BaseException as error:  # raised again in the thread that acts
                self._error = error
            with self._changed:
                self._changed.notify_all()
            if self._error is not None:
                return
