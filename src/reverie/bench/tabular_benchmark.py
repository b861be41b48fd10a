"""The benchmark of table solvers: a sparse random MDP of 10,000 states against a toolbox, and one of a million states.

All solvers get the same float64 CSR transitions and rewards, discount 0.99 and accuracy 10⁻⁶.  The time runs from there
to values and policy, including each solver's checks of its input.  The toolbox stops when its policy is that close to
the optimum, ours when the values are; both results are compared with the optimum afterwards.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from reverie.tabular.mdp import MDP, checked, random_mdp
from reverie.tabular.policy_iteration import policy_iteration, sweep
from reverie.tabular.solution import Solution
from reverie.tabular.value_iteration import value_iteration

STATES, ACTIONS, SUCCESSORS = 10_000, 4, 10
MANY = 1_000_000
DISCOUNT, ACCURACY = 0.99, 1e-6
REPEATED = 0.5  # seconds that fast solvers are repeated for


class Solved(NamedTuple):
    """Result of a solver, with the time of its loop alone."""

    values: np.ndarray
    policy: np.ndarray
    iterations: int
    loop: float  # seconds


Solver = Callable[[], Solved]


def solve(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time solvers of 10,000 states side by side, then a million states once.

    With a peer there is a single round, which takes minutes.
    """
    mdp = random_mdp(STATES, ACTIONS, SUCCESSORS)
    solvers = {"value iteration": ours(mdp, value_iteration), "policy iteration": ours(mdp, policy_iteration)}
    if "mdptoolbox" in peers:
        solvers |= toolbox(mdp)
    return {
        "unit": f"one solve; {STATES} states, {ACTIONS} actions, {SUCCESSORS} successors each; then {MANY} states",
        "rows": side_by_side(mdp, solvers, 1 if peers else rounds),
        "million": [million()],
    }


def ours(mdp: MDP, method: Callable[..., Solution]) -> Solver:
    """Return one of our solvers."""
    limit = {"accuracy": ACCURACY} if method is value_iteration else {}

    def run() -> Solved:
        checked(mdp)
        began = time.perf_counter()
        found = method(mdp, DISCOUNT, **limit)
        return Solved(found.values, found.policy, found.iterations, time.perf_counter() - began)

    return run


def toolbox(mdp: MDP) -> dict[str, Solver]:
    """Return pymdptoolbox's solvers for sparse tables of this size: its value and modified policy iteration."""
    import mdptoolbox.mdp as theirs  # pyright: ignore[reportMissingImports]

    S = mdp.states
    transitions = [csr_matrix(mdp.transitions[a * S : (a + 1) * S]) for a in range(mdp.actions)]

    def solver(kind: Any) -> Solver:
        def run() -> Solved:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the toolbox's warnings about sparse matrices
                problem = kind(transitions, mdp.rewards, DISCOUNT, epsilon=ACCURACY)
                began = time.perf_counter()
                problem.run()
            loop = time.perf_counter() - began
            return Solved(np.array(problem.V), np.array(problem.policy), problem.iter, loop)

        return run

    kinds = theirs.ValueIteration, theirs.PolicyIterationModified
    return {f"mdptoolbox {kind.__name__}": solver(kind) for kind in kinds}


def timed(solver: Solver) -> tuple[Solved, float]:
    """Return a solver's result and median time: fast solvers repeat for half a second, slow ones run once."""
    seconds: list[float] = []
    loops: list[float] = []
    while True:
        began = time.perf_counter()
        found = solver()
        seconds.append(time.perf_counter() - began)
        loops.append(found.loop)
        if sum(seconds) >= REPEATED:
            return found._replace(loop=statistics.median(loops)), statistics.median(seconds)


def side_by_side(mdp: MDP, solvers: dict[str, Solver], rounds: int) -> list[dict[str, Any]]:
    """Return a row per solver; the solvers run in turn."""
    whole: dict[str, list[float]] = {name: [] for name in solvers}
    last: dict[str, Solved] = {}
    optimum = value_iteration(mdp, DISCOUNT).values
    for _ in range(rounds):
        for name, solver in solvers.items():
            last[name], seconds = timed(solver)
            whole[name].append(seconds)
    base = whole["value iteration"]
    return [
        {
            "name": name,
            "ms": 1e3 * statistics.median(whole[name]),
            "time_over_ours": statistics.median(a / b for a, b in zip(whole[name], base, strict=True)),
            "ms_loop": 1e3 * found.loop,
            "iterations": found.iterations,
            "value_error": float(np.abs(found.values - optimum).max()),
            "policy_loss": float((optimum - sweep(mdp, found.policy, DISCOUNT)).max()),
        }
        for name, found in last.items()
    ]


def million() -> dict[str, Any]:
    """Return the time for a million states, measured once."""
    mdp = random_mdp(MANY, ACTIONS, SUCCESSORS)
    began = time.perf_counter()
    found = value_iteration(mdp, DISCOUNT, ACCURACY)
    seconds = time.perf_counter() - began
    row = {"name": f"value iteration, {MANY} states", "seconds": seconds, "iterations": found.iterations}
    return row | {"status": found.status.name, "bound": found.bound}
