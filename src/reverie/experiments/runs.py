"""What run directories have to say, as sections of a report: a figure per environment, a curve for runs that differ in seed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reverie.experiments.measure import number
from reverie.maths.bootstrap import interquartile_mean, interval
from reverie.report.document import Commands, Curves, Film, Films, Line, Part, Section, Table
from reverie.storage.run import RunDirectory
from reverie.storage.tables import read_rows


def sections_of(paths: Sequence[Path]) -> list[Section]:
    """Return a section per environment.  Raises StorageError where a path holds no run."""
    by_env: dict[str, list[RunDirectory]] = {}
    configs: dict[Path, dict[str, Any]] = {}
    for path in dict.fromkeys(paths):
        run = RunDirectory(path)
        configs[run.path] = config = run.read_config()
        by_env.setdefault(str(config.get("env", "one's own loop")), []).append(run)
    return [Section(env, _parts(runs, configs)) for env, runs in by_env.items()]


def _parts(runs: list[RunDirectory], configs: dict[Path, dict[str, Any]]) -> list[Part]:
    groups: dict[str, list[RunDirectory]] = {}
    for run in runs:
        groups.setdefault(json.dumps(configs[run.path]["agent"], sort_keys=True), []).append(run)
    names = _names([json.loads(text) for text in groups])
    lines = [line for name, own in zip(names, groups.values(), strict=True) if (line := _line(name, own)) is not None]
    rows = [_row(name, run, configs[run.path]) for name, own in zip(names, groups.values(), strict=True) for run in own]
    parts: list[Part] = []
    if lines:
        note = "Greedy test episodes; interquartile means over seeds, bands are 95 % bootstrap intervals."
        parts.append(Curves("Learning curves", "real steps", "return of a test episode", lines, note=note))
    parts.append(
        Table("Runs", ("run", "agent", "seed", "steps", "episodes", "last test score", "best test score"), rows)
    )
    films = [
        Film(str(run.path), f"The greedy policy of {run.path}.", (run.path / "film.mp4").read_bytes())
        for run in runs
        if (run.path / "film.mp4").exists()
    ]
    if films:
        parts.append(Films("Films", films))
    return [*parts, Commands([configs[run.path]["command"] for run in runs])]


def _names(agents: list[dict[str, Any]]) -> list[str]:
    """Return a name for each: the algorithm's, its model's, and the settings in which some of them differ."""
    flats = [_flat(agent) for agent in agents]
    keys = sorted({key for flat in flats for key in flat if len({str(f.get(key)) for f in flats}) > 1})
    names = []
    for agent, flat in zip(agents, flats, strict=True):
        words = [f"{key}={flat[key]}" for key in keys if key in flat and key not in ("name", "model")]
        model = f" + {flat['model']}" if "model" in flat else ""
        names.append(f"{agent['name']}{model} {' '.join(words)}".strip())
    return names


def _flat(agent: dict[str, Any]) -> dict[str, Any]:
    found = {"name": agent["name"], **agent["settings"]}
    if "imagination" in agent:
        found |= agent["imagination"]["settings"] | {"model": agent["imagination"]["model"]["name"]}
    return found


def _line(name: str, runs: list[RunDirectory]) -> Line | None:
    """Return the curve of runs that differ in seed alone, at the steps where all were evaluated."""
    scores = [{int(r["step"]): float(r["return_mean"]) for r in read_rows(run.evaluations_file)} for run in runs]
    steps = sorted(set.intersection(*(set(own) for own in scores)))
    if not steps:
        return None
    table = np.array([[own[step] for own in scores] for step in steps])
    generator = np.random.default_rng(len(steps))
    bands = [interval(interquartile_mean, [row], generator, 500) for row in table]
    low, high = ([], []) if len(runs) < 2 else zip(*bands, strict=True)
    return Line(name, steps, interquartile_mean(table).tolist(), list(low), list(high))


def _row(name: str, run: RunDirectory, config: dict[str, Any]) -> list[str | None]:
    episodes, evaluations = read_rows(run.episodes_file), read_rows(run.evaluations_file)
    scores = [float(row["return_mean"]) for row in evaluations]
    found = [number(scores[-1]), number(max(scores))] if scores else [None, None]
    steps = episodes[-1]["step"] if episodes else "0"
    return [str(run.path), name, str(config["seed"]), steps, str(len(episodes)), *found]
