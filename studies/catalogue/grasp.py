"""Do the grippers need a grasp?  Plans with the exact physics, with free fingers and with fingers that are locked.

Locked fingers can push the object along like a scoop.  "open" locks them where they are at the start, "narrow" where the
object only just passes between them.
"""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from reverie.control import ilqg
from reverie.core.seeds import EVALUATE, seed_of
from reverie.domains import DOMAINS, batched
from reverie.domains.domain import ops_of
from reverie.domains.gripper import OPEN, Grasp
from reverie.environments.simulator import DomainSimulator
from reverie.planning.policies import plan_ahead
from reverie.planning.problem import PlanningProblem
from studies.study import Row, Study
from studies.summaries import where

SEED, ITERATIONS, END = 0, 60, 50  # END: steps at the end of an episode over which the gap is taken
HEAVY = 1e3  # kg m², inertia of a finger that nothing moves
FINGERS = {"free": None, "open": OPEN, "narrow": -0.05}  # rad, where the fingers are locked
STARTS = {"gripper": 2, "gripper_m": 1}
COLUMNS = ("domain", "variant", "start", "return", "away", "gap", "status", "seconds")


def lock(spec: Any) -> None:
    """Keep the fingers of an `mujoco.MjSpec` where they are, by making them heavy."""
    for name in ("hand/fl", "hand/fr"):
        spec.joint(name).armature = HEAVY


def problem(name: str, variant: str, start: int) -> tuple[PlanningProblem, np.ndarray]:
    """Return the planning problem of a gripper and the first state [nq + nv] of an episode.

    name: of the domain.  variant: of `FINGERS`.  start: number of the evaluation episode.
    """
    domain, angle = DOMAINS[name], FINGERS[variant]
    begin = domain.start(np.random.default_rng(seed_of(SEED, EVALUATE, start)))
    q = np.array(begin.q, float)
    if angle is not None:
        domain = dataclasses.replace(domain, edit=lock)
        q[-5:-3] = angle
    return PlanningProblem(DomainSimulator(domain, begin.target)), np.concatenate([q, begin.v])


def grasps(planning: PlanningProblem, plan: ilqg.Plan) -> Grasp:
    """Return where the object is after each step of a plan: arrays [T] instead of numbers."""
    simulator = planning.simulator
    assert isinstance(simulator, DomainSimulator)
    states = batched.split(simulator.domain, plan.states[1:])
    return simulator.domain.features(states, tuple(simulator.target), ops_of(plan.states))


def _run(domain: str, variant: str, start: int) -> Iterator[Row]:
    began = time.perf_counter()
    planning, x = problem(domain, variant, start)
    plan = plan_ahead(planning, x, DOMAINS[domain].horizon, ITERATIONS, SEED)
    found = grasps(planning, plan)
    yield {
        "return": f"{planning.predict_return(plan.states, plan.actions):.4f}",
        "away": f"{np.median(np.hypot(*found.from_target)[-END:]):.4f}",
        "gap": f"{np.median(found.gap[-END:]):.4f}",
        "status": plan.status.name,
        "seconds": f"{time.perf_counter() - began:.1f}",
    }


def _verdict(rows: list[Row]) -> Iterator[str]:
    for row in (row for domain in STARTS for variant in FINGERS for row in where(rows, domain=domain, variant=variant)):
        yield (
            f"{row['domain']}, fingers {row['variant']}, start {row['start']}: {row['return']}; over the last {END} steps "
            f"the object is {1000 * row['away']:.0f} mm from the target, and {1000 * row['gap']:.0f} mm from the fingers"
        )


STUDY = Study(
    name="grasp",
    question="Do the grippers need a grasp?",
    variants=tuple(FINGERS),
    tasks=tuple(STARTS),
    seeds=1,
    scored="the return of a plan for each start, and medians of two distances, m, over the last 50 steps",
    minutes=39,
    quoted=("docs/domains.md",),
    columns=COLUMNS,
    key=("domain", "variant", "start"),
    cells=tuple((domain, variant, start) for domain, n in STARTS.items() for variant in FINGERS for start in range(n)),
    run=_run,
    settings=lambda stem: {"seed": SEED, "iterations": ITERATIONS, "fingers": FINGERS},
    verdict=_verdict,
)
