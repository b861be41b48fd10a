"""What planning with the exact physics scores.

iLQG plans whole episodes and follows its plans.  MPC plans anew at each step.  "fitted" is iLQG on models fitted to 50 real
episodes from the same start, scored in the episode after these.  Starts are those of evaluation with seed 0.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from reverie.control import mpc
from reverie.planning.fitted import ControllerPolicy, improve
from reverie.planning.policies import BOUNDED_OPTIONS, EpisodeStart, FeedbackPolicy, MPCPolicy, plan_episode
from reverie.training.evaluation import play
from studies.study import Row, Study
from studies.summaries import spread, where

SEED, ITERATIONS, HORIZON = 0, 100, 150
ROUNDS, EPISODES = 10, 5  # fits of a controller, and real episodes before each
COLUMNS = ("domain", "method", "horizon", "start", "return", "planned", "status", "seconds", "step_seconds")


class Flight(NamedTuple):
    """What one start came to."""

    total: float  # return in the environment
    planned: float | None  # what the plan said of it
    status: str
    step_seconds: float | None  # median, of a plan at each step


def follow(start: EpisodeStart) -> Flight:
    """Plan an episode, then follow the plan."""
    plan = plan_episode(start, ITERATIONS, SEED)
    pilot = FeedbackPolicy(start, plan)
    total = play(pilot.greedy, pilot.make(), SEED, start.episode).total
    return Flight(total, start.planning.predict_return(plan.states, plan.actions), plan.status.name, None)


def replan(horizon: int) -> Callable[[EpisodeStart], Flight]:
    """Return the function that plans `horizon` steps at each step."""

    def fly(start: EpisodeStart) -> Flight:
        pilot = MPCPolicy(start, mpc.MPCOptions(horizon=horizon, options=BOUNDED_OPTIONS), SEED)
        total = play(pilot.greedy, pilot.make(), SEED, start.episode).total
        return Flight(total, None, pilot.statuses.most_common(1)[0][0].name, float(np.median(pilot.seconds)))

    return fly


def refit(start: EpisodeStart) -> Flight:
    """Improve a controller on models fitted to real episodes, 10 times 5 of them, then follow its mean."""
    last = list(improve(start, ROUNDS, EPISODES, SEED))[-1]
    assert last.controller is not None
    pilot = ControllerPolicy(start, last.controller)
    total = play(pilot.greedy, pilot.make(), SEED, start.episode).total
    return Flight(total, last.update.predicted, last.update.status.name, None)


METHODS: dict[tuple[str, int], Callable[[EpisodeStart], Flight]] = {
    ("ilqg", HORIZON): follow,
    ("fitted", HORIZON): refit,
    ("mpc", 50): replan(50),
    ("mpc", HORIZON): replan(HORIZON),
}
STARTS = {
    ("cartpole", "ilqg", HORIZON): 10,
    ("reacher_single", "ilqg", HORIZON): 10,
    ("peg", "ilqg", HORIZON): 10,
    ("canada2d", "ilqg", HORIZON): 10,
    ("reacher_single", "fitted", HORIZON): 5,
    ("peg", "fitted", HORIZON): 5,
    ("gripper", "ilqg", HORIZON): 5,
    ("reacher", "mpc", 50): 5,
    ("canada2d", "mpc", 50): 5,
    ("canada2d", "mpc", HORIZON): 5,
    ("gripper", "mpc", 50): 5,
}


def _run(domain: str, method: str, horizon: int, start: int) -> Iterator[Row]:
    began = time.perf_counter()
    total, planned, status, step_seconds = METHODS[method, horizon](EpisodeStart(domain, SEED, start))
    yield {
        "return": f"{total:.4f}",
        "planned": "" if planned is None else f"{planned:.4f}",
        "status": status,
        "seconds": f"{time.perf_counter() - began:.1f}",
        "step_seconds": "" if step_seconds is None else f"{step_seconds:.3f}",
    }


def _verdict(rows: list[Row]) -> Iterator[str]:
    for domain, method, horizon in STARTS:
        mine = where(rows, domain=domain, method=method, horizon=horizon)
        if mine:
            returns, seconds = ([row[column] for row in mine] for column in ("return", "seconds"))
            yield (
                f"{domain}, {method} over {horizon} steps: {spread(returns)}, from {min(returns):g} to {max(returns):g}; "
                f"{np.median(seconds):.3g} s an episode"
            )


STUDY = Study(
    name="plan",
    question="What does planning with the exact physics score?",
    variants=("ilqg", "mpc", "fitted"),
    tasks=tuple(dict.fromkeys(domain for domain, _, _ in STARTS)),
    seeds=1,
    scored="the return of an episode for each start, what the plan promised, and seconds",
    minutes=20,
    quoted=("docs/planning.md",),
    columns=COLUMNS,
    key=("domain", "method", "horizon", "start"),
    cells=tuple((*key, start) for key, starts in STARTS.items() for start in range(starts)),
    run=_run,
    settings=lambda stem: {"seed": SEED, "iterations": ITERATIONS},
    verdict=_verdict,
)
