"""What `reverie sweep` and `reverie train --seeds` do."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reverie.cli import run_report, stopping
from reverie.cli.agents import agent_of
from reverie.cli.auto_agent import AUTO, chosen, require_budget, say, steps_of, with_chosen
from reverie.cli.cell_progress import FAILED, CellTexts, run_cells
from reverie.cli.output import emit, note
from reverie.cli.report import OUTPUT
from reverie.cli.train import usual_evaluate_every
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count
from reverie.environments.env_factory import make_env
from reverie.experiments.analysis import sweep_report
from reverie.experiments.analysis.statistics import number
from reverie.experiments.execution.missing_runs import BACKENDS, require_backend
from reverie.experiments.execution.process_pool import usable_cores
from reverie.experiments.execution.sweep_store import SweepStore, Verb
from reverie.experiments.execution.sweep_worker import SweepResult, steps_done
from reverie.experiments.spec.sweep_grid import (
    Pair,
    SweepCell,
    combinations,
    in_words,
    label,
    require_few,
    seeds_first,
    values_of,
)
from reverie.report.multi_progress import MultiProgress
from reverie.training.agent_config import read, written
from reverie.training.provenance import versions
from reverie.training.resource_estimates import fitting
from reverie.training.tensorboard import require as require_tensorboard
from reverie.training.train_command import train_words


def sweep(options: Any) -> int:
    """Train the runs of a grid that are missing, then write the table and the page."""
    grid = [(name, values_of(text)) for name, text in options.settings]
    if not grid:
        raise ConfigError(
            "the grid is empty: give --set NAME=A,B,…; for seeds alone there is `reverie train AGENT ENV --seeds N`"
        )
    plan = _planned(options, "sweep", combinations(grid, options.random))
    return _dry_run(options, plan) if options.dry_run else _run(options, plan)


def train_seeds(options: Any) -> int:
    """Train seeds 0 to N - 1 with the same settings, then write the table and the page."""
    if options.seed is not None:
        raise ConfigError(f"--seeds {options.seeds} means seeds 0 to {options.seeds - 1}; leave out --seed or --seeds")
    for flag in ("relearn", "allow_new_bounds", "trust", "hang_after"):
        if getattr(options, flag):
            raise ConfigError(
                f"--{flag.replace('_', '-')} is for one run; give that run's --out, and leave out --seeds"
            )
    for flag in ("experience", "experience_share", "pretrain_updates", "columns", "reward"):
        if getattr(options, flag) is not None:
            named = "from" if flag == "experience" else flag.replace("_", "-")
            raise ConfigError(f"--{named} is for one run; leave out --seeds, and give each run its --seed")
    if options.collectors is not None:
        raise ConfigError("--collectors is for one run; leave out --seeds")
    return _run(options, _planned(options, "train", [options.settings]))


class _Plan(NamedTuple):
    """What a command asks for: the cells of its grid, in a folder where they may stand."""

    store: SweepStore
    verb: Verb
    version: str
    asked: dict[str, Any]  # what all cells have in common
    cells: list[SweepCell]


def _planned(options: Any, verb: Verb, grid: Sequence[list[Pair]]) -> _Plan:
    """Return the cells of a grid.  Raises ConfigError for settings that cannot work, or that the folder cannot take."""
    require_backend(options.backend or BACKENDS[0])
    require_budget(options)
    if options.agent == AUTO:
        options = chosen(options, options.env)
    require_few(len(grid) * options.seeds)
    store = SweepStore(Path(options.out) if options.out else _usual_out(options, verb))
    asked = _asked(options)
    by_setting = [_cells(options, pairs, asked, verb) for pairs in grid]
    if verb == "train":
        asked["settings"] = {name: in_words(value) for name, value in sorted(agent_of(options)[1].items())}
    version = str(versions()["reverie"])
    store.require(verb, version, asked)
    cells = seeds_first(by_setting)
    _require_distinct(cells)
    if options.chosen:
        say(options, options.settings if verb == "train" else [])
    return _Plan(store, verb, version, asked, cells)


def _dry_run(options: Any, plan: _Plan) -> int:
    """Print the cells, and which of them are done; write nothing."""
    missing = plan.store.missing(plan.cells)
    _require_possible(options, missing)
    done = plan.store.rows
    rows: list[dict[str, Any]] = [
        {"run": cell.folder_name, "settings": cell.settings, "seed": cell.seed, "done": cell.folder_name in done}
        for cell in plan.cells
    ]
    facts = {"out": str(plan.store.path), "cells": len(rows), "done": len(rows) - len(missing), "runs": rows}
    width = max(len(row["run"]) for row in rows)
    lines = [f"{'run':{width}}  {'seed':>5}  {'done':4}  settings"]
    for row in rows:
        is_done = "yes" if row["done"] else "no"
        lines.append(f"{row['run']:{width}}  {row['seed']:>5}  {is_done:4}  {label(row['settings'])}")
    emit(options, facts, *lines, "", f"{len(missing)} of {count(len(rows), 'run')} to do")
    return 0


def _run(options: Any, plan: _Plan) -> int:
    """Do the cells that are missing, and report; return the exit status."""
    store, verb, version, asked, cells = plan
    failed: dict[str, str] = {}
    if missing := store.missing(cells):
        _require_possible(options, missing)
        store.open()
        try:
            store.require(verb, version, asked)  # another call may have filled it meanwhile
            store.declare(verb, version, asked, _line(), cells)
            failed = _fill(options, store, cells)
        finally:
            store.close()
    return _report(options, store, cells, failed)


def _asked(options: Any) -> dict[str, Any]:
    """Return what all runs of a folder have in common.  Raises ConfigError where none of them would get a score."""
    steps = steps_of(options)
    every = options.evaluate_every
    if every is None:
        every = min(steps, usual_evaluate_every(options.env, steps))
    if every > steps:
        raise ConfigError(
            f"--evaluate-every {every} is more than a run's {count(steps, 'step')}: none would be evaluated"
        )
    found = {"agent": options.agent, "env": options.env, "imagine": options.imagine, "plan": options.plan}
    found |= {"steps": steps, "evaluate_every": every, "evaluate_episodes": options.evaluate_episodes}
    found |= {"chosen": options.chosen} if options.chosen else {}
    return found | {"stop_at": options.stop_at}


def _usual_out(options: Any, verb: Verb) -> Path:
    """Return the folder of a command without --out: the same each time, so that the same command continues."""
    stem = f"{options.env}-{options.agent}-{'sweep' if verb == 'sweep' else 'seeds'}"
    return Path("runs") / stem.replace(":", "-").replace("/", "-").lower()


def _cells(options: Any, pairs: list[Pair], asked: dict[str, Any], verb: Verb) -> list[SweepCell]:
    """Return the cells of one combination, one per seed.  Raises ConfigError where a setting refuses its value."""
    agent, found = agent_of(argparse.Namespace(**vars(options) | {"settings": pairs}))
    settings = {name: in_words(found[name]) for name in sorted(found)}
    line, own = train_words(asked, with_chosen(options, pairs).items()), written(agent)
    return [
        SweepCell(
            agent=own,
            env=options.env,
            settings=settings if verb == "sweep" else {},
            seed=seed,
            steps=asked["steps"],
            evaluate_every=asked["evaluate_every"],
            evaluate_episodes=asked["evaluate_episodes"],
            stop_at=asked["stop_at"],
            tensorboard=options.tensorboard,
            command=[*line, "--seed", str(seed)],
        )
        for seed in range(options.seeds)
    ]


def _require_distinct(cells: Sequence[SweepCell]) -> None:
    """Raise ConfigError where two cells are the same."""
    taken: set[str] = set()
    for cell in cells:
        if cell.folder_name in taken:
            what = label(cell.settings)
            raise ConfigError(f"the grid has {what} twice; write one value of several numbers as 64x64")
        taken.add(cell.folder_name)


def _require_possible(options: Any, cells: Sequence[SweepCell]) -> None:
    """Raise a ReverieError where the environment cannot be made, or where an agent cannot learn there.

    Agents are built here until each value of each setting was in one of them: to build all of a large grid takes minutes.
    """
    if options.tensorboard:
        require_tensorboard()
    env = make_env(options.env)
    tried: set[tuple[str, str]] = set()
    try:
        for i, cell in enumerate(cells):
            if i == 0 or not tried.issuperset(cell.settings.items()):
                raise_if_interrupted()
                fitting(read(cell.agent), env.spec)
                tried |= set(cell.settings.items())
    finally:
        env.close()


def _line() -> str:
    """Return the command of this process, which continues when it is typed again."""
    return shlex.join(["reverie", *sys.argv[1:]])


def _fill(options: Any, store: SweepStore, cells: Sequence[SweepCell]) -> dict[str, str]:
    """Train the runs that are missing; return the errors of those that failed, by name."""
    missing, line = store.missing(cells), _line()
    assert store.facts is not None
    folder = store.runs(store.facts.verb)
    names = _short_names(cells)
    done_before = {names[cell.folder_name]: steps_done(folder / cell.folder_name) for cell in missing}
    # All cells take as many steps, so steps stand for seconds.
    costs = {key: float(max(1, missing[0].steps - steps)) for key, steps in done_before.items()}

    def interrupted(how_far: str) -> str:
        del how_far
        kept = f"{len(cells) - len(store.missing(cells))} of {count(len(cells), 'run')} done and kept in {store.path}"
        return f"reverie: interrupted; {kept}. To continue:\n{line}"

    stopping.set_message(interrupted)
    texts = CellTexts(
        lambda cell: names[cell.folder_name], lambda cell, row: (row["step"], cell.steps, row["score"]), _ending
    )
    backend, jobs = options.backend or BACKENDS[0], options.jobs or usable_cores()
    progress = MultiProgress(costs, done_before, options.quiet)
    failed = run_cells(lambda on_row: store.fill(missing, backend, jobs, on_row), progress, texts)
    return {cell.folder_name: error for cell, error in failed}


def _short_names(cells: Sequence[SweepCell]) -> dict[str, tuple[str, ...]]:
    """Return what progress calls each cell, by the name of its folder: without the settings that all cells share."""
    settings = {tuple(cell.settings.items()): cell.settings for cell in cells}  # each combination once
    shared = sweep_report.common(list(settings.values()))
    found: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        own = label({name: value for name, value in cell.settings.items() if name not in shared})
        found[cell.folder_name] = (*filter(None, [own]), f"seed {cell.seed}")
    return found


def _ending(result: SweepResult) -> str:
    """Return how a run ended, in words."""
    if result.ended is None:
        return f"failed: {result.error}"
    if result.ended.status == "diverged":
        return f"diverged after {count(result.ended.steps, 'step')}"
    return "no episode ended" if result.ended.last is None else f"last {number(result.ended.last)}"


def _report(options: Any, store: SweepStore, cells: Sequence[SweepCell], failed: dict[str, str]) -> int:
    """Print the table and write the page; return the exit status."""
    results = sweep_report.setting_results(store)
    done = len(cells) - len(failed)
    facts: dict[str, Any] = {"out": str(store.path), "cells": len(cells), "done": done, "failed": failed}
    facts |= {"settings": [result.facts for result in results], "report": None}
    lines = [f"{done} of {count(len(cells), 'run')} done: {store.path}", *sweep_report.lines(store)]
    lines += [f"failed: {name}: {error}" for name, error in failed.items()]
    if results:
        stopping.set_message("the runs are kept; no report was written")
        try:
            facts["report"] = run_report.write([], [], store.path / OUTPUT, [store])[0]["report"]
            lines.append(f"the report: {facts['report']}")
        except ConfigError as error:  # the package that draws it is an extra
            note(str(error))
    emit(options, facts, *lines)
    return FAILED if failed else 0
