"""Transitions that no sensor can have meant, far beyond all others, are set aside: others stand for them in replay.

One such row in a minibatch makes gradients so large that the running mean of their squares, by which Adam divides, stays
large for as long as a run may last: the weights behind it hardly move again.
"""

from typing import NamedTuple

import numpy as np

from reverie.core.finite import all_within
from reverie.data.replay import Replay

LARGE = 5e5  # smaller numbers are never looked at twice
FAR = 5e5  # times what is usual for an observation
FAR_REWARD = 1e12  # rewards may be rare and large
SAMPLE = 256  # rows that tell what is usual
ALLOWED = 10, 0.01  # rows, and share of all: what comes more often is no fault of a sensor


def limits(rows: np.ndarray, far: float = FAR) -> np.ndarray:
    """Return how large each column of rows [N, width] may be: `far` times its median size, or `far` where that is below 1.

    The lower median of two: of a good number and an absurd one, the good one tells what is usual.
    """
    spread = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int)]
    middle = np.sort(np.abs(spread.astype(float)), axis=0)[(len(spread) - 1) // 2]
    return far * np.maximum(1.0, middle)


def may_set_aside(before: int, more: int, seen: int) -> bool:
    """Return whether `more` rows may follow the `before` that were set aside, of so many `seen`."""
    most, share = ALLOWED
    return before + more <= most + share * seen


def without_outliers(rows: np.ndarray, before: list[np.ndarray], observation_dim: int, action_dim: int) -> np.ndarray:
    """Return packed transitions `rows` [N, width] but for those that are far off among all, `before` too; one at least."""
    every = np.concatenate([*before, rows])
    if np.abs(every).max() <= LARGE:
        return rows
    far = np.any(np.abs(every) > row_limits(every, observation_dim + action_dim), axis=1)
    if far.all() or not may_set_aside(0, int(far.sum()), len(every)):
        return rows
    kept = rows[~far[-len(rows) :]]
    return kept if len(kept) else every[~far][-1:]


def row_limits(rows: np.ndarray, reward: int) -> np.ndarray:
    """Return how large each number of packed transitions [N, width] may be; reward: its place."""
    found = limits(rows)
    found[reward] *= FAR_REWARD / FAR
    return found


class Found(NamedTuple):
    """What was set aside."""

    steps: list[int]  # from 1 on
    place: int  # within a packed transition, of the number that is farthest off
    size: float  # of that


class Outliers:
    """Watches over a replay of packed transitions.

    pairs: the rows set aside, each with the one that stands for it, by number from 0.  large: whether the replay has held
    a large number.
    """

    def __init__(self, replay: Replay, observation_dim: int, action_dim: int):
        self._replay, self._reward = replay, observation_dim + action_dim
        self.pairs: list[tuple[int, int]] = []
        self.large = False

    def is_large(self, row: np.ndarray) -> bool:
        """Return whether a row holds a large number, and remember it."""
        found = not all_within(row, LARGE)
        self.large |= found
        return found

    def is_far(self, row: np.ndarray) -> bool:
        """Return whether a row of the replay is far off."""
        return bool((np.abs(row) > row_limits(self._replay.rows[: len(self._replay)], self._reward)).any())

    def set_aside(self) -> Found | None:
        """Put the row before it, or the first good one, in the place of each row that is far off."""
        replay, size, capacity = self._replay, len(self._replay), len(self._replay.rows)
        rows = replay.rows[:size]
        sizes = np.abs(rows) / row_limits(rows, self._reward)
        far = (sizes > 1.0).any(axis=1)
        if not far.any() or far.all() or not may_set_aside(len(self.pairs), int(far.sum()), replay.added):
            return None
        first = replay.added - size
        number = first + (np.arange(size) - first) % capacity  # of each row
        place = int(np.argmax(sizes[far].max(axis=0)))
        found = Found(np.sort(number[far] + 1).tolist(), place, float(np.abs(rows[far, place]).max()))
        good = np.sort(number[~far])
        for bad in np.sort(number[far]).tolist():
            stand_in = int(good[max(0, int(np.searchsorted(good, bad)) - 1)])
            rows[bad % capacity] = rows[stand_in % capacity]
            self.pairs.append((bad, stand_in))
        return found

    def restore(self, pairs: list[list[int]], rows: np.ndarray) -> None:
        """Set the same rows aside in `rows`, all that there were; call it before the replay takes them."""
        self.large = bool((np.abs(rows) > LARGE).any())
        self.pairs = [(int(bad), int(good)) for bad, good in pairs]
        for bad, stand_in in self.pairs:
            rows[bad] = rows[stand_in]
