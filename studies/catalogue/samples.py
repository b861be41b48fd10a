"""How many real steps agents take to a goal: NAF by what is set for it, and the agent that is recommended for the budget."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

import reverie as rv
from studies import alignment, plant, plots
from studies.doc_tables import table
from studies.learning import tested_by_steps
from studies.store import Store
from studies.study import Cell, Row, Study
from studies.summaries import curves, reached, where

COLUMNS = ("task", "variant", "seed", "step", "return_mean", "return_std", "solved")
SEEDS = 10
QUARTER_FROM = 20  # its settings were chosen on lower seeds
EPISODES = 10  # of a test
COLOURS = {"numbers": plots.GREY, "recommended": plots.GREEN, "imagining": plots.BLUE}
COMPARED = "numbers", "recommended"
CASES = 50  # of a verification of the beam, without noise
FIRST_CASE = 1000  # seed of the first


class Task(NamedTuple):
    """Where agents learn, and what counts as learnt."""

    env: str | Callable[[], gym.Env[Any, Any]]
    steps: int
    every: int  # steps between tests
    goal: float  # of `scored`
    in_words: str
    scored: str = "return_mean"
    cases: Callable[[], gym.Env[Any, Any]] | None = None  # a verification: the environment without noise
    variants: tuple[str, ...] = COMPARED
    first_seed: int = 10  # the learning rate was chosen on seeds 0 to 4 of beam4
    seeds: int = SEEDS
    recommended_from: int = 20  # its settings were chosen on lower seeds; 20: and on 40 to 45


def _beam(mirrors: int) -> Task:
    return Task(
        partial(alignment.make_env, mirrors),
        steps=800,
        every=100,
        goal=CASES,
        in_words=f"beam, {mirrors} mirrors: all {CASES} cases aligned",
        scored="solved",
        cases=partial(alignment.make_env, mirrors, 0.0),
        variants=tuple(v for v in VARIANTS if v != "tenth"),
        recommended_from=60,
    )


SCALES: dict[str, Any] = {"reward_scale": "auto", "discount": "auto"}
ALL_THREE = SCALES | {"observation_normalisation": True}
SLOW = {"learning_rate": 3e-4}
VARIANTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "tenth": {"reward_scale": 0.1},
    "scale": {"reward_scale": "auto"},
    "scale-and-discount": SCALES,
    "all-three": ALL_THREE,
    "slow": SCALES | SLOW,
    "slow-all": ALL_THREE | SLOW,
    "recent": SCALES | {"recent_share": 0.5},
    "quarter": ALL_THREE | SLOW | {"observation_scale": 0.25},
    "recommended": {},
    "imagining": {},
}
NAMES = {
    "numbers": "`rv.NAF()`",
    "tenth": "reward scale .1",
    "scale": "reward scale `auto`",
    "scale-and-discount": "reward scale and discount `auto` (1)",
    "all-three": "(1), observations normalised (2)",
    "slow": "(1), learning rate .0003",
    "slow-all": "(2), learning rate .0003",
    "recent": "(1), `recent_share` .5",
    "quarter": "(2), learning rate .0003, `observation_scale` .25",
    "recommended": "`rv.recommended`",
    "imagining": "`rv.recommended`, `imagination=True`",
}


TASKS = {
    "beam4": _beam(4),
    "plant": Task(
        plant.make_env,
        steps=2000,
        every=500,
        goal=1.1 * plant.TUNED_RETURN,
        in_words="plant: within 10 % of a tuned PI controller",
        variants=("numbers", "scale-and-discount", "all-three", "quarter", "recommended"),
        recommended_from=60,
    ),
    "Pendulum-v1": Task(
        "Pendulum-v1",
        steps=2000,
        every=500,
        goal=-200.0,
        in_words="Pendulum-v1: -200",
        variants=("numbers", "tenth", "scale", "scale-and-discount", "recommended"),
        first_seed=0,
    ),
    "InvertedPendulum-v5": Task("InvertedPendulum-v5", 3000, 500, 950.0, "InvertedPendulum-v5: 950"),
    "MountainCarContinuous-v0": Task(
        "MountainCarContinuous-v0", 15_000, 2500, 90.0, "MountainCarContinuous-v0: 90", seeds=3
    ),
    "Reacher-v5": Task("Reacher-v5", 8000, 1000, -6.0, "Reacher-v5: -6", recommended_from=60),
}


def _solved(learner: rv.Learner, cases: Callable[[], gym.Env[Any, Any]]) -> int:
    """Return how many of the numbered cases the greedy policy solves: its episode terminates.  All are played side by side."""
    envs = [cases() for _ in range(CASES)]
    seen = np.array([env.reset(seed=FIRST_CASE + case)[0] for case, env in enumerate(envs)])
    open_ones, solved = list(range(CASES)), 0
    while open_ones:
        actions = learner.predict(seen[open_ones])
        still = []
        for case, action in zip(open_ones, actions, strict=True):
            seen[case], _, terminated, truncated, _ = envs[case].step(action)
            solved += bool(terminated)
            still += [] if terminated or truncated else [case]
        open_ones = still
    return solved


def _run(name: str, variant: str, seed: int) -> Iterator[Row]:
    task = TASKS[name]

    def verified(learner: rv.Learner) -> Row:
        return {"solved": None if task.cases is None else _solved(learner, task.cases)}

    imagination = variant == "imagining"
    chosen = imagination or variant == "recommended"
    agent = rv.recommended(task.env, task.steps, imagination) if chosen else rv.NAF(**VARIANTS[variant])
    yield from tested_by_steps(agent, task.env, seed, task.steps, task.every, EPISODES, verified)


def _steps_to_goal(rows: Sequence[Row], name: str, variant: str) -> list[float]:
    """Return, by seed, after how many steps a test first reached the task's goal; never: infinite."""
    task = TASKS[name]
    found = curves(rows, x="step", y=task.scored, task=name, variant=variant)
    return [reached(found[seed], task.goal) for seed in sorted(found)]


def _kept(rows: Sequence[Row], name: str, variant: str) -> int:
    """Return how many seeds are at the goal in the last test."""
    task = TASKS[name]
    return sum(row[task.scored] >= task.goal for row in where(rows, task=name, variant=variant, step=task.steps))


def _facts(rows: list[Row]) -> dict[str, Any]:
    """Return, by task and variant, how many seeds came to the goal by each test, and how many are there in the last."""
    found: dict[str, Any] = {}
    for name, task in TASKS.items():
        for variant in VARIANTS:
            if arrived := _steps_to_goal(rows, name, variant):
                by = {step: sum(a <= step for a in arrived) for step in range(task.every, task.steps + 1, task.every)}
                own = {"seeds": len(arrived), "arrived": by, "at_the_end": _kept(rows, name, variant)}
                found.setdefault(name, {})[variant] = own | {"median": _median(arrived)}
    return found


def _median(arrived: list[float]) -> float | None:
    middle = float(np.median(arrived))
    return middle if math.isfinite(middle) else None


def _verdict(rows: list[Row]) -> Iterator[str]:
    for name, variants in _facts(rows).items():
        yield f"{TASKS[name].in_words} (tests every {TASKS[name].every} steps, {TASKS[name].steps} in all)"
        for variant, own in variants.items():
            counts = ", ".join(f"{number} by {step}" for step, number in own["arrived"].items())
            yield f"  {variant}: of {own['seeds']} seeds {counts}; {own['at_the_end']} there at the end"


def _table(name: str) -> list[str]:
    """Return how many seeds came to a task's goal, by steps, as a table."""
    found = _facts(Store(STUDY).rows())[name]
    steps = _shown(TASKS[name])
    rows = [
        [NAMES[v], own["seeds"], *(own["arrived"][s] for s in steps), own["at_the_end"]] for v, own in found.items()
    ]
    return table(("NAF with", "seeds", *(f"by {step:,}" for step in steps), "at the end"), rows)


def _budget_table() -> list[str]:
    """Return, by task, how many seeds of the defaults and of the recommended agent came to the goal, as a table."""
    rows: list[list[object]] = []
    for name, found in _facts(Store(STUDY).rows()).items():
        cells: list[object] = [TASKS[name].in_words, TASKS[name].steps]
        for variant in COMPARED:
            own = found[variant]
            cells.append(f"{max(own['arrived'].values())} of {own['seeds']} ({own['at_the_end']})")
        median = found["recommended"]["median"]
        rows.append([*cells, "–" if median is None else round(median)])
    heads = "task and goal", "budget", *(NAMES[variant] for variant in COMPARED), "steps, median"
    return table(heads, rows)


def _imagination_table() -> list[str]:
    """Return how many seeds align all cases of the beam by some steps, with and without imagination, as a table."""
    found = _facts(Store(STUDY).rows())["beam4"]
    steps = 300, 400, 500, 600, 800
    rows = [[NAMES[v], *(found[v]["arrived"][s] for s in steps)] for v in ("recommended", "imagining")]
    return table((f"of {SEEDS} seeds", *(f"by {step}" for step in steps)), rows)


def _draw(rows: list[Row], path: Path) -> None:
    """Draw the curves of the defaults and of the recommended agent, a panel for each task."""
    panels = plots.panels(3, 9.0, 5.3, rows=2)
    for axes, (name, task) in zip(panels, TASKS.items(), strict=True):
        for variant, colour in COLOURS.items():
            if found := curves(rows, x="step", y=task.scored, task=name, variant=variant):
                plots.band(axes, found, colour, NAMES[variant].replace("`", ""))
        axes.axhline(task.goal, color=plots.GOLD, linestyle=":", linewidth=1)
        plots.label(axes, "real steps", "cases solved" if task.cases else "greedy return", name)
    lines = panels[0].get_legend_handles_labels()
    panels[0].figure.legend(*lines, loc="outside lower center", ncols=len(COLOURS), frameon=False, fontsize=9)
    plots.save(panels[0], path)


def _shown(task: Task) -> list[int]:
    """Return three numbers of steps at which a table has a column."""
    return [task.every * math.ceil(task.steps * share / task.every) for share in (0.5, 0.75, 1.0)]


def _first_seed(task: Task, variant: str) -> int:
    from_where = {"quarter": QUARTER_FROM, "recommended": task.recommended_from, "imagining": task.recommended_from}
    return from_where.get(variant, task.first_seed)


def _cells() -> tuple[Cell, ...]:
    return tuple(
        (name, variant, _first_seed(task, variant) + seed)
        for seed in range(SEEDS)
        for name, task in TASKS.items()
        for variant in task.variants
        if seed < task.seeds
    )


STUDY = Study(
    name="samples",
    question="How many real steps does NAF take, by what is set for it, and the agent that is recommended for the budget?",
    variants=tuple(VARIANTS),
    tasks=tuple(TASKS),
    seeds=SEEDS,
    scored=f"the greedy return over {EPISODES} episodes, and on the beam how many of {CASES} cases are solved without noise",
    minutes=110,
    quoted=("docs/naf.md", "docs/how-to/budget.md"),
    columns=COLUMNS,
    key=("task", "variant", "seed"),
    cells=_cells(),
    split=True,
    sort_by=COLUMNS[:4],
    run=_run,
    settings=lambda stem: {"steps": TASKS[stem].steps, "goal": TASKS[stem].goal, "variants": VARIANTS},
    verdict=_verdict,
    facts=_facts,
    tables={name: partial(_table, name) for name, task in TASKS.items() if task.variants != COMPARED}
    | {"budget": _budget_table, "imagination": _imagination_table},
    pictures={"how-to/budget.png": _draw},
)
