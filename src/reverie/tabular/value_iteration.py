"""Value iteration: V_{k+1}(s) = max_a Σ p(s', r | s, a) [r + γ V_k(s')], eq. 4.10 of Sutton & Barto 2018, section 4.4.

Stops by bounds on what is still to come, see `sweeps`.
"""

from reverie.core.argument_checks import at_least_0, whole
from reverie.tabular.bellman import optimality
from reverie.tabular.mdp import MDP, checked
from reverie.tabular.solution import Solution, solution
from reverie.tabular.sweeps import iterate_to_convergence
from reverie.tabular.termination import check_discount


def value_iteration(mdp: MDP, discount: float, accuracy: float = 1e-10, iterations: int = 100_000) -> Solution:
    """Return the optimal values and policy, to `accuracy` or, where float64 cannot tell so much, to the `bound` returned.

    Without discounting there is no such bound: then the last change is within `accuracy`.
    Raises ConfigError where the table is none, the discount lies outside [0, 1], or is 1 and an episode need not end, or
    values go beyond what can be calculated with.
    """
    mdp = checked(mdp)
    discount, accuracy = check_discount(mdp, discount), at_least_0("accuracy", accuracy)
    iterations = whole("iterations", iterations)
    found = iterate_to_convergence(lambda V: optimality(mdp, V, discount), mdp, discount, accuracy, iterations)
    return solution(mdp, found.values, discount, found.status, found.changes, found.bound)
