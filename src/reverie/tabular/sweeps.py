"""Successive approximation: apply a Bellman update to all states at once until the values are near enough their limit.

How near is known from the last change δ = V_{k+1} - V_k.  All later changes together lie between γ/(1-γ) min δ and
γ/(1-γ) max δ (MacQueen 1966; Puterman 1994, 6.6), where the end of an episode counts as a state with δ = 0.  Differences
(ours / Sutton & Barto 2018, 4.4):
 1. Stops when half the width of that interval is within `accuracy`, and returns its middle / when max |δ| is small.
 2. Without discounting, where there is no such interval, stops when max |δ|, and all that are to come if they go on falling
    as the last one did, are within `accuracy` / when max |δ| is.
 3. Both arrays at once (Jacobi) / in place.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from reverie.core.interrupts import look
from reverie.core.status import Status
from reverie.tabular.limits import check_values
from reverie.tabular.mdp import MDP

ROUNDING = 8 * np.finfo(float).eps  # of the largest value: what is narrower is rounding errors


class Sweeps(NamedTuple):
    """Values and how they were come by."""

    values: np.ndarray  # [S]
    status: Status  # DONE or MAX_ITERATIONS
    bound: float  # |V - limit| is at most this, up to rounding; infinite without discounting
    changes: np.ndarray  # max |δ| of each sweep


def iterate_to_convergence(
    update: Callable[[np.ndarray], np.ndarray], mdp: MDP, discount: float, accuracy: float, iterations: int
) -> Sweeps:
    """Return the limit of V <- update(V), a Bellman update of `mdp`, from V = 0.  Stops at rounding errors too.

    Raises ConfigError where values go beyond what can be calculated with.
    """
    V, changes, leaves = np.zeros(mdp.states), [], bool(mdp.ends.any())
    gain = discount / (1.0 - discount) if discount < 1.0 else np.inf
    status, bound, shift = Status.MAX_ITERATIONS, np.inf, 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused
        for _ in range(iterations):
            look()
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
                    bound, shift = gain * change, 0.0  # V itself lies within; the middle is rounding errors
                break
        V = np.where(mdp.terminal, 0.0, V + shift)
    check_values(V)
    return Sweeps(V, status, bound, np.array(changes))


def _tail(changes: list[float]) -> float:
    """Return how much is still to come, or the last change where that is more, if changes go on falling as the last one did."""
    last = changes[-1]
    if last == 0.0:
        return 0.0
    ratio = last / changes[-2] if len(changes) > 1 and changes[-2] > 0 else 1.0
    return max(last, last * ratio / (1.0 - ratio)) if ratio < 1.0 else math.inf
