"""The learning curves in this folder: `python results/learn.py [NAME …]` (all if none is named; `make results`).

Each experiment trains NAF with several seeds and evaluates the greedy policy over 20 episodes at fixed steps.  NAME.csv holds
a row per evaluation, NAME.json what decides it.  Seeds that the CSV already holds to the end are not run again.
"""

import csv
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import reverie as rv
from reverie.training.provenance import versions

HERE = Path(__file__).parent
EPISODES = 20
COLUMNS: tuple[str, ...] = ("seed", "step", "return_mean", "return_std")


class Experiment(NamedTuple):
    """One curve: where, with which settings, and what was asked of it."""

    env: str
    steps: int
    every: int
    settings: dict[str, Any]
    target: float
    wanted: int  # seeds that must reach the target within `steps`
    seeds: int = 5


def paper(domain: str, episodes: int, every: int, score: float, seeds: int) -> Experiment:
    """Return NAF with the paper's settings on a domain, for as many episodes as the paper needed, to 10 % of its score."""
    settings = dataclasses.asdict(rv.NAF.paper(domain))
    return Experiment(domain, 150 * episodes, 150 * every, settings, round(score - 0.1 * abs(score), 4), seeds, seeds)


ASKED = {
    "pendulum": Experiment("Pendulum-v1", 3_000, 250, {"reward_scale": 0.1}, -200, 5),
    "double-pendulum": Experiment(
        "InvertedDoublePendulum-v5", 15_000, 1_500, {"reward_scale": 0.1, "noise_scale": 0.1}, 9_000, 4
    ),
    "reacher": Experiment(
        "Reacher-v5", 15_000, 1_500, {"reward_scale": 10.0, "noise_scale": 0.1, "discount": 0.97}, -5.5, 5
    ),
    "kettle": Experiment("kettle:make_env", 1_800, 600, {"observation_normalisation": True}, -12, 5),
}

PAPER = {
    "paper-cartpole": paper("cartpole", 190, 10, -0.604, 3),
    "paper-peg": paper("peg", 130, 10, -0.438, 3),
    "paper-reacher": paper("reacher", 1260, 60, -0.331, 2),
}


def instead(name: str, normalisation: str) -> Experiment:
    """Return the same with another normalisation than layer normalisation."""
    asked = ASKED[name]
    return asked._replace(settings=asked.settings | {"normalisation": normalisation}, wanted=0)


# What the recommended default buys.
PLAIN = {f"{name}-plain": instead(name, "none") for name in ASKED}
EXPERIMENTS = ASKED | PAPER | PLAIN | {"pendulum-batch": instead("pendulum", "batch")}


def run_seed(experiment: Experiment, seed: int) -> list[dict[str, Any]]:
    """Train once; return a row per evaluation."""
    rows = []
    with rv.Learner(rv.NAF(**experiment.settings), env=experiment.env, seed=seed) as learner:
        while learner.steps < experiment.steps:
            learner.learn(experiment.every)
            found = learner.evaluate(EPISODES)
            rows.append(
                dict(zip(COLUMNS, (seed, learner.steps, round(found["mean"], 3), round(found["std"], 3)), strict=True))
            )
            print(
                f"{experiment.env} seed {seed} step {learner.steps}: {found['mean']:.5g} ± {found['std']:.3g}",
                flush=True,
            )
    return rows


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows that a CSV holds."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        kinds = (int, int, float, float)
        return [{c: kind(row[c]) for c, kind in zip(COLUMNS, kinds, strict=True)} for row in csv.DictReader(lines)]


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write all rows."""
    with file.open("w", newline="") as lines:
        table = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def verdict(name: str, experiment: Experiment, rows: list[dict[str, Any]]) -> str:
    """Return one line: how many seeds reached the target, when, and where they ended."""
    by_seed = {seed: [row for row in rows if row["seed"] == seed] for seed in range(experiment.seeds)}
    reached = [
        next((r["step"] for r in curve if r["return_mean"] >= experiment.target), None) for curve in by_seed.values()
    ]
    last = [curve[-1]["return_mean"] for curve in by_seed.values() if curve]
    count = sum(step is not None for step in reached)
    return (
        f"{name}: {count} of {experiment.seeds} seeds reach {experiment.target:g} (wanted {experiment.wanted}), "
        f"at steps {reached}; "
        f"at step {experiment.steps} they score {last}"
    )


def main(names: list[str]) -> None:
    """Run what is missing, then print the verdicts."""
    if unknown := set(names) - set(EXPERIMENTS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    for name in names or EXPERIMENTS:
        experiment, file = EXPERIMENTS[name], HERE / f"{name}.csv"
        facts = {
            "agent": "naf",
            **experiment._asdict(),
            "evaluation_episodes": EPISODES,
            "versions": versions(),
            "command": f"python results/learn.py {name}",
        }
        (HERE / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")
        rows = read(file)
        for seed in range(experiment.seeds):
            if not any(row["seed"] == seed and row["step"] == experiment.steps for row in rows):
                rows = [row for row in rows if row["seed"] != seed] + run_seed(experiment, seed)
                write(file, rows)
        print(verdict(name, experiment, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
