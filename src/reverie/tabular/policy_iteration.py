"""Policy evaluation and policy iteration.  Sutton & Barto 2018, sections 4.1 to 4.3.

Evaluation is the linear Bellman equation V = r_π + γ P_π V (equation 4.4). `solve` solves it directly. `sweep` applies
it repeatedly (equation 4.5). Policy iteration evaluates a policy, then takes the greedy policy (equation 4.9), until it
does not change any more.

Where we differ from the book:

 1. An action is changed only for one that is better by more than rounding errors. The book takes any greedy action,
    which may swap equal actions without end (its exercise 4.4).
 2. Without discounting we begin with a policy that ends episodes, because others have no value. The book begins with
    any.
 3. We evaluate by a direct solve up to DIRECT states, and by sweeps beyond, because factors of large random tables are
    dense. The book uses sweeps.
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
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.status import Status
from reverie.core.words import count
from reverie.tabular.bellman import action_values, expectation, under
from reverie.tabular.limits import check_rewards, check_values
from reverie.tabular.mdp import MDP, SLACK, checked
from reverie.tabular.solution import Solution, solution
from reverie.tabular.sweeps import iterate_to_convergence
from reverie.tabular.termination import check_discount, toward_an_end

DIRECT = 1000  # most states for a direct solve
ACCURACY = 1e-10  # of values, by sweeps
SWEEPS = 1_000_000  # most sweeps of one evaluation
BETTER = 1e-9  # least gain for which an action is changed, relative to the largest value

Evaluation = Callable[[MDP, np.ndarray, float], np.ndarray]


def solve(mdp: MDP, policy: np.ndarray, discount: float) -> np.ndarray:
    """Return the values V_π [S] of a policy by one sparse linear solve.

    policy: actions [S] or probabilities [S, A].  discount: γ. With γ = 1, states from which an episode may never end
    have value -∞, because `check_discount` only allows tables in which that has a cost.
    Raises ConfigError where the table, the policy or the discount is wrong, and where other values are too large.
    """
    mdp, discount = _checked(mdp, discount)
    return _solved(mdp, policy, discount)


def _checked(mdp: MDP, discount: float) -> tuple[MDP, float]:
    """Check table and discount and return them. Policy iteration does this once, not at each evaluation."""
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
    """Return (the MDP with one action that follows from a policy, over states with finite values; these states)."""
    chain = under(mdp, decided(mdp, policy))
    lost = _may_go_on_for_ever(chain) if discount == 1.0 else np.zeros(mdp.states, bool)
    kept = np.flatnonzero(~lost)
    if lost.any():  # no other state leads to these
        transitions = chain.transitions[kept][:, kept]
        chain = MDP(transitions, chain.ends[kept], chain.rewards[kept], chain.terminal[kept], chain.starts[kept])
    return chain, kept


def decided(mdp: MDP, policy: Any) -> np.ndarray:
    """Return a policy as an array: actions [S] or probabilities [S, A].  Raises ConfigError where it is not one."""
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
    """Return the values V_π [S] of a policy by iterative policy evaluation, to within `accuracy`.

    The other arguments, -∞ and errors are as in `solve`. Warns if SWEEPS sweeps were not enough.
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
    """Return (V_π [S], status). The status is DONE, or MAX_ITERATIONS if SWEEPS sweeps did not reach the accuracy."""
    chain, kept = _chain(mdp, policy, discount)
    V, status = np.full(mdp.states, -np.inf), Status.DONE
    if len(kept):
        found = iterate_to_convergence(lambda V: expectation(chain, V, discount), chain, discount, accuracy, SWEEPS)
        V[kept], status = found.values, found.status
    return V, status


def policy_iteration(mdp: MDP, discount: float, evaluate: Evaluation | None = None, iterations: int = 1000) -> Solution:
    """Return the optimal values and policy.

    discount: γ.  evaluate: `solve`, `sweep` or a similar function; None: chosen by the number of states.
    iterations: most iterations.

    Status: DONE or MAX_ITERATIONS, also if the last evaluation by `sweep` ran out of sweeps.
    Raises ConfigError where the table is wrong, where the discount is outside [0, 1], where it is 1 and an episode need
    not end, and where values are too large.  Source: Sutton & Barto 2018, section 4.3.
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
        raise_if_interrupted()
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
    """Return (V_π [S] by `evaluate`, status). The status is MAX_ITERATIONS if `sweep` ran out of sweeps."""
    if evaluate is solve:
        return _solved(mdp, policy, discount), Status.DONE
    if evaluate is sweep:
        return _swept(mdp, policy, discount, ACCURACY)
    found = evaluate(mdp, policy, discount)
    try:
        V = np.asarray(found, float)
    except Exception:  # ragged, or a user's object that raises
        V = np.zeros(0)
    if V.shape != (mdp.states,):
        raise ConfigError(f"evaluate returned {shown(found)}; it must return a value for each state, ({mdp.states},)")
    return V, Status.DONE


def _may_go_on_for_ever(chain: MDP) -> np.ndarray:
    """Return from which states [S] of an MDP with one action an episode may never end."""
    caught = ~chain.terminal & (toward_an_end(chain) < 0)
    into = (chain.transitions @ caught.astype(float))[:, None]
    return caught | (toward_an_end(chain._replace(ends=into)) >= 0)
