"""Successive approximation: apply a Bellman update to all states, until the values are near enough to their limit.

The distance from the limit follows from the last change δ = V_{k+1} - V_k. The sum of all later changes is between
γ/(1-γ) min δ and γ/(1-γ) max δ (MacQueen 1966; Puterman 1994, 6.6). The end of an episode counts as a state with δ = 0.

Where we differ from Sutton & Barto 2018, section 4.4:

 1. We stop when half the width of this interval is within `accuracy`, and return its middle. The book stops when max
    |δ| is small.
 2. Without discounting there is no such interval. We stop when max |δ|, and the sum of later changes if they keep
    falling as the last one did, are within `accuracy`. The book stops when max |δ| is.
 3. We update all states at once (Jacobi). The book updates in place.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from reverie.core.interrupts import raise_if_interrupted
from reverie.core.status import Status
from reverie.tabular.limits import check_values
from reverie.tabular.mdp import MDP

ROUNDING = 8 * np.finfo(float).eps  # a narrower interval, relative to the largest value, is only rounding errors


class Sweeps(NamedTuple):
    """Values, and how the sweeps went."""

    values: np.ndarray  # [S]
    status: Status  # DONE or MAX_ITERATIONS
    bound: float  # upper bound of |V - limit|, without rounding errors; infinite without discounting
    changes: np.ndarray  # max |δ| of each sweep


def iterate_to_convergence(
    update: Callable[[np.ndarray], np.ndarray], mdp: MDP, discount: float, accuracy: float, iterations: int
) -> Sweeps:
    """Return the limit of V <- update(V) from V = 0.

    update: a Bellman update of `mdp`, [S] -> [S].  discount: γ.  accuracy: largest error of the values. Sweeps also
    stop when only rounding errors are left.  iterations: most sweeps.  Raises ConfigError where values are too large.
    """
    V, changes, leaves = np.zeros(mdp.states), [], bool(mdp.ends.any())
    gain = discount / (1.0 - discount) if discount < 1.0 else np.inf
    status, bound, shift = Status.MAX_ITERATIONS, np.inf, 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # such values are refused below
        for _ in range(iterations):
            raise_if_interrupted()
            new = update(V)
            delta = new - V
            low, high = float(delta.min()), float(delta.max())
            if leaves:
                low, high = min(low, 0.0), max(high, 0.0)
            V, change = new, max(-low, high)
            changes.append(change)
            width = change
            if discount < 1.0:
                width = high - low
                bound, shift = 0.5 * gain * width, 0.5 * gain * (high + low)
            if not math.isfinite(change + shift):
                break
            missed = bound if discount < 1.0 else _tail(changes)
            if missed <= accuracy or width <= ROUNDING * max(float(V.max()), -float(V.min())):
                status = Status.DONE
                if missed > accuracy and discount < 1.0 and leaves:
                    bound, shift = gain * change, 0.0  # V is within this bound; the middle has only rounding errors
                break
        V = np.where(mdp.terminal, 0.0, V + shift)
    check_values(V)
    return Sweeps(V, status, bound, np.array(changes))


def _tail(changes: list[float]) -> float:
    """Return the sum of later changes, if they keep falling as the last one did; at least the last change."""
    last = changes[-1]
    if last == 0.0:
        return 0.0
    ratio = last / changes[-2] if len(changes) > 1 and changes[-2] > 0 else 1.0
    return max(last, last * ratio / (1.0 - ratio)) if ratio < 1.0 else math.inf
