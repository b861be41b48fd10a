"""NAF alone: on standard tasks with and without normalisation, and with the paper's settings on the paper's tasks.

Every cell trains with one seed and tests the greedy policy over 20 episodes at fixed steps.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import reverie as rv
from reverie.experiments.spec.paper_numbers import TABLE1
from studies import plots
from studies.learning import tested_by_steps
from studies.study import Row, Study
from studies.summaries import curves, reached, shown

TEST_EPISODES = 20
HORIZON, KETTLE_HORIZON = 150, 60  # steps of an episode of the paper's domains, and of the kettle
FULL_POWER = -27.2  # return of a kettle that is never switched off
COLUMNS = ("experiment", "seed", "step", "return_mean", "return_std")
SCORED = f"mean and deviation of the greedy return over {TEST_EPISODES} episodes, at fixed steps"


class Curve(NamedTuple):
    """One learning curve: where, with which settings, and what was asked of it."""

    env: str
    steps: int
    every: int
    settings: dict[str, Any]
    target: float
    wanted: int  # seeds that must reach the target within `steps`
    seeds: int = 5


def _changed(curve: Curve, normalisation: str) -> Curve:
    return curve._replace(settings=curve.settings | {"normalisation": normalisation}, wanted=0)


def _as_paper(domain: str, episodes: int, every: int, seeds: int) -> Curve:
    """Return NAF with the paper's settings, for as many episodes as the paper needed.  The target: within 10 % of its score."""
    score = TABLE1[domain].naf
    settings = dataclasses.asdict(rv.NAF.paper(domain))
    target = round(score - 0.1 * abs(score), 4)
    return Curve(domain, HORIZON * episodes, HORIZON * every, settings, target, seeds, seeds)


STANDARD = {
    "pendulum": Curve("Pendulum-v1", 3_000, 250, {"reward_scale": 0.1}, -200, 5),
    "double-pendulum": Curve(
        "InvertedDoublePendulum-v5", 15_000, 1_500, {"reward_scale": 0.1, "noise_scale": 0.1}, 9_000, 4
    ),
    "reacher": Curve(
        "Reacher-v5", 15_000, 1_500, {"reward_scale": 10.0, "noise_scale": 0.1, "discount": 0.97}, -5.5, 5
    ),
    "kettle": Curve("studies.kettle:make_env", 1_800, 600, {"observation_normalisation": True}, -12, 5),
}
NORMALISATION = STANDARD | {f"{name}-plain": _changed(curve, "none") for name, curve in STANDARD.items()}
NORMALISATION |= {"pendulum-batch": _changed(STANDARD["pendulum"], "batch")}
PAPER = {
    "paper-cartpole": _as_paper("cartpole", 190, 10, 3),
    "paper-peg": _as_paper("peg", 130, 10, 3),
    "paper-reacher": _as_paper("reacher", 1260, 60, 2),
}


def _run(experiment: str, seed: int) -> Iterator[Row]:
    curve = (NORMALISATION | PAPER)[experiment]
    agent = rv.NAF(**curve.settings)
    yield from tested_by_steps(agent, curve.env, seed, curve.steps, curve.every, TEST_EPISODES)


def _settings(experiment: str) -> dict[str, Any]:
    return {"agent": "naf", **(NORMALISATION | PAPER)[experiment]._asdict(), "evaluation_episodes": TEST_EPISODES}


def _verdict(rows: list[Row], asked: Mapping[str, Curve]) -> list[str]:
    """Return a line for each curve: how many seeds reached the target, when, and where they ended."""
    lines = []
    for name, curve in asked.items():
        by_seed = curves(rows, x="step", experiment=name)
        if not by_seed:
            lines.append(f"{name}: not run yet")
            continue
        when = [reached(scores, curve.target) for scores in by_seed.values()]
        count = sum(step < float("inf") for step in when)
        lines.append(
            f"{name}: {count} of {len(by_seed)} seeds reach {curve.target:g} (wanted: {curve.wanted}), at steps "
            f"{shown(when)}; at step {curve.steps} they score {shown(s[curve.steps] for s in by_seed.values())}"
        )
    return lines


def draw_kettle(rows: list[Row], path: Path) -> None:
    """Draw the kettle with and without layer normalisation."""
    axes = plots.axes()
    for name, colour, label in (
        ("kettle-plain", plots.RED, "plain networks"),
        ("kettle", plots.GREEN, "layer normalisation"),
    ):
        for seed, curve in curves(rows, x="step", experiment=name).items():
            episodes = [step / KETTLE_HORIZON for step in curve]
            axes.plot(
                episodes,
                list(curve.values()),
                "-o",
                color=colour,
                alpha=0.6,
                markersize=4,
                label=None if seed else label,
            )
    axes.axhline(FULL_POWER, color=plots.GREY, linestyle="--", linewidth=1, label="full power for ever")
    axes.legend(frameon=False)
    plots.label(axes, "real episodes", "greedy return", "the README's kettle, five seeds each")
    plots.save(axes, path)


NORMALISATION_STUDY = Study(
    name="normalisation",
    question="Does NAF learn standard tasks, and what does layer normalisation bring?",
    variants=("layer normalisation", "none (-plain)", "batch normalisation (-batch)"),
    tasks=tuple(STANDARD),
    seeds=5,
    scored=SCORED,
    minutes=60,
    quoted=("docs/benchmarks.md", "docs/naf.md", "docs/tour.md"),
    columns=COLUMNS,
    key=("experiment", "seed"),
    cells=tuple((name, seed) for name, curve in NORMALISATION.items() for seed in range(curve.seeds)),
    split=True,
    run=_run,
    settings=_settings,
    verdict=lambda rows: _verdict(rows, NORMALISATION),
    pictures={"tour/difficulties.png": draw_kettle},
)

PAPER_STUDY = Study(
    name="naf-paper",
    question="Does NAF with the paper's settings reach the paper's scores?",
    variants=("naf",),
    tasks=tuple(PAPER),
    seeds={name: curve.seeds for name, curve in PAPER.items()},
    scored=SCORED,
    minutes=120,
    quoted=("docs/domains.md",),
    columns=COLUMNS,
    key=("experiment", "seed"),
    cells=tuple((name, seed) for name, curve in PAPER.items() for seed in range(curve.seeds)),
    split=True,
    run=_run,
    settings=_settings,
    verdict=lambda rows: _verdict(rows, PAPER),
)
