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


def are_mixed(records: np.ndarray) -> bool:
    """Return whether episodes of several collectors mix in `records`, which no other environments in turns took."""
    return bool((np.diff(records["episode"].astype(np.int64)) < 0).any())


def rows_of(
    records: np.ndarray, env_count: int = 1, aborted: frozenset[tuple[int, int]] = frozenset()
) -> list[dict[str, Any]]:
    """Return the rows of all episodes in `records`, whose steps `env_count` environments took in turn.

    aborted: (last step, episode) of episodes that were aborted, which counts as truncated.
    Episodes of several collectors mix.  An episode without an end was cut off, unless it is that of the last record of
    an environment: this one has no row before it ends, or another one begins.
    """
    tallies: dict[int, EpisodeSummary] = {}
    rows: list[tuple[tuple[int, int], dict[str, Any]]] = []  # with what they are sorted by
    newest: dict[int, tuple[int, float]] = {}  # step and time of the newest record of each episode under way
    columns = zip(*(records[name].tolist() for name in ("step", "time", "episode", "flags", "reward")), strict=True)
    for step, time, episode, flags, reward in columns:
        flags |= TRUNCATED * ((step, episode) in aborted and not flags & ENDS)
        if row := tallies.setdefault(episode, EpisodeSummary()).add(step, time, episode, flags, reward):
            rows.append(((step, 1), row))
            del tallies[episode]
            newest.pop(episode, None)
        else:
            newest[episode] = step, time
    under_way = set(records["episode"][-env_count:].tolist())
    for episode, tally in tallies.items():
        if episode not in under_way:
            step, time = newest[episode]
            # In its place: before the next record of its environment, which begins another episode.
            rows.append(((step + env_count, 0), tally.close(step, time, episode)))
    return [row for _, row in sorted(rows, key=lambda found: found[0])]
