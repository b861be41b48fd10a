"""Progress of long work: a bar with the time left on a terminal, lines in a log elsewhere."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn, Task
from rich.text import Text

from reverie.report.multi_progress import duration
from reverie.training.callbacks import (
    Began,
    Compiling,
    Ended,
    EpisodeEnded,
    Evaluated,
    Event,
    Noticed,
    Pretraining,
    StepEnded,
)

LOG_SECONDS = 10.0  # between lines, where stderr is not a terminal
DRAW_SECONDS = 0.1
SETTLED_SECONDS = 1.0  # after the first step, before a rate is shown
SHORTEST_BAR, LONGEST_BAR = 8, 40  # characters
GAP = "  "  # between the parts of a line
COMPILING, PRETRAINING = "compiling …", "learning from the log …"

Status = Callable[[str], Sequence[str]]


class Countdown:
    """Work done and time left, on stderr: a bar on a terminal, a line at intervals elsewhere.

    The rate leaves out the first step, which waits for compilers.
    name: shown if there is room.  goal: steps (or episodes) in all; None: unknown.
    first: number already done.  unit: what is counted.
    """

    def __init__(self, name: str, goal: int | None, first: int = 0, unit: Literal["step", "episode"] = "step"):
        self._name, self._goal, self._unit = name, goal, unit
        self._bar: Bar | None = None
        self._shown = time.monotonic()
        self._done = first
        self._steps = first  # also counted where the unit is episodes
        self._clock: tuple[int, int, float] | None = None  # (done, steps, time.monotonic()) after the first step
        self._counted = 0.0  # time.monotonic() when the counted number last rose
        self._parts: Sequence[str] = ()
        if sys.stderr.isatty():
            console = Console(stderr=True)
            self._bar = Bar(_Line(self, console), console=console, transient=True)
            self._task = self._bar.add_task("", total=goal)
            self._bar.start()

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Show at once what happens before the next step."""
        if self._bar is not None:
            self._parts = [text]
            self._bar.refresh()
        else:
            print(text, file=sys.stderr, flush=True)

    def tell(self, text: str) -> None:
        """Print a line above the bar that stays."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def show(self, done: int, status: Status = lambda rate: [rate], steps: int | None = None) -> None:
        """Show that `done` units are done, with the parts that `status` returns, unless the last update is too recent.

        status: the rate in words -> parts of the line, the most important first.  steps: real steps done, where
            episodes are counted.
        """
        now, self._steps = time.monotonic(), done if steps is None else steps
        if self._clock is None:
            self._clock = done, self._steps, now
        if done != self._done:
            self._done, self._counted = done, now
        if now - self._shown < (LOG_SECONDS if self._bar is None else DRAW_SECONDS):
            return
        self._shown, self._parts = now, [part for part in status(self._rate(now)) if part]
        if self._bar is None:
            head, _, left = self._essentials()
            parts = [f"{self._unit} {head}", *self._parts, left]
            print(GAP.join(filter(None, parts)), file=sys.stderr, flush=True)

    def line(self, width: int) -> tuple[str, int, str]:
        """Return (text before the bar, length of the bar, text after it) for a line of `width` characters.

        The number done, its share and the time left always appear.  If there is room, the parts of the status, the bar
        and the name follow, in this order.
        """
        head, share, left = self._essentials()
        head = head if self._unit == "step" else f"{self._unit} {head}"
        room = width - cell_len(GAP.join(filter(None, (head, share, left))))
        shown: list[str] = []
        for part in self._parts:
            if cell_len(GAP + part) <= room:
                shown.append(part)
                room -= cell_len(GAP + part)
        length = min(room - len(GAP), LONGEST_BAR) if self._goal else 0
        if length < SHORTEST_BAR:
            length = 0
        else:
            room -= length + len(GAP)
        before = self._name + GAP + head if cell_len(self._name + GAP) <= room else head
        return before, length, GAP.join(filter(None, (share, *shown, left)))

    @property
    def share(self) -> float:
        """Share of the work done, from 0 to 1; 0 where the goal is unknown."""
        return min(1.0, self._done / self._goal) if self._goal else 0.0

    def _essentials(self) -> tuple[str, str, str]:
        """Return the number done, its share, and the time left; "" where unknown."""
        left = self._left(time.monotonic())
        share = f"{int(100 * self.share)} %" if self._goal else ""
        return f"{self._done}/{self._goal or '?'}", share, "" if left is None else f"{duration(left)} left"

    def _rate(self, now: float) -> str:
        """Return the steps per second since the first step, or "" where it is too early."""
        if self._clock is None or now - self._clock[2] < SETTLED_SECONDS:
            return ""
        rate = (self._steps - self._clock[1]) / (now - self._clock[2])
        return f"{rate:{'.0f' if rate >= 100 else '.3g'}} steps/s" if rate else ""

    def _left(self, now: float) -> float | None:
        """Return the seconds left, or None where unknown."""
        if self._clock is None or not self._goal or now - self._clock[2] < SETTLED_SECONDS:
            return None
        done = self._done - self._clock[0]
        if done <= 0:
            return None
        each = (self._counted - self._clock[2]) / done
        return max(0.0, (self._goal - self._done) * each - (now - self._counted))


class _Line(ProgressColumn):
    """The whole line, at the terminal's present width, since rich's own columns would truncate each other."""

    def __init__(self, countdown: Countdown, console: Console):
        super().__init__()
        self._countdown, self._console = countdown, console

    def render(self, task: Task) -> Text:
        """Return the line."""
        del task
        before, length, after = self._countdown.line(self._console.width)
        done = round(length * self._countdown.share)
        full, empty = ("#", "-") if self._console.options.ascii_only else ("━", "━")
        bar = [GAP, (full * done, "bar.complete"), (empty * (length - done), "bar.back")] if length else []
        return Text.assemble(before, *bar, GAP, after, no_wrap=True, overflow="crop")


class Progress:
    """A callback of `Learner.learn` that shows progress on stderr: steps/s, return, loss, time left."""

    def __init__(self):
        self._countdown: Countdown | None = None
        self._counts_episodes, self._episodes = False, 0
        self._evaluated, self._cuts_shown = "", False

    def __call__(self, learner: Any, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Began):
            self._begin(f"{learner.config.name} {learner.spec.name}", event)
        elif isinstance(event, Evaluated):
            self._evaluated = f"evaluated {event.row['return_mean']:.4g}"
            if event.cut and not self._cuts_shown:
                self._cuts_shown = True
                print(f"step {event.row['step']}: {event.cut}", file=sys.stderr, flush=True)
        elif self._countdown is not None:
            self._show(learner, event, self._countdown)

    def _begin(self, name: str, event: Began) -> None:
        self._counts_episodes, self._episodes = event.episodes is not None, 0
        if self._counts_episodes:
            self._countdown = Countdown(name, event.episodes, unit="episode")
        else:
            self._countdown = Countdown(name, event.goal, event.step)

    def _show(self, learner: Any, event: Event, countdown: Countdown) -> None:
        if isinstance(event, Compiling):
            countdown.say(COMPILING)
        elif isinstance(event, Pretraining):
            countdown.say(PRETRAINING)
        elif isinstance(event, Ended):
            countdown.stop()
        elif isinstance(event, Noticed):
            countdown.tell(f"step {event.step}: {event.text}")
        elif isinstance(event, EpisodeEnded):
            self._episodes += 1
            if self._counts_episodes:
                countdown.show(self._episodes, partial(self._status, learner), learner.steps)
        elif isinstance(event, StepEnded):
            done = self._episodes if self._counts_episodes else event.step
            countdown.show(done, partial(self._status, learner), event.step)

    def _status(self, learner: Any, rate: str) -> list[str]:
        """Return problems, rate, return, loss and evaluation, where known."""
        recent = list(learner.recent_returns)[-10:]
        metrics = learner.newest_metrics or {}
        return [
            *(f"! {kind}" for kind in learner.problems),
            rate,
            f"return {sum(recent) / len(recent):.4g}" if recent else "",
            f"loss {metrics['loss']:.3g}" if "loss" in metrics else "",
            self._evaluated,
        ]
