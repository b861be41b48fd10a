"""What run directories have to say, as sections of a report: a figure per environment, a curve for runs that differ in seed."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from reverie.experiments.measure import banded, number
from reverie.loops.evaluation import COLUMNS
from reverie.report.document import Commands, Curves, Film, Films, Line, Part, Section, Table
from reverie.storage.config import Agent, Config
from reverie.storage.episodes import COLUMNS as EPISODES
from reverie.storage.reading import exists, read_whole
from reverie.storage.run import RunDirectory
from reverie.storage.tables import read_table


def sections_of(paths: Sequence[Path]) -> list[Section]:
    """Return a section per environment.  Raises StorageError where a path holds no run."""
    by_env: dict[str, list[RunDirectory]] = {}
    configs: dict[Path, Config] = {}
    for path in dict.fromkeys(paths):
        run = RunDirectory(path)
        configs[run.path] = config = run.read_config()
        by_env.setdefault(config.env or "one's own loop", []).append(run)
    return [Section(env, _parts(runs, configs)) for env, runs in by_env.items()]


def _parts(runs: list[RunDirectory], configs: dict[Path, Config]) -> list[Part]:
    groups: dict[bytes, list[RunDirectory]] = {}
    for run in runs:
        groups.setdefault(msgspec.json.encode(configs[run.path].agent, order="deterministic"), []).append(run)
    names = _names([configs[own[0].path].agent for own in groups.values()])
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
        Film(str(run.path), f"The greedy policy of {run.path}.", read_whole(run.path / "film.mp4"))
        for run in runs
        if exists(run.path / "film.mp4")
    ]
    if films:
        parts.append(Films("Films", films))
    return [*parts, Commands([configs[run.path].command for run in runs])]


def _names(agents: list[Agent]) -> list[str]:
    """Return a name for each: the algorithm's, its model's, and the settings in which some of them differ."""
    flats = [{"name": agent.name, **agent.flat()} for agent in agents]
    keys = sorted({key for settings in flats for key in settings if len({str(own.get(key)) for own in flats}) > 1})
    names = []
    for settings in flats:
        words = [f"{key}={settings[key]}" for key in keys if key in settings and key not in ("name", "model")]
        model = f" + {settings['model']}" if "model" in settings else ""
        names.append(f"{settings['name']}{model} {' '.join(words)}".strip())
    return names


def _line(name: str, runs: list[RunDirectory]) -> Line | None:
    """Return the curve of runs that differ in seed alone, at the steps where all were evaluated."""
    scores = [{row["step"]: row["return_mean"] for row in read_table(run.evaluations_file, COLUMNS)} for run in runs]
    steps = sorted(set.intersection(*(set(own) for own in scores)))
    if not steps:
        return None
    table = np.array([[own[step] for step in steps] for own in scores])
    return banded(name, steps, table)


def _row(name: str, run: RunDirectory, config: Config) -> list[str | None]:
    episodes, evaluations = read_table(run.episodes_file, EPISODES), read_table(run.evaluations_file, COLUMNS)
    scores = [row["return_mean"] for row in evaluations]
    found = [number(scores[-1]), number(max(scores))] if scores else [None, None]
    steps = str(episodes[-1]["step"]) if episodes else "0"
    return [str(run.path), name, str(config.seed), steps, str(len(episodes)), *found]
