"""The current, unfinished real episode. When it ends it becomes an `Episode`, to which models are fitted."""

import numpy as np
from numpy.typing import ArrayLike

from reverie.core.dynamics import Episode


class OpenEpisode:
    """The t steps of an episode so far.

    states: t + 1 arrays [n].  actions: t arrays [m], as models take them.  rewards: t floats.
    packed: t packed transitions [width].  context: [k], constant over the episode.
    """

    def __init__(self, context: ArrayLike = ()):
        self.states: list[np.ndarray] = []
        self.actions: list[np.ndarray] = []
        self.rewards: list[float] = []
        self.packed: list[np.ndarray] = []  # empty if real transitions are not replayed
        self.context = np.asarray(context, float)

    def closed(self, terminated: bool) -> Episode:
        """Return the finished episode.  terminated: whether it ended in a terminal state."""
        return Episode(np.array(self.states), np.array(self.actions), np.array(self.rewards), terminated, self.context)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, for a checkpoint. Empty before the first action."""
        if not self.actions:
            return {}
        parts = {"states": self.states, "actions": self.actions, "rewards": self.rewards, "context": self.context}
        found = {name: np.array(value) for name, value in parts.items()}
        return found | ({"packed": np.array(self.packed)} if self.packed else {})

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> "OpenEpisode":
        """Return the episode whose `arrays` were saved."""
        self = cls(arrays["context"])
        self.states, self.actions, self.packed = (list(arrays.get(k, ())) for k in ("states", "actions", "packed"))
        self.rewards = arrays["rewards"].tolist()
        return self
