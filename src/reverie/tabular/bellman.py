"""The two Bellman equations as functions of a table of values.  Sutton & Barto 2018, chapters 3 and 4.

Equation numbers are those of the book. Values [S] are float64. Terminal states have value 0, because their rows are
empty.
"""

import numpy as np
from scipy.sparse import csr_array

from reverie.tabular.mdp import MDP

TIE = 1e-10  # values that differ by less, relative to the largest, differ only by rounding errors


def action_values(mdp: MDP, V: np.ndarray, discount: float) -> np.ndarray:
    """Return the action values Q(s, a) = Σ p(s', r | s, a) [r + γ V(s')]  [S, A].  Equation 4.6.

    V: [S].  discount: γ.
    """
    Q = (mdp.transitions @ V).reshape(mdp.actions, mdp.states)
    Q *= discount
    Q += mdp.rewards.T
    return Q.T


def optimality(mdp: MDP, V: np.ndarray, discount: float) -> np.ndarray:
    """Return max_a Q(s, a) [S], the right-hand side of the Bellman optimality equation.  Equations 3.19 and 4.10.

    V: [S].  discount: γ.
    """
    return action_values(mdp, V, discount).max(1)


def expectation(chain: MDP, V: np.ndarray, discount: float) -> np.ndarray:
    """Return r_π + γ P_π V [S], the right-hand side of the Bellman equation of a policy.  Equations 4.4 and 4.5.

    chain: what `under` returns for the policy.  V: [S].  discount: γ.
    """
    return action_values(chain, V, discount)[:, 0]


def greedy(Q: np.ndarray) -> np.ndarray:
    """Return the best action in each state [S]; of equal ones the first.  Q: [S, A].  Equation 4.9."""
    slack = TIE * max(np.abs(Q).max(), 1e-300)
    return (Q >= Q.max(1, keepdims=True) - slack).argmax(1)


def under(mdp: MDP, policy: np.ndarray) -> MDP:
    """Return the MDP with one action that results from following a policy.

    policy: actions [S], or probabilities π(a | s) [S, A].
    """
    S, A = mdp.states, mdp.actions
    pi = np.eye(A)[policy] if policy.ndim == 1 else policy
    # W [S, A S] has π(a | s) at (s, a S + s), so W P is Σ_a π(a | s) p(s' | s, a).
    columns = np.arange(A) * S + np.arange(S)[:, None]
    W = csr_array((pi.ravel(), columns.ravel(), np.arange(0, S * A + 1, A)), shape=(S, A * S), copy=True)
    W.eliminate_zeros()  # in place, hence the copy

    def mean(part: np.ndarray) -> np.ndarray:
        return (pi * part).sum(1, keepdims=True)

    return mdp._replace(transitions=W @ mdp.transitions, ends=mean(mdp.ends), rewards=mean(mdp.rewards))
