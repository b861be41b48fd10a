"""The real episode under way: what was seen and done so far, until it becomes an `Episode` that models are fitted to."""

from typing import Any

import numpy as np

from reverie.core.dynamics import Episode


class OpenEpisode:
    """States [t + 1], actions [t] as models take them, rewards [t], packed transitions [t], and the context [k]."""

    def __init__(self, context: Any = ()):
        self.states: list[np.ndarray] = []
        self.actions: list[np.ndarray] = []
        self.rewards: list[float] = []
        self.packed: list[np.ndarray] = []  # empty where no real transitions are replayed
        self.context = np.asarray(context, float)

    def closed(self, terminated: bool) -> Episode:
        """Return the whole episode."""
        return Episode(np.array(self.states), np.array(self.actions), np.array(self.rewards), terminated, self.context)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that it holds, by name; nothing before the first action."""
        if not self.actions:
            return {}
        parts = {"states": self.states, "actions": self.actions, "rewards": self.rewards, "context": self.context}
        found = {name: np.array(value) for name, value in parts.items()}
        return found | ({"packed": np.array(self.packed)} if self.packed else {})

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> "OpenEpisode":
        """Return the episode of which `arrays` were saved."""
        self = cls(arrays["context"])
        self.states, self.actions, self.packed = (list(arrays.get(k, ())) for k in ("states", "actions", "packed"))
        self.rewards = arrays["rewards"].tolist()
        return self
