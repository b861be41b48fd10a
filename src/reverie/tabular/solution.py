"""The result of solving a table: values, policy, and a bound of their error."""

from typing import NamedTuple

import numpy as np

from reverie.core.status import Status
from reverie.tabular.bellman import action_values, greedy
from reverie.tabular.limits import check_values
from reverie.tabular.mdp import MDP


class Solution(NamedTuple):
    """Values, the greedy policy, and how near the values are to the optimum."""

    values: np.ndarray  # V [S]
    action_values: np.ndarray  # Q [S, A], one step ahead of V
    policy: np.ndarray  # greedy actions [S]
    status: Status  # DONE or MAX_ITERATIONS
    residual: float  # max |max_a Q(s, a) - V(s)|, the residual of the Bellman optimality equation
    bound: float  # upper bound of |V - V*|, rounding errors included; infinite without discounting
    iterations: int
    changes: np.ndarray  # largest change of the values in each iteration


def solution(
    mdp: MDP, V: np.ndarray, discount: float, status: Status, changes: np.ndarray, bound: float = np.inf
) -> Solution:
    """Return the solution for values V [S].

    discount: γ.  changes: largest change in each iteration.  bound: an upper bound of |V - V*|, from the last changes.
    Raises ConfigError where values are too large.
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
    """Return an upper bound of |V - V*|: the lower one of `bound` and max |TV - V| / (1 - γ), as T contracts by γ.

    size: of numbers in a backup.  change: the last change of values. Both bounds include rounding errors, of sums of
    this size and of rows that do not sum to exactly 1. For γ near 1 these errors decide.
    """
    error = (int(np.diff(mdp.transitions.indptr).max(initial=0)) + 4) * np.finfo(float).eps
    sums = mdp.transitions @ np.ones(mdp.states) + mdp.ends.T.ravel()
    least, most = (discount * float(end) for end in (sums.min() * (1 - error), sums.max() * (1 + error)))
    if discount >= 1.0 or most >= 1.0:
        return np.inf
    rounding = error * size / (1 - most)
    drift = change * (most / (1 - most) - least / (1 - least)) if np.isfinite(bound) else 0.0
    return min(bound + drift, residual / (1 - most)) + rounding
