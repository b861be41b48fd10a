"""Replay on the host: one matrix of packed transitions, in which the oldest are overwritten."""

import numpy as np


class Replay:
    """Up to `capacity` rows of `width` float32 numbers, sampled with replacement.

    Memory is reserved at the start, and used only as rows are added.
    recent_share: the share of each minibatch that is drawn from the newest `recent_steps` rows alone.  The rest is drawn
        from all rows.
    """

    def __init__(self, capacity: int, width: int, recent_share: float = 0.0, recent_steps: int = 1):
        self.rows = np.zeros((capacity, width), np.float32)
        self.added = 0
        self._recent_share, self._recent_steps = recent_share, recent_steps

    def __len__(self) -> int:
        return min(self.added, len(self.rows))

    def add(self, row: np.ndarray) -> None:
        """Store one packed transition [width]."""
        self.rows[self.added % len(self.rows)] = row
        self.added += 1

    def extend(self, rows: np.ndarray) -> None:
        """Store packed transitions [N, width] in order, as N calls of `add` do."""
        capacity = len(self.rows)
        kept = rows[-capacity:]
        first = self.added + len(rows) - len(kept)
        self.rows[(first + np.arange(len(kept))) % capacity] = kept
        self.added += len(rows)

    def clear(self) -> None:
        """Delete all rows."""
        self.added = 0

    def newest(self, most: int) -> np.ndarray:
        """Return the newest rows, at most so many, the newest first."""
        return self.rows[(self.added - 1 - np.arange(min(len(self), most))) % len(self.rows)]

    def sample(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return rows [*shape, width].  The last axis of `shape` is a minibatch: its first rows are the recent ones."""
        places = generator.integers(len(self), size=shape)
        if recent := round(self._recent_share * shape[-1]):
            ages = generator.integers(min(len(self), self._recent_steps), size=(*shape[:-1], recent))
            places[..., :recent] = (self.added - 1 - ages) % len(self.rows)
        return self.rows[places]
