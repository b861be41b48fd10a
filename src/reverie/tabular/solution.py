"""What solving a table gives."""

from typing import NamedTuple

import numpy as np

from reverie.core.status import Status
from reverie.tabular.bellman import action_values, greedy
from reverie.tabular.mdp import MDP


class Solution(NamedTuple):
    """Values, the policy that is greedy about them, and how near they are to the optimum."""

    values: np.ndarray  # V [S]
    action_values: np.ndarray  # Q [S, A], one step ahead of V
    policy: np.ndarray  # [S]
    status: Status  # DONE, MAX_ITERATIONS or NONFINITE_MODEL
    residual: float  # max |max_a Q(s, a) - V(s)|: by how much V misses the Bellman optimality equation
    bound: float  # |V - V*| is at most this, up to rounding; infinite without discounting
    iterations: int
    changes: np.ndarray  # by how much the values changed in each, at most


def solution(mdp: MDP, V: np.ndarray, discount: float, status: Status, bound: float, changes: np.ndarray) -> Solution:
    """Return values V [S] with all that follows from them."""
    with np.errstate(over="ignore", invalid="ignore"):  # the status tells
        Q = action_values(mdp, V, discount)
        residual = float(np.abs(Q.max(1) - V).max())
        policy = greedy(Q)
    return Solution(V, Q, policy, status, residual, bound, len(changes), changes)
