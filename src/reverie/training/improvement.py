"""Whether learning has brought anything: returns of the newest episodes beside those of random actions."""

from collections import deque
from typing import Any

import numpy as np

from reverie.core.agent import DataRequirements
from reverie.data.running_returns import RunningReturns
from reverie.training.advice import scales_to_set

NEWEST = 10  # episodes that are compared with those of warm-up
SAME = 1e-6  # returns differ by no more than this share of their size where they are the same but for rounding
LEAST_RANDOM = 3  # episodes of warm-up; the return of fewer is too often better by chance


class Improvement:
    """Returns of the episodes that began in warm-up, and of the newest ones.

    warmup_steps: random actions at the start.  Without any nothing can be compared.
    """

    def __init__(self, warmup_steps: int):
        self._warmup_steps = warmup_steps
        self._returns = RunningReturns()
        self._steps = 0
        self._random: list[int] = []  # numbers of the open episodes that began with random actions
        self._random_count, self._random_sum = 0, 0.0
        self._random_range: list[float] = []  # the lowest and the highest; none of a run of before they were kept
        self._newest: deque[float] = deque(maxlen=NEWEST)

    def see(self, reward: float, last: bool, episode: int) -> None:
        """Account for a step.  last: the episode ended.  episode: its number."""
        self._steps += 1
        if self._steps <= self._warmup_steps and episode not in self._random:
            self._random.append(episode)
        gained = self._returns.see(reward, last, episode)
        if last and episode in self._random:
            self._random.remove(episode)
            self._random_count, self._random_sum = self._random_count + 1, self._random_sum + gained
            before = self._random_range or ([gained] if self._random_count == 1 else [])
            self._random_range = [min(*before, gained), max(*before, gained)] if before else []
        elif last:
            self._newest.append(gained)

    @property
    def newest(self) -> float:
        """The mean return of the newest episodes."""
        return float(np.mean(self._newest))

    @property
    def random(self) -> float:
        """The mean return of episodes that began with random actions."""
        return self._random_sum / self._random_count

    @property
    def absent(self) -> bool:
        """Whether the newest episodes are, on average, no better than random ones."""
        enough = self._random_count >= LEAST_RANDOM and len(self._newest) == NEWEST
        return enough and (self.newest <= self.random or self._never_change)

    @property
    def _never_change(self) -> bool:
        """Whether all these episodes returned the same."""
        seen = [*self._random_range, *self._newest]
        return bool(self._random_range) and max(seen) - min(seen) <= SAME * max(map(abs, seen))

    def text(self, requirements: DataRequirements) -> str:
        """Return what to say where improvement is absent."""
        if self._never_change:
            return (
                f"nothing has improved since warm-up: each episode returned {self.random:.3g}, so rewards do not depend on "
                "actions, or no episode has come to where they do: look at the reward, or explore more"
            )
        newest, random = (f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}" for x in (self.newest, self.random))
        return (
            f"nothing has improved since warm-up (the last {NEWEST} episodes returned {newest} on average, random actions "
            f"{random}): {scales_to_set(requirements, 'explore more, first at random (warmup_steps)')}"
        )

    # ---- saving

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "steps": self._steps,
            "open": self._returns.facts(),
            "random_open": list(self._random),
            "random": [self._random_count, self._random_sum],
            "random_range": list(self._random_range),
            "newest": list(self._newest),
        }

    def restore(self, facts: dict[str, Any]) -> None:
        """Restore what `facts` returned."""
        self._steps, self._random = facts["steps"], list(facts["random_open"])
        self._returns.restore(facts["open"])
        self._random_count, self._random_sum = facts["random"]
        self._random_range = list(facts.get("random_range", []))
        self._newest.clear()
        self._newest.extend(facts["newest"])
