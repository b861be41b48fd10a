"""Rows of episodes.csv, computed from journal records alone, so that the table can always be rebuilt."""

from typing import Any

import numpy as np

from reverie.storage import tables
from reverie.storage.experience import ENDS, TERMINATED, TRUNCATED

COLUMNS = {
    "step": tables.whole,
    "episode": tables.whole,
    "return": tables.number,
    "length": tables.whole,
    "terminated": tables.flag,
    "truncated": tables.flag,
    "seconds": tables.number,
}


class EpisodeSummary:
    """Sums up one episode at a time from its steps."""

    def __init__(self):
        self.total, self.length, self.started = 0.0, 0, 0.0

    def add(self, step: int, time: float, episode: int, flags: int, reward: float) -> dict[str, Any] | None:
        """Add one step; return the episode's row if this was its last step, else None."""
        if self.length == 0:
            self.started = time
        self.total += reward
        self.length += 1
        return self.close(step, time, episode, flags) if flags & ENDS else None

    def close(self, step: int, time: float, episode: int, flags: int = 0) -> dict[str, Any]:
        """Return the row of the episode so far and start the next one; without flags the episode was cut off."""
        row = {
            "step": step,
            "episode": episode,
            "return": self.total,
            "length": self.length,
            "terminated": int(bool(flags & TERMINATED)),
            "truncated": int(bool(flags & TRUNCATED)),
            "seconds": round(max(0.0, time - self.started), 3),
        }
        self.__init__()
        return row


def rows_of(
    records: np.ndarray, env_count: int = 1, aborted: frozenset[tuple[int, int]] = frozenset()
) -> list[dict[str, Any]]:
    """Return the rows of all episodes in `records`, whose steps `env_count` environments took in turn.

    aborted: (last step, episode) of episodes that were aborted, which counts as truncated.
    An episode without an end that another one follows in its environment was cut off.  The last episode of each
    environment has no row before it ends.
    """
    tallies, rows = [EpisodeSummary() for _ in range(env_count)], []
    before: list[tuple[int, float, int] | None] = [None] * env_count
    columns = zip(*(records[name].tolist() for name in ("step", "time", "episode", "flags", "reward")), strict=True)
    for number, (step, time, episode, flags, reward) in enumerate(columns):
        turn = number % env_count
        last = before[turn]
        if last is not None and tallies[turn].length and episode != last[2]:
            rows.append(tallies[turn].close(*last))
        flags |= TRUNCATED * ((step, episode) in aborted and not flags & ENDS)
        if row := tallies[turn].add(step, time, episode, flags, reward):
            rows.append(row)
        before[turn] = (step, time, episode)
    return rows
