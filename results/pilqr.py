"""PILQR beside its halves, given equal real episodes.  `python results/pilqr.py [TASK …]` (all if none is named).

Each run is 20 times 20 real episodes, a fit and a step, all from one start, that of evaluation with the run's seed.
`pilqr.csv` holds a row per iteration: the mean return of its 20 episodes (`sampled`) and what the controller made of them
returns by its mean, in one more episode that nobody learns from (`greedy`).  Methods: both stages with one temperature;
`separate`, both stages with a temperature each, as in the authors' code; either stage alone; `ilqg`, the KL-bounded LQR of
`reverie plan --method ilqg --model fitted`.  Runs that the CSV already holds are not repeated: delete it to make it anew.
`pilqr.json` holds what decides it, final means with 95 % intervals and differences seed by seed; `docs/pilqr.png` is drawn
last.  About half an hour.
"""

import csv
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reverie.control.pilqr_step import PILQR
from reverie.planning.fitted import ControllerPolicy, LqrKl, improve
from reverie.planning.pilqr import Pilqr
from reverie.planning.policies import EpisodeStart
from reverie.training.evaluation import play, summary
from reverie.training.provenance import versions

HERE = Path(__file__).parent
ROUNDS, EPISODES = 20, 20
TASKS = {"point_mass": 10, "reacher_single": 5, "gripper_single": 5}  # seeds of each
COLUMNS: tuple[str, ...] = ("task", "method", "seed", "iteration", "episodes", "sampled", "greedy", "status")
COLOURS = {"both": "#1f4e79", "separate": "#7fa7cc", "pi2": "#c04040", "lqr": "#3a8f4d", "ilqg": "#999999"}
METHODS: dict[str, Callable[..., Any]] = {
    "both": functools.partial(Pilqr, settings=PILQR()),
    "separate": functools.partial(Pilqr, settings=PILQR(shared=False)),
    "lqr": functools.partial(Pilqr, settings=PILQR(stages="lqr")),
    "pi2": functools.partial(Pilqr, settings=PILQR(stages="pi2")),
    "ilqg": LqrKl,
}


def run(task: str, method: str, seed: int) -> list[dict[str, Any]]:
    """Return a row per iteration."""
    start, rows = EpisodeStart(task, seed), []
    for done in improve(start, ROUNDS, EPISODES, seed, METHODS[method]):
        assert done.controller is not None
        pilot = ControllerPolicy(start, done.controller)
        greedy = play(pilot.greedy, pilot.make(), seed, 0).total
        row = {"task": task, "method": method, "seed": str(seed), "iteration": len(rows) + 1}
        row |= {"episodes": (len(rows) + 1) * EPISODES, "sampled": f"{np.mean(done.returns):.5g}"}
        rows.append(row | {"greedy": f"{greedy:.5g}", "status": done.update.status.name})
    return rows


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows that a CSV holds."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def table(rows: list[dict[str, Any]], task: str, method: str) -> dict[str, list[float]]:
    """Return the greedy returns by seed, one for each iteration."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if (row["task"], row["method"]) == (task, method):
            found.setdefault(row["seed"], []).append(float(row["greedy"]))
    return found


def told(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return final returns of each task and method, and how far PILQR is ahead of each seed by seed."""
    facts: dict[str, Any] = {}
    for task in TASKS:
        last = {m: {s: r[-1] for s, r in table(rows, task, m).items()} for m in METHODS}
        facts[task] = {m: _interval(list(finals.values())) for m, finals in last.items() if finals}
        for method, finals in last.items():
            ahead = [last["both"][seed] - finals[seed] for seed in finals if seed in last["both"]]
            if method != "both" and ahead:
                facts[task][f"both - {method}"] = _interval(ahead)
    return facts


def _interval(values: list[float]) -> dict[str, Any]:
    facts = summary(values)
    return {"mean": facts["mean"], "interval_95": facts["interval_95"], "seeds": len(values)}


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw medians and quartiles over real episodes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(TASKS), figsize=(9, 2.8), layout="constrained")
    for axis, task in zip(axes, TASKS, strict=True):
        for method, colour in COLOURS.items():
            found = np.array(list(table(rows, task, method).values()))
            if not len(found):
                continue
            episodes = EPISODES * np.arange(1, found.shape[1] + 1)
            low, middle, high = np.percentile(found, (25, 50, 75), axis=0)
            axis.fill_between(episodes, low, high, color=colour, alpha=0.15, lw=0)
            axis.plot(episodes, middle, color=colour, label=method, lw=1.3)
        axis.set(title=task, xlabel="real episodes")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("return of the mean controller")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(HERE.parent / "docs" / "pilqr.png", dpi=75, pil_kwargs={"optimize": True})


def main(names: list[str]) -> None:
    """Run what is missing, then print and draw."""
    if unknown := set(names) - set(TASKS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    file = HERE / "pilqr.csv"
    for task in names or TASKS:
        for seed in range(TASKS[task]):
            for method in METHODS:
                if str(seed) in table(read(file), task, method):
                    continue
                new = run(task, method, seed)
                rows = read(file) + new  # read again: another process may have added to it
                with file.open("w", newline="") as lines:
                    writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
                print(task, method, seed, new[-1]["greedy"], flush=True)
    rows = read(file)
    facts = {"command": "python results/pilqr.py", "rounds": ROUNDS, "episodes": EPISODES, "seeds": TASKS}
    facts |= {"settings": vars(PILQR()), "versions": versions(), "final": told(rows)}
    (HERE / "pilqr.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts["final"], indent=1))
    draw(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
