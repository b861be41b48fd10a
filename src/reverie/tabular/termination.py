"""Check that episodes end. Without discounting, values are finite only if they do.

With discount 1 a table must satisfy two conditions. They follow Bertsekas & Tsitsiklis 1991 (An analysis of stochastic
shortest path problems). These authors show that the optimality equation then has one solution, and that value iteration
and policy iteration find it.

 1. An end can be reached from each state. Then some policy ends with probability 1 from all states.
 2. Whatever can be repeated without end has a cost: no step of it has a positive reward, and no cycle has reward 0. The
    authors only ask that each policy that never ends has value -∞. Our condition is a little stricter (it refuses a
    cycle of +1 and -2), but needs no search.
"""

from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from reverie.core.argument_checks import finite, shown
from reverie.core.errors import ConfigError
from reverie.tabular.limits import check_rewards
from reverie.tabular.mdp import MDP


def check_discount(mdp: MDP | None, discount: Any) -> float:
    """Return `discount` as a float.  mdp: the table, or None if only the number is to be checked.

    Raises ConfigError where the discount is outside [0, 1], where it is 1 and an episode of `mdp` need not end, and
    where rewards of `mdp` allow values that are too large.
    """
    try:
        gamma = finite("discount", discount)
    except ConfigError:
        gamma = -1.0
    if not 0.0 <= gamma <= 1.0:
        raise ConfigError(f"discount is {shown(discount)}; it must lie in [0, 1]")
    if mdp is None:
        return gamma
    check_rewards(mdp.rewards, gamma)
    if gamma < 1.0:
        return gamma
    stuck = ~mdp.terminal & (toward_an_end(mdp) < 0)
    if stuck.any():
        raise ConfigError(
            f"discount is 1, but no episode can end from state {np.argmax(stuck)}; give a discount below 1"
        )
    repeated = endless(mdp, np.ones(mdp.rewards.shape, bool))
    free = (repeated & (mdp.rewards > 0)) | endless(mdp, repeated & (mdp.rewards == 0))
    if free.any():
        state, action = np.argwhere(free)[0]
        raise ConfigError(
            f"discount is 1, but action {action} in state {state} can be repeated for ever and costs nothing "
            f"(reward {mdp.rewards[state, action]:g}); give a discount below 1"
        )
    return gamma


def endless(mdp: MDP, pairs: np.ndarray) -> np.ndarray:
    """Return which of the `pairs` (s, a) [S, A] can be repeated without end if no others are taken.

    They are those of the maximal end components: from all states that such a pair leads to, s can be reached again.
    """
    step = mdp.transitions.tocoo()
    action, state = np.divmod(step.coords[0], mdp.states)
    successor = step.coords[1]
    left = pairs & (mdp.ends == 0) & ~mdp.terminal[:, None]
    while True:
        used = left[state, action] & (step.data > 0)
        graph = coo_array((used[used], (state[used], successor[used])), shape=(mdp.states, mdp.states))
        _, part = connected_components(graph, connection="strong")
        leaves = used & (part[state] != part[successor])
        if not leaves.any():
            return left
        left[state[leaves], action[leaves]] = False


def toward_an_end(mdp: MDP) -> np.ndarray:
    """Return for each state an action that may lead nearer to an end [S]; -1 if there is none or it is terminal.

    As a policy, these actions end with probability 1 from each state from which they can reach an end.
    """
    S = mdp.states
    step = mdp.transitions.tocoo()
    possible = step.data > 0
    action, state = np.divmod(step.coords[0][possible], S)
    successor = step.coords[1][possible]
    ending, how = np.nonzero((mdp.ends > 0) & ~mdp.terminal[:, None])
    state, action = np.concatenate([state, ending]), np.concatenate([action, how])
    successor = np.concatenate([successor, np.full(len(ending), S)])  # state S stands for the end
    backward = csr_array((np.ones(len(state)), (successor, state)), shape=(S + 1, S + 1))
    _, nearer = breadth_first_order(backward, S, return_predecessors=True)
    policy = np.full(S, -1)
    found = successor == nearer[state]
    policy[state[found]] = action[found]
    return policy
