"""What does an episode of the MPC planner cost and score, by how it searches?

The planner acts in whole episodes, with its noise. The searches take the same starts and the same noise, one after another
in one process, and each seed begins with another of them. Only ratios of their times mean anything. They are processor
time, which other programs on the machine disturb less than time on the clock.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from reverie.algorithms.naf import NAF
from reverie.environments.env_factory import make_env
from reverie.environments.exact_dynamics import known_dynamics_of
from reverie.environments.simulator import state_of
from reverie.imagination.settings import Imagination
from reverie.models.exact import Exact
from reverie.planning.costs import cost_derivatives
from reverie.planning.planners import MpcPlanner
from studies.study import Row, Study
from studies.summaries import spread, where

SEARCHES: dict[str, dict[str, Any]] = {
    "thorough, 3": {},
    "quick, 2": {"plan_search": "quick", "plan_iterations": 2},
    "quick, 1": {"plan_search": "quick", "plan_iterations": 1},
}
FIRST = next(iter(SEARCHES))
TASKS, SEEDS = ("reacher", "cartpole"), 3
COLUMNS = ("domain", "variant", "seed", "return", "seconds")


def planner_of(domain: str, variant: str) -> MpcPlanner:
    """Return the planner of a variant, with everything compiled that it calls."""
    world = make_env(domain)
    known = known_dynamics_of(world)
    assert known is not None
    planner = MpcPlanner(Imagination(NAF(), Exact(), plan="mpc", **SEARCHES[variant]), known, world.spec.action_dim)
    start = known.domain.start(np.random.default_rng(0))
    x, u = np.array([*start.q, *start.v]), np.zeros(world.spec.action_dim)
    for count in (1, 2, 4, 8, 16, 32, 64):  # steps left: derivatives of the cost are compiled for each of these sizes
        states, actions = np.tile(x, (count, 1)), np.tile(u, (count, 1))
        cost_derivatives(known.domain, states, actions, states, start.target)
    world.close()
    planner.rehearse()
    return planner


def fly(planner: MpcPlanner, domain: str, seed: int) -> tuple[float, float]:
    """Return (return, seconds of planning) of an episode in which the planner acts."""
    world = make_env(domain)
    world.reset(seed)
    inner: Any = world.env.unwrapped
    noise = np.random.default_rng(seed)
    planner.begin(np.asarray(inner.target, float))
    total, seconds, over, step = 0.0, 0.0, False, 0
    while not over:
        began = time.process_time()
        action = planner.act(state_of(world), noise.standard_normal(world.spec.action_dim)).astype(np.float32)
        seconds, step = seconds + time.process_time() - began, step + 1
        reward, _, terminated, truncated = world.step(world.spec.to_world(action), step)
        total, over = total + reward, terminated or truncated
    world.close()
    return total, seconds


def _run(domain: str, seed: int) -> Iterator[Row]:
    names = list(SEARCHES)
    names = names[seed % len(names) :] + names[: seed % len(names)]
    planners = {name: planner_of(domain, name) for name in names}
    for name in names:
        total, seconds = fly(planners[name], domain, seed)
        yield {"variant": name, "return": round(total, 4), "seconds": round(seconds, 3)}


def _verdict(rows: list[Row]) -> Iterator[str]:
    for task in TASKS:
        slow = where(rows, domain=task, variant=FIRST)
        for name in SEARCHES if slow else ():
            mine = where(rows, domain=task, variant=name)
            times = [one["seconds"] / other["seconds"] for one, other in zip(slow, mine, strict=True)]
            worse = [one["return"] - other["return"] for one, other in zip(slow, mine, strict=True)]
            speed = f"{np.median(times):.2g} times as fast ({min(times):.2g} to {max(times):.2g})"
            yield f"{task}, {name}: {spread([row['return'] for row in mine])}, worse by {np.mean(worse):.3f}; {speed}"


STUDY = Study(
    name="mpc-speed",
    question="What does an episode of the MPC planner cost and score, by how it searches?",
    variants=tuple(SEARCHES),
    tasks=TASKS,
    seeds=SEEDS,
    scored="the return of an episode, and seconds of planning in one process",
    minutes=10,
    quoted=("docs/planning.md",),
    columns=COLUMNS,
    key=("domain", "seed"),
    cells=tuple((task, seed) for task in TASKS for seed in range(SEEDS)),
    run=_run,
    verdict=_verdict,
)
