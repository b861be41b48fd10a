"""Policy evaluation and policy iteration.  Sutton & Barto 2018, sections 4.1 to 4.3.

Evaluation is the Bellman equation V = r_π + γ P_π V (eq. 4.4), which is linear: `solve` solves it, `sweep` applies it again
and again (eq. 4.5).  Policy iteration evaluates, then takes the greedy policy (eq. 4.9), until that changes nothing.
Differences (ours / the book's):
 1. An action is changed only for one that is better by more than rounding errors / for any greedy one, which may for ever
    swap actions that tie (the book's exercise 4.4).
 2. Without discounting starts from a policy that ends episodes, since others have no value / from any.
 3. Evaluation is exact up to DIRECT states, beyond by sweeps: factors of large random tables are dense / by sweeps.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import eye_array
from scipy.sparse.linalg import spsolve

from reverie.core.argument_checks import at_least_0, shown, whole
from reverie.core.array_like import as_array
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.interrupts import look
from reverie.core.status import Status
from reverie.core.words import count
from reverie.tabular.bellman import action_values, expectation, under
from reverie.tabular.limits import check_rewards, check_values
from reverie.tabular.mdp import MDP, SLACK, checked
from reverie.tabular.solution import Solution, solution
from reverie.tabular.sweeps import iterate_to_convergence
from reverie.tabular.termination import check_discount, toward_an_end

DIRECT = 1000  # states
ACCURACY = 1e-10
SWEEPS = 1_000_000  # at most, of one evaluation
BETTER = 1e-9  # relative to the largest value

Evaluation = Callable[[MDP, np.ndarray, float], np.ndarray]


def solve(mdp: MDP, policy: np.ndarray, discount: float) -> np.ndarray:
    """Return V_π [S] of a policy, actions [S] or probabilities [S, A], by one sparse linear solve.

    With discount 1 a state from which π may go on for ever has value -∞: what `check_discount` lets pass costs.
    Raises ConfigError where the table is none, or other values go beyond what can be calculated with.
    """
    mdp, discount = _checked(mdp, discount)
    return _solved(mdp, policy, discount)


def _checked(mdp: MDP, discount: float) -> tuple[MDP, float]:
    """Return both, looked at: what policy iteration does once, and not at each evaluation."""
    mdp, discount = checked(mdp), check_discount(None, discount)
    check_rewards(mdp.rewards, discount)
    return mdp, discount


def _solved(mdp: MDP, policy: Any, discount: float) -> np.ndarray:
    chain, kept = _chain(mdp, policy, discount)
    V = np.full(mdp.states, -np.inf)
    if len(kept):
        P = chain.transitions.tocsc()
        V[kept] = spsolve(eye_array(len(kept), format="csc") - discount * P, chain.rewards[:, 0])
        check_values(V[kept])
    return V


def _chain(mdp: MDP, policy: Any, discount: float) -> tuple[MDP, np.ndarray]:
    """Return the MDP of one action that a policy leaves, over the states whose values are finite, and which they are [kept]."""
    chain = under(mdp, decided(mdp, policy))
    lost = _may_go_on_for_ever(chain) if discount == 1.0 else np.zeros(mdp.states, bool)
    kept = np.flatnonzero(~lost)
    if lost.any():  # none of the others leads there
        transitions = chain.transitions[kept][:, kept]
        chain = MDP(transitions, chain.ends[kept], chain.rewards[kept], chain.terminal[kept], chain.starts[kept])
    return chain, kept


def decided(mdp: MDP, policy: Any) -> np.ndarray:
    """Return a policy, actions [S] or probabilities [S, A].  Raises ConfigError where it is none."""
    S, A = mdp.states, mdp.actions
    pi = as_array(policy)
    chooses = pi.shape == (S,) and pi.dtype.kind in "iu" and ((pi >= 0) & (pi < A)).all()
    draws = pi.shape == (S, A) and pi.dtype.kind == "f" and (pi >= 0).all() and np.allclose(pi.sum(1), 1.0, 0, SLACK)
    if not (chooses or draws):
        raise ConfigError(
            f"the policy is {shown(policy)}; give an action of 0 to {A - 1} for each of {count(S, 'state')}, or "
            f"probabilities {(S, A)}"
        )
    return pi


def sweep(mdp: MDP, policy: np.ndarray, discount: float, accuracy: float = ACCURACY) -> np.ndarray:
    """Return V_π [S] by iterative policy evaluation, to `accuracy`; -∞ and errors as of `solve`.

    Warns where SWEEPS sweeps were not enough for that.
    """
    mdp, discount = _checked(mdp, discount)
    V, status = _swept(mdp, policy, discount, at_least_0("accuracy", accuracy))
    if status != Status.DONE:
        warnings.warn(
            f"{count(SWEEPS, 'sweep')} did not bring the values to an accuracy of {accuracy:g}; use `solve`",
            ReverieWarning,
            stacklevel=2,
        )
    return V


def _swept(mdp: MDP, policy: Any, discount: float, accuracy: float) -> tuple[np.ndarray, Status]:
    """Return V_π [S] and whether it is as near as that (DONE) or sweeps ran out (MAX_ITERATIONS)."""
    chain, kept = _chain(mdp, policy, discount)
    V, status = np.full(mdp.states, -np.inf), Status.DONE
    if len(kept):
        found = iterate_to_convergence(lambda V: expectation(chain, V, discount), chain, discount, accuracy, SWEEPS)
        V[kept], status = found.values, found.status
    return V, status


def policy_iteration(mdp: MDP, discount: float, evaluate: Evaluation | None = None, iterations: int = 1000) -> Solution:
    """Return the optimal values and policy; `evaluate`: `solve` or `sweep`, chosen by size where None.

    The status is MAX_ITERATIONS, too, where the last evaluation by `sweep` ran out of sweeps.
    Raises ConfigError where the table is none, the discount lies outside [0, 1], or is 1 and an episode need not end, or
    values go beyond what can be calculated with.
    """
    mdp = checked(mdp)
    discount = check_discount(mdp, discount)
    iterations = whole("iterations", iterations)
    if evaluate is None:
        evaluate = solve if mdp.states <= DIRECT else sweep
    if not callable(evaluate):
        raise ConfigError(f"evaluate is {shown(evaluate)}; give `solve`, `sweep` or a function such as they are")
    everywhere = np.arange(mdp.states)
    policy = np.maximum(toward_an_end(mdp), 0) if discount == 1.0 else mdp.rewards.argmax(1)
    V, changes, status = np.zeros(mdp.states), [], Status.MAX_ITERATIONS
    for _ in range(iterations):
        look()
        old, (V, evaluated) = V, _evaluated(evaluate, mdp, policy, discount)
        check_values(V)
        changes.append(float(np.abs(V - old).max()))
        Q = action_values(mdp, V, discount)
        better = Q.max(1) > Q[everywhere, policy] + BETTER * np.abs(V).max()
        if not better.any():
            status = evaluated
            break
        policy = np.where(better, Q.argmax(1), policy)
    return solution(mdp, V, discount, status, np.array(changes))


def _evaluated(evaluate: Evaluation, mdp: MDP, policy: np.ndarray, discount: float) -> tuple[np.ndarray, Status]:
    """Return V_π [S] as `evaluate` has it, and MAX_ITERATIONS where it is `sweep` and ran out of them."""
    if evaluate is solve:
        return _solved(mdp, policy, discount), Status.DONE
    if evaluate is sweep:
        return _swept(mdp, policy, discount, ACCURACY)
    found = evaluate(mdp, policy, discount)
    try:
        V = np.asarray(found, float)
    except Exception:  # ragged, or whatever somebody's object raises
        V = np.zeros(0)
    if V.shape != (mdp.states,):
        raise ConfigError(f"evaluate returned {shown(found)}; it must return a value for each state, ({mdp.states},)")
    return V, Status.DONE


def _may_go_on_for_ever(chain: MDP) -> np.ndarray:
    """Return from which states [S] of an MDP with one action episodes may have no end."""
    caught = ~chain.terminal & (toward_an_end(chain) < 0)
    into = (chain.transitions @ caught.astype(float))[:, None]
    return caught | (toward_an_end(chain._replace(ends=into)) >= 0)
