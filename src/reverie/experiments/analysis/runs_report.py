"""A report of run directories: a section for each environment, and a curve for runs that differ only in their seed."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from reverie.core.words import count
from reverie.experiments.analysis.statistics import banded, number
from reverie.report.document import Commands, Curves, Film, Films, Line, Part, Section, Table, Text
from reverie.storage.config import Agent, Config
from reverie.storage.episodes import COLUMNS as EPISODES
from reverie.storage.journal_format import records_in
from reverie.storage.reading import exists, read_whole
from reverie.storage.run import RunDirectory
from reverie.storage.tables import table_at
from reverie.training.evaluation import COLUMNS
from reverie.training.resuming import facts_of

WIDTH = 10  # episodes of a moving mean
POINTS, MOST = 100, 500  # points of a curve over several seeds; most single episodes that are drawn
TRAINING = (
    "Episodes that were learnt from, exploration included: these runs were not evaluated. Over several seeds the line is the "
    "interquartile mean of their moving means, its band a 95 % bootstrap interval."
)


def sections_of(paths: Sequence[Path]) -> list[Section]:
    """Return a section for each environment.  Raises StorageError where a path is not a run directory."""
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
    named = list(zip(names, groups.values(), strict=True))
    lines = {name: line for name, own in named if (line := _line(name, own)) is not None}
    training = [line for name, own in named if name not in lines for line in _training(name, own)]
    rows = [_row(name, run, configs[run.path]) for name, own in named for run in own]
    parts: list[Part] = []
    if lines:
        note = "Greedy test episodes; interquartile means over seeds, bands are 95 % bootstrap intervals."
        parts.append(
            Curves("Learning curves", "real steps", "return of a test episode", list(lines.values()), note=note)
        )
    if training:
        parts.append(Curves("Training returns", "real steps", "return of a training episode", training, note=TRAINING))
    if not lines and not training:
        parts.append(Text(["No episode has ended yet, so there are no curves."]))
    parts.append(
        Table("Runs", ("run", "agent", "seed", "steps", "episodes ended", "last test score", "best test score"), rows)
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
    """Return a name for each agent: its algorithm, its model, and the settings in which the agents differ."""
    flats = [{"name": agent.name, **agent.flat()} for agent in agents]
    keys = sorted({key for settings in flats for key in settings if len({str(own.get(key)) for own in flats}) > 1})
    names = []
    for settings in flats:
        words = [f"{key}={settings[key]}" for key in keys if key in settings and key not in ("name", "model")]
        model = f" + {settings['model']}" if "model" in settings else ""
        names.append(f"{settings['name']}{model} {' '.join(words)}".strip())
    return names


def _line(name: str, runs: list[RunDirectory]) -> Line | None:
    """Return the curve of runs that differ only in their seed, at the steps at which all were evaluated; else None."""
    scores = [{row["step"]: row["return_mean"] for row in table_at(run.evaluations_file, COLUMNS)} for run in runs]
    steps = sorted(set.intersection(*(set(own) for own in scores)))
    if not steps:
        return None
    table = np.array([[own[step] for step in steps] for own in scores])
    return banded(name, steps, table)


def _training(name: str, runs: list[RunDirectory]) -> list[Line]:
    """Return training curves of runs that differ only in their seed.

    Of several runs it is one curve. Of one run they are its moving mean and its single episodes.
    """
    tables = [table_at(run.episodes_file, EPISODES) for run in runs]
    each = [
        (np.array([r["step"] for r in rows]), np.array([r["return"] for r in rows], float)) for rows in tables if rows
    ]
    if not each:
        return []
    width = min([WIDTH, *(len(returns) for _, returns in each)])
    means = [(steps[width - 1 :], np.convolve(returns, np.full(width, 1 / width), "valid")) for steps, returns in each]
    text = f"{name}, mean of the last {count(width, 'episode')}" if width > 1 else f"{name}, each episode"
    if len(each) > 1:
        low, high = max(steps[0] for steps, _ in means), min(steps[-1] for steps, _ in means)
        grid = np.linspace(low, max(low, high), POINTS if high > low else 1)
        return [banded(text, grid.tolist(), np.stack([np.interp(grid, *mean) for mean in means]))]
    (steps, returns), (late, mean) = each[0], means[0]
    kept = slice(None, None, max(1, len(steps) // MOST))
    single = Line(f"{name}, each episode", steps[kept].tolist(), returns[kept].tolist())
    return [Line(text, late[kept].tolist(), mean[kept].tolist()), *([single] if width > 1 else [])]


def _row(name: str, run: RunDirectory, config: Config) -> list[str | None]:
    episodes, evaluations = table_at(run.episodes_file, EPISODES), table_at(run.evaluations_file, COLUMNS)
    scores = [row["return_mean"] for row in evaluations]
    found = [number(scores[-1]), number(max(scores))] if scores else [None, None]
    steps = _steps(run, episodes[-1]["step"] if episodes else 0)
    return [str(run.path), name, str(config.seed), str(steps), str(len(episodes)), *found]


def _steps(run: RunDirectory, ended: int) -> int:
    """Return the number of steps of a run.  ended: number of steps in episodes that have ended.

    It follows from the size of the journal. If there is no journal, the checkpoint says it.
    """
    if exists(run.journal_file):
        return records_in(run.journal_file)
    facts = facts_of(run)
    found = 0 if facts is None else facts.get("steps")
    return max(found, ended) if isinstance(found, int) else ended
