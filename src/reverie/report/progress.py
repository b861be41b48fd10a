"""The progress of learning: a bar with time left on a terminal, a line now and then in a log."""

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from reverie.loops.callbacks import Began, Ended, Evaluated, Event, StepEnded

LOG_SECONDS = 10.0  # between lines where stderr is no terminal
DRAW_SECONDS = 0.1


class Progress:
    """A callback of `Learner.learn` that shows on stderr where learning stands: steps/s, return, loss, time left."""

    def __init__(self):
        self._bar: Bar | None = None
        self._evaluated = ""

    def __call__(self, learner: Any, event: Event) -> None:
        """See the class."""
        if isinstance(event, Began):
            self._begin(learner, event)
        elif isinstance(event, Ended):
            self._stop()
        elif isinstance(event, Evaluated):
            self._evaluated = f"evaluated {event.row['return_mean']:.4g}  "
        elif isinstance(event, StepEnded):
            self._show(learner, event.step)

    def _begin(self, learner: Any, event: Began) -> None:
        self._first, self._goal, self._began = event.step, event.goal, time.monotonic()
        self._shown = self._began
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn(f"{learner.config.name} {learner.spec.name}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("learn", total=event.goal, completed=event.step, status="")
            self._bar.start()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, learner: Any, step: int) -> None:
        now = time.monotonic()
        if now - self._shown < (LOG_SECONDS if self._bar is None else DRAW_SECONDS):
            return
        self._shown = now
        rate = (step - self._first) / max(now - self._began, 1e-9)
        recent = list(learner.recent_returns)[-10:]
        shown = f"return {sum(recent) / len(recent):.4g}  " if recent else ""
        loss = f"loss {learner.newest_metrics['loss']:.3g}  " if learner.newest_metrics else ""
        status = f"{rate:.0f} steps/s  {shown}{self._evaluated}{loss}"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, status=status)
            return
        left = f"{(self._goal - step) / max(rate, 1e-9):.0f} s left" if self._goal else ""
        print(f"step {step}/{self._goal or '?'}  {status}{left}", file=sys.stderr, flush=True)
