"""The progress of what takes long: a bar with time left on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from reverie.training.callbacks import Began, Compiling, Ended, Evaluated, Event, Noticed, StepEnded

LOG_SECONDS = 10.0  # between lines where stderr is no terminal
DRAW_SECONDS = 0.1
SETTLED_SECONDS = 1.0  # after the first step, until a rate means something


class Countdown:
    """Steps done and time left, on stderr: a bar on a terminal, a line now and then elsewhere.

    The rate is that of the steps after the first: that one waits for compilers, and tells nothing of the others.

    name: shown before the bar; goal: steps in all, None where nobody knows; first: steps done before.
    """

    def __init__(self, name: str, goal: int | None, first: int = 0):
        self._bar: Bar | None = None
        self._goal, self._shown = goal, time.monotonic()
        self._clock: tuple[int, float] | None = None  # step and time.monotonic() once the first step is done
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn(name),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("steps", total=goal, completed=first, status="")
            self._bar.start()

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Show what is done before the next step, at once."""
        if self._bar is not None:
            self._bar.update(self._task, status=text)
            self._bar.refresh()
        else:
            print(text, file=sys.stderr, flush=True)

    def tell(self, text: str) -> None:
        """Print a line that stays, above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def show(self, step: int, status: Callable[[], str] = str) -> None:
        """Show that `step` steps are done, with what `status` returns, unless that was shown just now."""
        now = time.monotonic()
        if self._clock is None:
            self._clock = step, now
        if now - self._shown < (LOG_SECONDS if self._bar is None else DRAW_SECONDS):
            return
        self._shown = now
        first, began = self._clock
        rate = (step - first) / (now - began) if now - began >= SETTLED_SECONDS else 0.0  # 0: not known yet
        text = f"{rate:{'.0f' if rate >= 100 else '.3g'}} steps/s  {status()}" if rate else status()
        if self._bar is not None:
            self._bar.update(self._task, completed=step, status=text)
            return
        left = f"{(self._goal - step) / rate:.0f} s left" if self._goal and rate else ""
        print(f"step {step}/{self._goal or '?'}  {text}{left}".rstrip(), file=sys.stderr, flush=True)


class Progress:
    """A callback of `Learner.learn` that shows on stderr where learning stands: steps/s, return, loss, time left."""

    def __init__(self):
        self._countdown: Countdown | None = None
        self._evaluated, self._told_of_cuts = "", False

    def __call__(self, learner: Any, event: Event) -> None:
        """See the class."""
        if isinstance(event, Began):
            self._countdown = Countdown(f"{learner.config.name} {learner.spec.name}", event.goal, event.step)
        elif isinstance(event, Compiling) and self._countdown is not None:
            self._countdown.say("compiling what learning will call")
        elif isinstance(event, Ended) and self._countdown is not None:
            self._countdown.stop()
        elif isinstance(event, Evaluated):
            self._evaluated = f"evaluated {event.row['return_mean']:.4g}  "
            if event.cut and not self._told_of_cuts:
                self._told_of_cuts = True
                print(f"step {event.row['step']}: {event.cut}", file=sys.stderr, flush=True)
        elif isinstance(event, Noticed) and self._countdown is not None:
            self._countdown.tell(f"step {event.step}: {event.text}")
        elif isinstance(event, StepEnded) and self._countdown is not None:
            self._countdown.show(event.step, lambda: self._status(learner))

    def _status(self, learner: Any) -> str:
        recent = list(learner.recent_returns)[-10:]
        shown = f"return {sum(recent) / len(recent):.4g}  " if recent else ""
        loss = f"loss {learner.newest_metrics['loss']:.3g}  " if "loss" in (learner.newest_metrics or {}) else ""
        ills = "".join(f"! {kind}  " for kind in learner.ills)
        return f"{shown}{self._evaluated}{loss}{ills}"
