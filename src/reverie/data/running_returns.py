"""Returns of episodes while they run: G ← r + γ G, from 0 at an episode's first step."""

from typing import Any

from reverie.data.outliers import FAR_REWARD

MOST_OPEN = 256  # episodes in progress; of more, the oldest were aborted


class RunningReturns:
    """G of each episode in progress.  Several machines may have one at once, so episodes have numbers.

    discount: γ.
    """

    def __init__(self, discount: float = 1.0):
        self._discount = discount
        self._open: dict[int, float] = {}

    def see(self, reward: float, last: bool, episode: int) -> float:
        """Account for a step; return G.  last: the episode ended.  episode: its number.

        An outlier, which nothing is learnt from, counts as 0.
        """
        reward = reward if -FAR_REWARD < reward < FAR_REWARD else 0.0
        gained = reward + self._discount * self._open.pop(episode, 0.0)
        if not last:
            self._open[episode] = gained
            if len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
        return gained

    # ---- saving

    def facts(self) -> list[list[Any]]:
        """Return everything as JSON values."""
        return [[episode, gained] for episode, gained in self._open.items()]

    def restore(self, facts: list[list[Any]]) -> None:
        """Restore what `facts` returned."""
        self._open = {episode: gained for episode, gained in facts}
