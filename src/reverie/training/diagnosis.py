"""Measurements of a trainer on some rows of replay, for metrics.csv."""

from typing import Any

import numpy as np

from reverie.core.agent import Agent, Policy
from reverie.core.types import Transition
from reverie.training.health import Symptoms, still_shares, stuck_share


def symptoms(agent: Agent, policy: Policy, state: Any, rows: np.ndarray, set_aside: int) -> Symptoms:
    """Return the symptoms of a state, and of its policy on packed transitions `rows` [N, width].

    set_aside: transitions replaced by others in replay.
    """
    actions = agent.greedy(policy, rows[:, : agent.spec.observation_dim])
    stuck = 0.0 if agent.spec.actions else stuck_share(np.asarray(actions))
    return Symptoms(set_aside, *still_shares(state), stuck)


def exploration(agent: Agent, policy: Policy, rows: np.ndarray) -> float:
    """Return the root mean square of (executed - greedy) action over packed transitions `rows` [N, width]."""
    recent = Transition.unpack(rows, agent.spec.observation_dim, agent.spec.action_dim)
    return float(np.sqrt(np.mean((recent.action - agent.greedy(policy, recent.observation)) ** 2)))
