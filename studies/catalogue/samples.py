"""How many real steps NAF takes to a goal, by what is set for it and what is left to it."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

import reverie as rv
from studies import alignment, plant
from studies.doc_tables import table
from studies.learning import tested_by_steps
from studies.store import Store
from studies.study import Cell, Row, Study
from studies.summaries import curves, reached, where

COLUMNS = ("task", "variant", "seed", "step", "return_mean", "return_std", "solved")
SEEDS = 10
FIRST_SEED = {"quarter": 20}  # its settings were chosen on seeds 10 to 15
EPISODES = 10  # of a test
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
    variants: tuple[str, ...] = ("numbers", "scale-and-discount", "all-three", "quarter")
    first_seed: int = 10  # the learning rate was chosen on seeds 0 to 4 of beam4


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
}
NAMES = {
    "numbers": "defaults: scale 1, discount .99",
    "tenth": "reward scale .1",
    "scale": "reward scale `auto`",
    "scale-and-discount": "reward scale and discount `auto` (1)",
    "all-three": "(1), observations normalised (2)",
    "slow": "(1), learning rate .0003",
    "slow-all": "(2), learning rate .0003",
    "recent": "(1), `recent_share` .5",
    "quarter": "(2), learning rate .0003, `observation_scale` .25",
}


TASKS = {
    "beam4": _beam(4),
    "plant": Task(plant.make_env, 2000, 500, 1.1 * plant.TUNED_RETURN, "plant: within 10 % of a tuned PI controller"),
    "Pendulum-v1": Task(
        "Pendulum-v1",
        steps=2000,
        every=500,
        goal=-200.0,
        in_words="Pendulum-v1: -200",
        variants=("numbers", "tenth", "scale", "scale-and-discount", "quarter"),
        first_seed=0,
    ),
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

    agent = rv.NAF(**VARIANTS[variant])
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


def _shown(task: Task) -> list[int]:
    """Return three numbers of steps at which a table has a column."""
    return [task.every * math.ceil(task.steps * share / task.every) for share in (0.5, 0.75, 1.0)]


def _cells() -> tuple[Cell, ...]:
    return tuple(
        (name, variant, FIRST_SEED.get(variant, task.first_seed) + seed)
        for seed in range(SEEDS)
        for name, task in TASKS.items()
        for variant in task.variants
    )


STUDY = Study(
    name="samples",
    question="How many real steps does NAF take, by what is set for it and what is left to it?",
    variants=tuple(VARIANTS),
    tasks=tuple(TASKS),
    seeds=SEEDS,
    scored=f"the greedy return over {EPISODES} episodes, and on the beam how many of {CASES} cases are solved without noise",
    minutes=45,
    quoted=("docs/naf.md",),
    columns=COLUMNS,
    key=("task", "variant", "seed"),
    cells=_cells(),
    split=True,
    sort_by=COLUMNS[:4],
    run=_run,
    settings=lambda stem: {"steps": TASKS[stem].steps, "goal": TASKS[stem].goal, "variants": VARIANTS},
    verdict=_verdict,
    facts=_facts,
    tables={name: partial(_table, name) for name in TASKS},
)
