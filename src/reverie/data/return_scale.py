"""A scale for rewards: 1 over the running standard deviation of discounted returns.

Lee et al. 2025 (SimbaV2, arXiv 2502.15280), section 4.3, without its bound on the largest return.
"""

import math
from typing import Any

from reverie.data.outliers import FAR_REWARD

MOST = 1e12  # the largest scale: a smaller spread of returns counts as none
MOST_OPEN = 256  # episodes in progress; of more, the oldest were aborted


class ReturnScale:
    """Statistics of G ← r + γ G over all steps, where G is 0 at the start of an episode.

    discount: γ.
    """

    def __init__(self, discount: float):
        self._discount = discount
        self._count, self._mean, self._squares = 0, 0.0, 0.0  # Welford 1962: squares of deviations from the mean
        self._open: dict[int, float] = {}  # G of episodes in progress

    def see(self, reward: float, last: bool, episode: int = 0) -> None:
        """Account for a step.  last: the episode ended.  episode: its number, since those of several machines mix."""
        if not -FAR_REWARD < reward < FAR_REWARD:  # an outlier, which nothing is learnt from
            reward = 0.0
        gained = reward + self._discount * self._open.pop(episode, 0.0)
        if not last:
            self._open[episode] = gained
            if len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
        self._count += 1
        apart = gained - self._mean
        self._mean += apart / self._count
        self._squares += apart * (gained - self._mean)

    @property
    def value(self) -> float:
        """What to multiply rewards by; 1 while all returns are equal."""
        spread = math.sqrt(self._squares / self._count) if self._count else 0.0
        return min(1.0 / spread, MOST) if spread > 0 else 1.0

    # ---- saving

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "count": self._count,
            "mean": self._mean,
            "squares": self._squares,
            "open": [[episode, gained] for episode, gained in self._open.items()],
        }

    def restore(self, facts: dict[str, Any]) -> None:
        """Restore what `facts` returned."""
        self._count, self._mean, self._squares = facts["count"], facts["mean"], facts["squares"]
        self._open = {episode: gained for episode, gained in facts["open"]}
