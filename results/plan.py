"""What does planning with the exact physics score?  `python results/plan.py [NAME …]` (all if none is named).

iLQG plans whole episodes and follows its plans; MPC plans anew at each step; "fitted" is iLQG on models fitted to 50 real
episodes from the same start (what it scores is the episode after these).  Starts are those of evaluation with seed 0.
`plan.csv` holds a row per start, `plan.json` what decides it.  Starts that the CSV already holds are not planned again:
delete it to make it anew.  About 20 minutes.
"""

import csv
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reverie.control import mpc
from reverie.planning.fitted import ControllerPolicy, improve
from reverie.planning.policies import BOUNDED_OPTIONS, EpisodeStart, FeedbackPolicy, MPCPolicy, plan_episode
from reverie.training.evaluation import play
from reverie.training.provenance import versions

HERE = Path(__file__).parent
SEED, ITERATIONS = 0, 100
COLUMNS: tuple[str, ...] = (
    "domain",
    "method",
    "horizon",
    "start",
    "return",
    "planned",
    "status",
    "seconds",
    "step_seconds",
)


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
    last = list(improve(start, 10, 5, SEED))[-1]
    assert last.controller is not None
    pilot = ControllerPolicy(start, last.controller)
    total = play(pilot.greedy, pilot.make(), SEED, start.episode).total
    return Flight(total, last.update.predicted, last.update.status.name, None)


class Experiment(NamedTuple):
    """A domain, a method, and how many starts."""

    domain: str
    method: str
    horizon: int
    fly: Callable[[EpisodeStart], Flight]
    starts: int = 5


EXPERIMENTS = {
    "cartpole": Experiment("cartpole", "ilqg", 150, follow, 10),
    "reacher_single": Experiment("reacher_single", "ilqg", 150, follow, 10),
    "peg": Experiment("peg", "ilqg", 150, follow, 10),
    "canada2d": Experiment("canada2d", "ilqg", 150, follow, 10),
    "gripper": Experiment("gripper", "ilqg", 150, follow),
    "fitted-reacher_single": Experiment("reacher_single", "fitted", 150, refit),
    "fitted-peg": Experiment("peg", "fitted", 150, refit),
    "mpc-reacher": Experiment("reacher", "mpc", 50, replan(50)),
    "mpc-canada2d": Experiment("canada2d", "mpc", 50, replan(50)),
    "mpc-canada2d-150": Experiment("canada2d", "mpc", 150, replan(150)),
    "mpc-gripper": Experiment("gripper", "mpc", 50, replan(50)),
}


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows that a CSV holds."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def main(names: list[str]) -> None:
    """Plan what is missing, write a row after each start, then print means."""
    if unknown := set(names) - set(EXPERIMENTS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    facts = {"seed": SEED, "iterations": ITERATIONS, "versions": versions(), "command": "python results/plan.py"}
    (HERE / "plan.json").write_text(json.dumps(facts, indent=2) + "\n")
    file = HERE / "plan.csv"
    for name in names or EXPERIMENTS:
        domain, method, horizon, fly, starts = EXPERIMENTS[name]
        for number in range(starts):
            key = {"domain": domain, "method": method, "horizon": str(horizon), "start": str(number)}
            rows = read(file)
            if any(key.items() <= row.items() for row in rows):
                continue
            began = time.perf_counter()
            total, planned, status, step_seconds = fly(EpisodeStart(domain, SEED, number))
            seconds = time.perf_counter() - began
            rows.append(
                key
                | {"return": f"{total:.4f}", "planned": "" if planned is None else f"{planned:.4f}", "status": status}
                | {"seconds": f"{seconds:.1f}", "step_seconds": "" if step_seconds is None else f"{step_seconds:.3f}"}
            )
            with file.open("w", newline="") as lines:
                table = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
            print(*rows[-1].values(), flush=True)
        same = [r for r in read(file) if (r["domain"], r["method"], r["horizon"]) == (domain, method, str(horizon))]
        returns = [float(row["return"]) for row in same]
        print(f"{name}: {np.mean(returns):.4g} ± {np.std(returns):.2g} over {len(returns)} starts", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
