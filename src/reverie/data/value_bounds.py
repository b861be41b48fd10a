"""What states may be worth, by the rewards seen so far.

A return is Σ γᵗ r_t over steps of which only the last may be terminal. So it lies between the lowest and the highest of
three numbers: 0, a reward of a terminal step, and another reward over 1 - γ. A large reward for reaching a goal, which ends
the episode, can be earned once, and bounds values far more closely than if it could be repeated for ever.
"""

import numpy as np
from jaxtyping import Bool, Float

from reverie.data.outliers import FAR_REWARD


class ValueBounds:
    """The lowest and the highest rewards so far, of steps that end in a terminal state and of others; 0 counts as seen."""

    def __init__(self, rewards: Float[np.ndarray, "N"], terminated: Bool[np.ndarray, "N"]):
        usual = np.abs(rewards) < FAR_REWARD
        ends, others = rewards[usual & terminated], rewards[usual & ~terminated]
        self._ends = ends.min(initial=0.0).item(), ends.max(initial=0.0).item()
        self._others = others.min(initial=0.0).item(), others.max(initial=0.0).item()

    def see(self, reward: float, terminated: bool) -> None:
        """Account for a step, unless its reward is an outlier by its size alone."""
        if not -FAR_REWARD < reward < FAR_REWARD:
            return
        low, high = self._ends if terminated else self._others
        if low <= reward <= high:
            return
        wider = min(low, reward), max(high, reward)
        if terminated:
            self._ends = wider
        else:
            self._others = wider

    @property
    def rewards(self) -> tuple[float, float]:
        """The lowest and the highest reward."""
        return min(self._ends[0], self._others[0]), max(self._ends[1], self._others[1])

    def values(self, discount: float) -> tuple[float, float]:
        """Return the lowest and the highest value that a state may have.  discount: γ, below 1."""
        ahead = 1.0 / (1.0 - discount)
        return min(self._ends[0], ahead * self._others[0]), max(self._ends[1], ahead * self._others[1])
