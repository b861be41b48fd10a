"""A report of run directories: a section for each environment, and a curve for runs that differ only in their seed."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from reverie.core.words import count
from reverie.experiments.analysis.run_data import RunData, runs_by_env
from reverie.experiments.analysis.run_films import films_of
from reverie.experiments.analysis.statistics import banded, number
from reverie.report.document import Commands, Curves, Line, Part, Section, Table, Text
from reverie.storage.config import Agent

Groups = list[tuple[str, list[RunData]]]  # (name of the settings, runs that differ only in their seed)

WIDTH = 10  # episodes of a moving mean
POINTS, MOST = 100, 500  # points of a curve over several seeds; most single episodes that are drawn
NO_EPISODE = "No episode has ended yet, so there are no curves."
TRAINING = (
    "Episodes that were learnt from, exploration included: these runs were not evaluated. Over several seeds the line is the "
    "interquartile mean of their moving means, its band a 95 % bootstrap interval."
)


def sections_of(paths: Sequence[Path]) -> list[Section]:
    """Return a section for each environment.  Raises StorageError where a path is not a run directory, or is damaged."""
    return [Section(env, _parts(runs)) for env, runs in runs_by_env(paths).items()]


def _parts(runs: Sequence[RunData]) -> list[Part]:
    groups = by_settings(runs)
    parts = curves_of(groups) or [Text([NO_EPISODE])]
    return [*parts, table_of(groups), *films_of(runs), Commands([data.config.command for data in runs])]


def by_settings(runs: Sequence[RunData]) -> Groups:
    """Return the runs that differ only in their seed, by a name for their settings."""
    groups: dict[bytes, list[RunData]] = {}
    for data in runs:
        groups.setdefault(msgspec.json.encode(data.config.agent, order="deterministic"), []).append(data)
    names = _names([own[0].config.agent for own in groups.values()])
    return list(zip(names, groups.values(), strict=True))


def curves_of(groups: Groups) -> list[Part]:
    """Return learning curves with bands over seeds; training returns of runs that were not evaluated."""
    lines = {name: line for name, own in groups if (line := _line(name, own)) is not None}
    training = [line for name, own in groups if name not in lines for line in _training(name, own)]
    parts: list[Part] = []
    if lines:
        note = "Greedy test episodes; interquartile means over seeds, bands are 95 % bootstrap intervals."
        parts.append(
            Curves("Learning curves", "real steps", "return of a test episode", list(lines.values()), note=note)
        )
    if training:
        parts.append(Curves("Training returns", "real steps", "return of a training episode", training, note=TRAINING))
    return parts


def table_of(groups: Groups) -> Table:
    """Return a table with a row for each run."""
    columns = ("run", "agent", "seed", "steps", "episodes ended", "last test score", "best test score")
    return Table("Runs", columns, [_row(name, data) for name, own in groups for data in own])


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


def _line(name: str, runs: Sequence[RunData]) -> Line | None:
    """Return the curve of runs that differ only in their seed, at the steps at which all were evaluated; else None."""
    scores = [{row["step"]: row["return_mean"] for row in data.evaluations.rows} for data in runs]
    steps = sorted(set.intersection(*(set(own) for own in scores)))
    if not steps:
        return None
    table = np.array([[own[step] for step in steps] for own in scores])
    return banded(name, steps, table)


def _training(name: str, runs: Sequence[RunData]) -> list[Line]:
    """Return training curves of runs that differ only in their seed.

    Of several runs it is one curve. Of one run they are its moving mean and its single episodes.
    """
    each = [data.returns() for data in runs if data.episodes.rows]
    if not each:
        return []
    width = min([WIDTH, *(len(returns) for _, returns in each)])
    means = [moving_mean(steps, returns, width) for steps, returns in each]
    text = f"{name}, mean of the last {count(width, 'episode')}" if width > 1 else f"{name}, each episode"
    if len(each) > 1:
        low, high = max(steps[0] for steps, _ in means), min(steps[-1] for steps, _ in means)
        grid = np.linspace(low, max(low, high), POINTS if high > low else 1)
        return [banded(text, grid.tolist(), np.stack([np.interp(grid, *mean) for mean in means]))]
    (steps, returns), (late, mean) = each[0], means[0]
    kept = slice(None, None, max(1, len(steps) // MOST))
    single = Line(f"{name}, each episode", steps[kept].tolist(), returns[kept].tolist())
    return [Line(text, late[kept].tolist(), mean[kept].tolist()), *([single] if width > 1 else [])]


def moving_mean(steps: np.ndarray, returns: np.ndarray, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and means of the last `width` of returns [K], or of all where there are fewer."""
    width = min(width, len(returns))
    return steps[width - 1 :], np.convolve(returns, np.full(width, 1 / width), "valid")


def _row(name: str, data: RunData) -> list[str | None]:
    scores = [row["return_mean"] for row in data.evaluations.rows]
    found = [number(scores[-1]), number(max(scores))] if scores else [None, None]
    run = str(data.run.path)
    return [run, name, str(data.config.seed), str(data.steps), str(data.episodes.total), *found]
