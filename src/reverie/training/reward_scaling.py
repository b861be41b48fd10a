"""What the rewards of updates are multiplied by: a number that was given, or one that follows the returns.

Replay and journal keep rewards as they are, so a running scale is applied to minibatches.
"""

from typing import Any

import numpy as np

from reverie.core.agent import Agent, AgentState
from reverie.data.return_scale import ReturnScale
from reverie.data.value_bounds import ValueBounds
from reverie.training.logged_experience import LoggedExperience

NAME = "reward_scale"  # column of metrics.csv
FACTS = "return_scale"  # key in a checkpoint


class RewardScaling:
    """The scale of an agent's rewards; with `reward_scale="auto"` it follows the returns.

    logged: transitions to learn from too, whose returns count like those of real steps.
    """

    def __init__(self, agent: Agent, logged: LoggedExperience | None):
        self._fixed, self._bound = agent.requirements.reward_scale, agent.bound_values
        self._discount = agent.requirements.discount or 0.0
        self._reward = agent.spec.observation_dim + agent.spec.action_dim  # its column in packed transitions
        self._returns = ReturnScale(self._discount) if self._fixed is None else None
        if self._returns is not None and logged is not None:
            for reward, last in logged.rewards_and_ends:
                self._returns.see(reward, last)

    @property
    def value(self) -> float:
        """What the rewards of updates are multiplied by now."""
        if self._returns is not None:
            return self._returns.value
        assert self._fixed is not None
        return self._fixed

    def see(self, row: np.ndarray, last: bool, episode: int) -> None:
        """Account for a packed transition of an episode.  last: it ended."""
        if self._returns is not None:
            self._returns.see(row.item(self._reward), last, episode)

    def apply(self, rows: np.ndarray) -> None:
        """Scale the rewards of packed transitions [..., width] in place, if updates do not do it."""
        if self._returns is not None:
            rows[..., self._reward] *= self._returns.value

    def bounded(self, state: AgentState, bounds: ValueBounds) -> AgentState:
        """Return an agent's state that knows what values the rewards allow, if the agent asks for that."""
        if self._bound is None:
            return state
        return self._bound(state, *(self.value * end for end in bounds.values(self._discount)))

    @property
    def metrics(self) -> dict[str, float]:
        """Columns of metrics.csv."""
        return {} if self._returns is None else {NAME: self.value}

    # ---- saving

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {} if self._returns is None else {FACTS: self._returns.facts()}

    def restore(self, facts: dict[str, Any]) -> None:
        """Restore what `facts` returned."""
        if self._returns is not None:
            self._returns.restore(facts[FACTS])
