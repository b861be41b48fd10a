"""The contest of planners: one regulator's backward pass, and a swing-up from ten starts."""

import statistics
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from reverie.bench import rivals, swing
from reverie.bench.measure import Contender, interleave, table
from reverie.bench.rivals import Outcome, Planner
from reverie.control import ilqg, lqr

BATCH, REPEATS, SEEDS = 256, 5, 10


def plan(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time a regulator (n = 40, m = 10, T = 100) alone and in a batch, and the swing-up of a cart-pole."""
    return {
        "unit": "one backward pass; one search",
        "regulator": _regulator(peers, rounds),
        "swing_up": _swing_up(peers),
    }


def _regulator(peers: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    problem = swing.regulator()
    with jax.enable_x64(True):
        one, many = jax.jit(lqr.backward), jax.jit(jax.vmap(lqr.backward))
        alone = jax.tree.map(jax.numpy.asarray, problem)
        batch = jax.tree.map(lambda part: jax.numpy.broadcast_to(part, (BATCH, *part.shape)), alone)
        contenders = [
            Contender("lqr", lambda: [jax.block_until_ready(one(*alone)) for _ in range(REPEATS)], REPEATS),
            Contender("from NumPy", lambda: [lqr.solve(*problem) for _ in range(REPEATS)], REPEATS),
            Contender(f"batch of {BATCH}", lambda: jax.block_until_ready(many(*batch)), BATCH),
        ]
        if "crocoddyl" in peers:
            theirs = rivals.crocoddyl_regulator(*problem)
            contenders.append(Contender("crocoddyl", lambda: [theirs() for _ in range(REPEATS)], REPEATS))
        return table(interleave(contenders, rounds), "lqr")


def ours() -> Planner:
    """Return iLQG, compiled."""
    problem = ilqg.problem(swing.dynamics, swing.cost, swing.final)
    ilqg.solve(problem, swing.HANGING, swing.controls(0))

    def search(U0: np.ndarray) -> Outcome:
        def run() -> tuple[float, int]:
            found = ilqg.solve(problem, swing.HANGING, U0)
            return found.cost, found.passes

        return rivals.timed(run)

    return search


def _swing_up(peers: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row per planner: all plan from the same ten starts, in turns."""
    planners = {"ilqg": ours()} | {name: rivals.PLANNERS[name]() for name in peers}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in planners}
    for seed in range(SEEDS):
        for name, planner in planners.items():
            outcomes[name].append(planner(swing.controls(seed)))
    return [_row(name, found) for name, found in outcomes.items()]


def _row(name: str, found: list[Outcome]) -> dict[str, Any]:
    costs = [outcome.cost for outcome in found]
    reached = sum(cost <= swing.REACHED for cost in costs)
    return {
        "name": name,
        f"J <= {swing.REACHED}": f"{reached} of {SEEDS}",
        "J_best": f"{min(costs):.6f}",
        "J_median": f"{statistics.median(costs):.6f}",
        "passes": statistics.median(outcome.iterations for outcome in found),
        "ms_per_pass": statistics.median(1e3 * outcome.seconds / max(outcome.iterations, 1) for outcome in found),
        "ms": statistics.median(1e3 * outcome.seconds for outcome in found),
    }
