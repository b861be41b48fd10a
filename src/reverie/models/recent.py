"""No model at all: the last few real episodes themselves, learnt from more often.

The control for imagination: the same number of updates, on data as recent, without anything imagined.
"""

import dataclasses
from typing import Any

import numpy as np

from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Episode, FitResult
from reverie.core.status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recent(Settings):
    """Replay of the last `episodes` real episodes beside replay of all."""

    episodes: int = 5
    """Real episodes that are replayed: the last n."""

    name = "recent"

    def __post_init__(self):
        super().__post_init__()
        self.require(episodes=1)

    def fit(self, batch: list[Episode], history: list[Episode], previous: Any, seed: int) -> FitResult:
        """Return nothing: there is nothing to fit."""
        del batch, history, previous, seed
        return FitResult(None, Status.DONE)

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Return nothing."""
        del arrays
