"""Replace outliers in replay: transitions with numbers far beyond all others, as faulty sensors give them.

One outlier in a minibatch gives very large gradients. Adam divides by a running mean of their squares, which then stays
large for the rest of a run, so that the weights concerned hardly change any more.
"""

from typing import NamedTuple

import numpy as np

from reverie.core.finite import all_within
from reverie.data.replay import Replay

LARGE = 5e5  # smaller numbers are never outliers
FAR = 5e5  # a number of an observation is an outlier beyond this multiple of the usual size
FAR_REWARD = 1e12  # the same for rewards, which may be rare and large
SAMPLE = 256  # number of rows from which the usual size is computed
ALLOWED = 10, 0.01  # most outliers: this number plus this share of all rows. More frequent numbers are real.


def limits(rows: np.ndarray, far: float = FAR) -> np.ndarray:
    """Return the largest allowed size of each column [width] of rows [N, width].

    It is `far` times the median size of the column, and at least `far`. The median is the lower one: of two numbers, of
    which one is an outlier, it is the good one.
    """
    sample = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int)]
    middle = np.sort(np.abs(sample.astype(float)), axis=0)[(len(sample) - 1) // 2]
    return far * np.maximum(1.0, middle)


def may_set_aside(before: int, more: int, seen: int) -> bool:
    """Return whether `more` rows may be replaced, after `before` of the `seen` rows were. Outliers must be rare."""
    most, share = ALLOWED
    return before + more <= most + share * seen


def without_outliers(rows: np.ndarray, before: list[np.ndarray], observation_dim: int, action_dim: int) -> np.ndarray:
    """Return packed transitions `rows` [N, width] without outliers; at least one row is returned.

    before: earlier transitions, which help to decide what is usual.  observation_dim, action_dim: sizes of a
    transition.
    """
    every = np.concatenate([*before, rows])
    if np.abs(every).max() <= LARGE:
        return rows
    far = np.any(np.abs(every) > row_limits(every, observation_dim + action_dim), axis=1)
    if far.all() or not may_set_aside(0, int(far.sum()), len(every)):
        return rows
    kept = rows[~far[-len(rows) :]]
    return kept if len(kept) else every[~far][-1:]


def row_limits(rows: np.ndarray, reward: int) -> np.ndarray:
    """Return the largest allowed size of each number of packed transitions [N, width].  reward: index of the reward."""
    found = limits(rows)
    found[reward] *= FAR_REWARD / FAR
    return found


class ReplacedOutliers(NamedTuple):
    """Outliers that were replaced."""

    steps: list[int]  # numbers of their steps, from 1
    place: int  # index, within a packed transition, of the largest outlier
    size: float  # its size


class Outliers:
    """Finds and replaces outliers in a replay of packed transitions.

    replay: the replay.  observation_dim, action_dim: sizes of a transition.
    `pairs`: (replaced row, row that replaces it), both numbered from 0.  `large`: whether a large number has occurred.
    """

    def __init__(self, replay: Replay, observation_dim: int, action_dim: int):
        self._replay, self._reward = replay, observation_dim + action_dim
        self.pairs: list[tuple[int, int]] = []
        self.large = False

    def is_large(self, row: np.ndarray) -> bool:
        """Return whether a row [width] holds a large number, and set `large` if so."""
        found = not all_within(row, LARGE)
        self.large |= found
        return found

    def is_far(self, row: np.ndarray) -> bool:
        """Return whether a row [width] of the replay is an outlier."""
        return bool((np.abs(row) > row_limits(self._replay.rows[: len(self._replay)], self._reward)).any())

    def set_aside(self) -> ReplacedOutliers | None:
        """Replace each outlier by the good row before it, or by the first good row.  Returns them, or None."""
        replay, size, capacity = self._replay, len(self._replay), len(self._replay.rows)
        rows = replay.rows[:size]
        sizes = np.abs(rows) / row_limits(rows, self._reward)
        far = (sizes > 1.0).any(axis=1)
        if not far.any() or far.all() or not may_set_aside(len(self.pairs), int(far.sum()), replay.added):
            return None
        first = replay.added - size
        number = first + (np.arange(size) - first) % capacity  # of each row
        place = int(np.argmax(sizes[far].max(axis=0)))
        found = ReplacedOutliers(np.sort(number[far] + 1).tolist(), place, float(np.abs(rows[far, place]).max()))
        good = np.sort(number[~far])
        for bad in np.sort(number[far]).tolist():
            stand_in = int(good[max(0, int(np.searchsorted(good, bad)) - 1)])
            rows[bad % capacity] = rows[stand_in % capacity]
            self.pairs.append((bad, stand_in))
        return found

    def restore(self, pairs: list[list[int]], rows: np.ndarray) -> None:
        """Make the same replacements in `rows`, all transitions of a run, before they are added to the replay."""
        self.large = bool((np.abs(rows) > LARGE).any())
        self.pairs = [(int(bad), int(good)) for bad, good in pairs]
        for bad, stand_in in self.pairs:
            rows[bad] = rows[stand_in]
