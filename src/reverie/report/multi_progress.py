"""Progress of many cells: on a terminal a bar for all of them and one per running cell, elsewhere lines in a log."""

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
    """Finished and running cells, on stderr.

    costs: estimated seconds of each cell's remaining work; corrected by the time that finished work took.
    begun: episodes that a cell had already done before.
    quiet: show nothing.
    """

    def __init__(
        self, costs: Mapping[Key, float], begun: Mapping[Key, int] = MappingProxyType({}), quiet: bool = False
    ):
        self._costs, self._begun = dict(costs), begun
        self._done: dict[Key, float] = dict.fromkeys(costs, 0.0)  # shares of each cell's work
        self._ended, self._began = 0, time.monotonic()
        self._tasks: dict[Key, Any] = {}
        self._bars: Progress | None = None
        self._quiet = quiet
        if sys.stderr.isatty() and not quiet:
            columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}")
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._all = self._bars.add_task(self._head(), total=sum(self._costs.values()), status="")
            self._bars.start()

    def score(self, key: Key, episode: int, episodes: int, value: float | None) -> None:
        """Show that a cell has reached `episode` of `episodes` (or step of steps), with this score; None: none yet."""
        if self._done[key] == 1.0:  # a late message of a cell that has ended
            return
        # the share stays at least 0 where a cell lost its earlier work and starts again
        before = self._begun.get(key, 0)
        self._done[key] = max(0, episode - before) / max(1, episodes - before)
        if self._bars is None:
            return
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task("", total=episodes, status="")
        words = " ".join(map(str, key))
        status = f"{episode}/{episodes}" + ("" if value is None else f"  {value:.4g}")
        self._bars.update(self._tasks[key], description=words, completed=episode, status=status)
        self._show_all()

    def end(self, key: Key, words: str) -> None:
        """Show that a cell has ended, and how."""
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
        """Remove the bars."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    @property
    def left(self) -> str:
        """The time left, in words."""
        seconds = self._guess()
        return f"about {duration(seconds)} left" if seconds else ""

    def _guess(self) -> float | None:
        """Return the seconds left: the estimate for what is left, scaled by the error of the estimate so far."""
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
