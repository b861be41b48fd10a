"""A scale for rewards: 1 over the running standard deviation of discounted returns.

Lee et al. 2025 (SimbaV2, arXiv 2502.15280), section 4.3, without its bound on the largest return.
"""

import math
from typing import Any

from reverie.data.running_returns import RunningReturns

MOST = 1e12  # the largest scale: a smaller spread of returns counts as none


class ReturnScale:
    """Statistics of G ← r + γ G over all steps, where G is 0 at the start of an episode.

    discount: γ.
    """

    def __init__(self, discount: float):
        self._count, self._mean, self._squares = 0, 0.0, 0.0  # Welford 1962: squares of deviations from the mean
        self._returns = RunningReturns(discount)

    def see(self, reward: float, last: bool, episode: int = 0) -> None:
        """Account for a step.  last: the episode ended.  episode: its number, since those of several machines mix."""
        gained = self._returns.see(reward, last, episode)
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
            "open": self._returns.facts(),
        }

    def restore(self, facts: dict[str, Any]) -> None:
        """Restore what `facts` returned."""
        self._count, self._mean, self._squares = facts["count"], facts["mean"], facts["squares"]
        self._returns.restore(facts["open"])
