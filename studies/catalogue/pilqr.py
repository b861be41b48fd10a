"""PILQR beside its halves, given equal real episodes.

Each run is 20 times 20 real episodes, a fit and a step, all from one start: that of evaluation with the run's seed.  Methods:
both stages with one temperature; `separate`, both stages with a temperature each, as in the authors' code; either stage alone;
`ilqg`, the KL-bounded LQR of `reverie plan --method ilqg --model fitted`.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reverie.control.pilqr_step import PILQR
from reverie.planning.fitted import ControllerPolicy, LqrKl, improve
from reverie.planning.pilqr import Pilqr
from reverie.planning.policies import EpisodeStart
from reverie.training.evaluation import play, summary
from studies import plots
from studies.study import Row, Study
from studies.summaries import where

ROUNDS, EPISODES = 20, 20
TASKS = {"point_mass": 10, "reacher_single": 5, "gripper_single": 5}  # seeds of each
COLOURS = {"both": "#1f4e79", "separate": "#7fa7cc", "pi2": "#c04040", "lqr": "#3a8f4d", "ilqg": "#999999"}
METHODS: dict[str, Callable[..., Any]] = {
    "both": functools.partial(Pilqr, settings=PILQR()),
    "separate": functools.partial(Pilqr, settings=PILQR(shared=False)),
    "lqr": functools.partial(Pilqr, settings=PILQR(stages="lqr")),
    "pi2": functools.partial(Pilqr, settings=PILQR(stages="pi2")),
    "ilqg": LqrKl,
}
COLUMNS = ("task", "method", "seed", "iteration", "episodes", "sampled", "greedy", "status")


def run(task: str, method: str, seed: int, rounds: int = ROUNDS) -> Iterator[Row]:
    """Yield a row per iteration: the mean return of its episodes, and of one more that the mean controller drives."""
    start = EpisodeStart(task, seed)
    for iteration, done in enumerate(improve(start, rounds, EPISODES, seed, METHODS[method]), 1):
        assert done.controller is not None
        policy = ControllerPolicy(start, done.controller)
        greedy = play(policy.greedy, policy.make(), seed, 0).total
        row = {"iteration": iteration, "episodes": iteration * EPISODES, "sampled": f"{np.mean(done.returns):.5g}"}
        yield row | {"greedy": f"{greedy:.5g}", "status": done.update.status.name}


def _returns(rows: list[Row], task: str, method: str) -> dict[int, list[float]]:
    """Return the greedy returns by seed, one for each iteration."""
    found: dict[int, list[float]] = {}
    for row in where(rows, task=task, method=method):
        found.setdefault(row["seed"], []).append(row["greedy"])
    return found


def _facts(rows: list[Row]) -> dict[str, Any]:
    """Return final returns of each task and method, and how far PILQR is ahead of each seed by seed."""
    facts: dict[str, Any] = {}
    for task in TASKS:
        last = {m: {s: r[-1] for s, r in _returns(rows, task, m).items()} for m in METHODS}
        facts[task] = {m: _interval(list(finals.values())) for m, finals in last.items() if finals}
        for method, finals in last.items():
            ahead = [last["both"][seed] - finals[seed] for seed in finals if seed in last["both"]]
            if method != "both" and ahead:
                facts[task][f"both - {method}"] = _interval(ahead)
    return facts


def _interval(values: list[float]) -> dict[str, Any]:
    facts = summary(values)
    return {"mean": facts["mean"], "interval_95": facts["interval_95"], "seeds": len(values)}


def _verdict(rows: list[Row]) -> Iterator[str]:
    for task, found in _facts(rows).items():
        yield f"{task}, greedy return after {ROUNDS * EPISODES} real episodes:"
        for name, of in found.items():
            bounds = ", ".join(f"{bound:.5g}" for bound in of["interval_95"] if bound is not None)
            yield f"  {name:15} {of['mean']:.5g} [{bounds}], {of['seeds']} seeds"


def _draw(rows: list[Row], path: Path) -> None:
    """Draw medians and quartiles over real episodes."""
    panels = plots.panels(len(TASKS), 9, 2.8)
    for axes, task in zip(panels, TASKS, strict=True):
        for method, colour in COLOURS.items():
            found = np.array(list(_returns(rows, task, method).values()))
            if not len(found):
                continue
            episodes = EPISODES * np.arange(1, found.shape[1] + 1)
            low, middle, high = np.percentile(found, (25, 50, 75), axis=0)
            axes.fill_between(episodes, low, high, color=colour, alpha=0.15, lw=0)
            axes.plot(episodes, middle, color=colour, label=method, lw=1.3)
        axes.set(title=task, xlabel="real episodes")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("return of the mean controller")
    panels[0].legend(frameon=False, fontsize=8)
    plots.save(panels[0], path, dpi=75, pil_kwargs={"optimize": True})


STUDY = Study(
    name="pilqr-halves",
    question="Is PILQR ahead of its halves, given equal real episodes?",
    variants=tuple(METHODS),
    tasks=tuple(TASKS),
    seeds=TASKS,
    scored="returns of an iteration's episodes, and of one that the mean controller drives",
    minutes=30,
    quoted=("docs/pilqr.md",),
    columns=COLUMNS,
    key=("task", "method", "seed"),
    cells=tuple((task, method, seed) for task in TASKS for seed in range(TASKS[task]) for method in METHODS),
    run=run,
    settings=lambda stem: {"rounds": ROUNDS, "episodes": EPISODES, "settings": vars(PILQR())},
    facts=_facts,
    verdict=_verdict,
    pictures={"pilqr.png": _draw},
)
