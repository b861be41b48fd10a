"""No model: the last few real episodes are replayed more often.

This is the control experiment for imagination: as many updates, on data that are as recent, with nothing imagined.
"""

import dataclasses

import numpy as np

from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Episode, FitResult
from reverie.core.status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recent(Settings):
    """Replay of the last few real episodes, in addition to replay of all of them.

    Raises ConfigError where a value cannot work.
    """

    episodes: int = 5
    """Number of last real episodes that are replayed (n)."""

    name = "recent"

    def __post_init__(self):
        super().__post_init__()
        self.require(episodes=1)

    def fit(self, batch: list[Episode], history: list[Episode], previous: object, seed: int) -> FitResult:
        """Return no dynamics and status DONE: there is nothing to fit."""
        del batch, history, previous, seed
        return FitResult(None, Status.DONE)

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Return None: there is no model."""
        del arrays
