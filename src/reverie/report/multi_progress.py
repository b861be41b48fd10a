"""The progress of many cells at once: a bar for all with the time left and one for each at work, or lines in a log."""

import sys
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from reverie.core.words import count

Key = tuple[Any, ...]


class MultiProgress:
    """Cells done and under way, on stderr.

    costs: a guess of seconds for what is still to come of each cell, which is mended by what the time tells.
    begun: episodes that a cell had behind it before.
    quiet: show nothing.
    """

    def __init__(
        self, costs: Mapping[Key, float], begun: Mapping[Key, int] = MappingProxyType({}), quiet: bool = False
    ):
        self._costs, self._begun = dict(costs), begun
        self._done: dict[Key, float] = dict.fromkeys(costs, 0.0)  # shares
        self._ended, self._began = 0, time.monotonic()
        self._tasks: dict[Key, Any] = {}
        self._bars: Progress | None = None
        self._quiet = quiet
        if sys.stderr.isatty() and not quiet:
            columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}")
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._all = self._bars.add_task(self._head(), total=sum(self._costs.values()), status="")
            self._bars.start()

    def score(self, key: Key, episode: int, episodes: int, value: float) -> None:
        """Show that a cell has come to `episode` of `episodes`, with that score."""
        if self._done[key] == 1.0:  # told late: it ended
            return
        before = self._begun.get(key, 0)  # where what it had was lost, and it begins again, no share is below 0
        self._done[key] = max(0, episode - before) / max(1, episodes - before)
        if self._bars is None:
            return
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task("", total=episodes, status="")
        words = " ".join(map(str, key))
        self._bars.update(
            self._tasks[key], description=words, completed=episode, status=f"{episode}/{episodes}  {value:.4g}"
        )
        self._show_all()

    def end(self, key: Key, words: str) -> None:
        """Show that a cell ended, and how."""
        self._done[key] = 1.0
        self._ended += 1
        line = "; ".join(filter(None, (f"{self._head()}  {' '.join(map(str, key))}: {words}", self.left)))
        if self._bars is None:
            if not self._quiet:
                print(line, file=sys.stderr, flush=True)
            return
        if key in self._tasks:
            self._bars.remove_task(self._tasks.pop(key))
        self._bars.console.print(line, highlight=False, markup=False)
        self._show_all()

    def stop(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    @property
    def left(self) -> str:
        """The time left, in words."""
        seconds = self._guess()
        return f"about {duration(seconds)} left" if seconds else ""

    def _guess(self) -> float | None:
        """Return the seconds left: what the guesses say of what is left, mended by what they said of what is done."""
        done = sum(self._costs[key] * share for key, share in self._done.items())
        if not done:
            return None
        return (sum(self._costs.values()) - done) * (time.monotonic() - self._began) / done

    def _head(self) -> str:
        return f"{self._ended}/{count(len(self._costs), 'cell')}"

    def _show_all(self) -> None:
        done = sum(self._costs[key] * share for key, share in self._done.items())
        assert self._bars is not None
        self._bars.update(self._all, description=self._head(), completed=done, status=self.left)


def duration(seconds: float) -> str:
    """Return a time in words: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
