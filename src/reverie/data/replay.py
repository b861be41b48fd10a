"""Replay on the host: one matrix of packed transitions, in which the oldest are overwritten."""

import numpy as np


class Replay:
    """Up to `capacity` rows of `width` float32 numbers, sampled uniformly with replacement.

    Memory is reserved at the start, and used only as rows are added.
    """

    def __init__(self, capacity: int, width: int):
        self.rows = np.zeros((capacity, width), np.float32)
        self.added = 0

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
        """Return rows [*shape, width] drawn uniformly from those that are stored."""
        return self.rows[generator.integers(len(self), size=shape)]
