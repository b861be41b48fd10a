"""Value iteration: V_{k+1}(s) = max_a Σ p(s', r | s, a) [r + γ V_k(s')].

Source: Sutton & Barto 2018, section 4.4, equation 4.10. It stops by bounds on the sum of later changes, see `sweeps`.
"""

from reverie.core.argument_checks import at_least_0, whole
from reverie.tabular.bellman import optimality
from reverie.tabular.mdp import MDP, checked
from reverie.tabular.solution import Solution, solution
from reverie.tabular.sweeps import iterate_to_convergence
from reverie.tabular.termination import check_discount


def value_iteration(mdp: MDP, discount: float, accuracy: float = 1e-10, iterations: int = 100_000) -> Solution:
    """Return the optimal values and policy.

    discount: γ.  accuracy: largest error of the values. If float64 does not allow it, the error is at most the returned
    `bound`. Without discounting there is no such bound: then the last change is within `accuracy`.
    iterations: most sweeps.

    Raises ConfigError where the table is wrong, where the discount is outside [0, 1], where it is 1 and an episode need
    not end, and where values are too large.
    """
    mdp = checked(mdp)
    discount, accuracy = check_discount(mdp, discount), at_least_0("accuracy", accuracy)
    iterations = whole("iterations", iterations)
    found = iterate_to_convergence(lambda V: optimality(mdp, V, discount), mdp, discount, accuracy, iterations)
    return solution(mdp, found.values, discount, found.status, found.changes, found.bound)
