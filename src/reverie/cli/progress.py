"""The progress of learning: a bar with time left on a terminal, a line now and then in a log."""

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from reverie.core.agent import Algorithm
from reverie.loops.callbacks import Evaluated, Event, StepEnded

LOG_SECONDS = 10.0  # between lines where stderr is no terminal
DRAW_SECONDS = 0.1


class Progress:
    """A callback of `Learner.learn` that shows where learning stands, on stderr."""

    def __init__(self, learner: Any, goal: int, options: Any):
        self._quiet = options.quiet
        self._goal, self._first = goal, learner.steps
        self._began = self._shown = time.monotonic()
        config: Algorithm = learner.config
        self._bar = Bar(
            TextColumn(f"{config.name} {options.env}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=options.quiet or not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("learn", total=goal, completed=self._first, status="")
        self._best = ""

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, learner: Any, event: Event) -> None:
        """Show a step now and then."""
        if isinstance(event, Evaluated):
            self._best = f"evaluated {event.row['return_mean']:.4g}  "
        if self._quiet or not isinstance(event, StepEnded):
            return
        now = time.monotonic()
        log = self._bar.disable
        if now - self._shown < (LOG_SECONDS if log else DRAW_SECONDS):
            return
        self._shown = now
        rate = (event.step - self._first) / max(now - self._began, 1e-9)
        recent = list(learner.recent_returns)[-10:]
        shown = f"return {sum(recent) / len(recent):.4g}  " if recent else ""
        metrics = learner.newest_metrics
        loss = f"loss {metrics['loss']:.3g}  " if metrics else ""
        status = f"{rate:.0f} steps/s  {shown}{self._best}{loss}"
        if log:
            left = (self._goal - event.step) / max(rate, 1e-9)
            print(f"step {event.step}/{self._goal}  {status}{left:.0f} s left", file=sys.stderr, flush=True)
        else:
            self._bar.update(self._task, completed=event.step, status=status)
