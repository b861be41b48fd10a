"""Which updates are owed, and when they run: after each step, in slices, after an episode, or in a thread."""

import contextlib
import threading
from collections.abc import Generator
from typing import Protocol

from reverie.core.agent import UpdateAfter
from reverie.training.background import BackgroundUpdates


class Updating(Protocol):
    """What runs updates."""

    def run_update(self) -> None:
        """Start the updates of one real step."""
        ...

    def finish_update(self) -> None:
        """Wait for their end, and accept or undo the result."""
        ...


class OwedUpdates:
    """Counts the real steps whose updates have not run yet, and runs them.

    after: when they run.  trainer: runs them.
    """

    def __init__(self, after: UpdateAfter, trainer: Updating):
        self._after, self._trainer = after, trainer
        self.count = 0
        self.live = False  # whether they wait for a clock, or a thread runs them; False: they run at each step
        self._counting = threading.Lock()
        self._background = BackgroundUpdates(self.run_slice, lambda: self.count) if after == "background" else None

    @property
    def _paced(self) -> bool:
        """Whether updates run between the ticks of a clock, or between episodes."""
        return self.live and self._after != "step"

    @property
    def in_background(self) -> bool:
        """Whether a thread runs them, now."""
        return self._background is not None and self.live

    def owe(self, steps: int) -> None:
        """Owe the updates of so many more steps."""
        with self._counting:
            self.count += steps

    def after_step(self, last: bool) -> None:
        """Run what is due after a step.  last: it ended an episode."""
        at_once = self._after == "step" or (self._after != "episode" and not self.live)
        if last or at_once:
            self.catch_up()
        elif self._background is not None and self.count:
            self._background.wake()

    def catch_up(self) -> None:
        """Run all that are owed."""
        if self._background is not None and self.live and self.count:
            self._background.wake()
            self._background.wait()
        while self.count > 1 or (self.count and not self._paced):
            self._trainer.run_update()
            self.owe(-1)
        if self.count:
            self.run_slice()  # the next `ask`, which begins a tick, must not wait for it

    def run_slice(self) -> None:
        """Run those of one step, and wait for their end."""
        self._trainer.run_update()
        self._trainer.finish_update()
        self.owe(-1)

    def require_sound(self) -> None:
        """Raise what an update in the background raised."""
        if self._background is not None:
            self._background.require_sound()

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Run none in the background during the block."""
        if self._background is None or not self.live:
            yield
        else:
            with self._background.paused():
                yield

    def end(self) -> None:
        """Let the thread end, if there is one, without waiting for it."""
        if self._background is not None:
            self._background.end()

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._background is not None:
            self._background.close()
