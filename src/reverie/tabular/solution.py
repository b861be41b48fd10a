"""What solving a table gives."""

from typing import NamedTuple

import numpy as np

from reverie.core.status import Status
from reverie.tabular.bellman import action_values, greedy
from reverie.tabular.limits import check_values
from reverie.tabular.mdp import MDP


class Solution(NamedTuple):
    """Values, the policy that is greedy about them, and how near they are to the optimum."""

    values: np.ndarray  # V [S]
    action_values: np.ndarray  # Q [S, A], one step ahead of V
    policy: np.ndarray  # [S]
    status: Status  # DONE or MAX_ITERATIONS
    residual: float  # max |max_a Q(s, a) - V(s)|: by how much V misses the Bellman optimality equation
    bound: float  # |V - V*| is at most this, rounding errors included; infinite without discounting
    iterations: int
    changes: np.ndarray  # by how much the values changed in each, at most


def solution(
    mdp: MDP, V: np.ndarray, discount: float, status: Status, changes: np.ndarray, bound: float = np.inf
) -> Solution:
    """Return values V [S] with all that follows from them.  bound: what the last changes say of |V - V*|.

    Raises ConfigError where values go beyond what can be calculated with.
    """
    check_values(V)
    Q = action_values(mdp, V, discount)
    residual = float(np.abs(Q.max(1) - V).max())
    policy = greedy(Q)
    size = float(np.abs(mdp.rewards).max() + 2.0 * np.abs(V).max())
    change = float(changes[-1]) if len(changes) else np.inf
    bound = _bound(mdp, discount, residual, size, bound, change)
    return Solution(V, Q, policy, status, residual, bound, len(changes), changes)


def _bound(mdp: MDP, discount: float, residual: float, size: float, bound: float, change: float) -> float:
    """Return how far V may be from V*, at most: `bound`, or max |TV - V| / (1 - γ), T being a contraction by γ.

    To both belongs what rounding may have done to a backup of numbers of this size, a sum of so many terms, and to rows,
    which sum to 1 only nearly: that decides where γ is near 1.
    """
    error = (int(np.diff(mdp.transitions.indptr).max(initial=0)) + 4) * np.finfo(float).eps
    sums = mdp.transitions @ np.ones(mdp.states) + mdp.ends.T.ravel()
    least, most = (discount * float(end) for end in (sums.min() * (1 - error), sums.max() * (1 + error)))
    if discount >= 1.0 or most >= 1.0:
        return np.inf
    rounding = error * size / (1 - most)
    drift = change * (most / (1 - most) - least / (1 - least)) if np.isfinite(bound) else 0.0
    return min(bound + drift, residual / (1 - most)) + rounding
