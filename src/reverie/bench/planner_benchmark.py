"""The benchmark of planners: the backward pass of a regulator, and a swing-up from ten starts."""

import statistics
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from reverie.bench import cartpole_swingup, peer_planners
from reverie.bench.peer_planners import Planner, PlannerResult
from reverie.bench.timing import Contender, interleave, table
from reverie.control import ilqg, lqr

BATCH, REPEATS, SEEDS = 256, 20, 10


def plan(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time a regulator (n = 40, m = 10, T = 100) alone and in a batch, and the swing-up of a cart-pole."""
    with jax.enable_x64(True):
        regulator = _regulator(peers, rounds)
        batch = _batch(rounds)  # separate, since its gigabytes clear the caches
    return {
        "unit": "one backward pass; a batch's, per problem; one search",
        "regulator": regulator,
        "batch": batch,
        "swing_up": _swing_up(peers),
    }


def _regulator(peers: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    problem = cartpole_swingup.regulator()
    compiled, arrays = jax.jit(lqr.backward), jax.tree.map(jax.numpy.asarray, problem)
    contenders = [
        Contender("lqr", lambda: [jax.block_until_ready(compiled(*arrays)) for _ in range(REPEATS)], REPEATS),
        Contender("from NumPy", lambda: [lqr.solve(*problem) for _ in range(REPEATS)], REPEATS),
    ]
    if "crocoddyl" in peers:
        theirs = peer_planners.crocoddyl_regulator(*problem)
        contenders.append(Contender("crocoddyl", lambda: [theirs() for _ in range(REPEATS)], REPEATS))
    return table(interleave(contenders, rounds), "lqr")


def _batch(rounds: int) -> list[dict[str, Any]]:
    """Return times per problem: all problems by `vmap`, and one after the other in one program by `lax.map`."""
    one = cartpole_swingup.regulator()
    many = jax.tree.map(lambda part: jax.numpy.broadcast_to(part, (BATCH, *part.shape)), one)
    ways = {
        "vmap": jax.jit(jax.vmap(lqr.backward)),
        "map": jax.jit(lambda *problems: jax.lax.map(lambda problem: lqr.backward(*problem), problems)),
    }
    contenders = [
        Contender(name, lambda run=run: jax.block_until_ready(run(*many)), BATCH) for name, run in ways.items()
    ]
    return table(interleave(contenders, min(rounds, 3)), "vmap")


def ours() -> Planner:
    """Return iLQG, compiled."""
    problem = ilqg.problem(cartpole_swingup.dynamics, cartpole_swingup.cost, cartpole_swingup.final)
    ilqg.solve(problem, cartpole_swingup.HANGING, cartpole_swingup.controls(0))

    def search(U0: np.ndarray) -> PlannerResult:
        def run() -> tuple[float, int]:
            found = ilqg.solve(problem, cartpole_swingup.HANGING, U0)
            return found.cost, found.passes

        return peer_planners.timed(run)

    return search


def _swing_up(peers: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row per planner.  All planners plan from the same ten starts, in turn."""
    planners = {"ilqg": ours()} | {name: peer_planners.PLANNERS[name]() for name in peers}
    outcomes: dict[str, list[PlannerResult]] = {name: [] for name in planners}
    for seed in range(SEEDS):
        for name, planner in planners.items():
            outcomes[name].append(planner(cartpole_swingup.controls(seed)))
    return [_row(name, found) for name, found in outcomes.items()]


def _row(name: str, found: list[PlannerResult]) -> dict[str, Any]:
    costs = [outcome.cost for outcome in found]
    reached = sum(cost <= cartpole_swingup.REACHED for cost in costs)
    return {
        "name": name,
        f"J <= {cartpole_swingup.REACHED}": f"{reached} of {SEEDS}",
        "J_best": f"{min(costs):.6f}",
        "J_median": f"{statistics.median(costs):.6f}",
        "passes": statistics.median(outcome.iterations for outcome in found),
        "ms_per_pass": statistics.median(1e3 * outcome.seconds / max(outcome.iterations, 1) for outcome in found),
        "ms": statistics.median(1e3 * outcome.seconds for outcome in found),
    }
