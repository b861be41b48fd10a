"""`reverie reproduce`: its work."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reverie.cli import run_report, stopping
from reverie.cli.cell_progress import FAILED, CellTexts, run_cells
from reverie.cli.output import emit, note
from reverie.cli.report import OUTPUT
from reverie.core.errors import ConfigError
from reverie.core.words import count
from reverie.experiments.analysis.statistics import number
from reverie.experiments.execution.missing_runs import chosen, fill, prepare, require_backend
from reverie.experiments.execution.process_pool import usable_cores
from reverie.experiments.execution.results_store import Key, ResultsStore, RunResult
from reverie.experiments.execution.time_estimates import estimates
from reverie.experiments.execution.worker import episodes_done
from reverie.experiments.spec.declaration import RunSpec, cells_of
from reverie.experiments.spec.hyperparameter_search import AGENTS, configurations, searched
from reverie.experiments.spec.paper import EXPERIMENTS
from reverie.report.multi_progress import MultiProgress, duration


def reproduce(options: Any) -> int:
    """Run the missing cells of an experiment, then write the report; return the exit status."""
    require_backend(options.backend)
    cells, results = _cells(options), ResultsStore(Path(options.out))
    missing = prepare(results, cells)
    jobs = options.jobs or usable_cores()
    done_before = {
        cell.key: episodes_done(results.work / cell.folder_name) for cell in missing if options.backend == "local"
    }
    costs = estimates(missing, results.cells, done_before)
    facts: dict[str, Any] = {"experiment": options.experiment, "out": options.out, "cells": len(cells)}
    facts |= {"done": len(cells) - len(missing), "jobs": jobs, "estimated_seconds": round(sum(costs.values()))}
    if options.dry_run:
        emit(options, facts, *_plan(cells, missing, costs, jobs if options.backend == "local" else None))
        return 0
    failed = _fill(options, results, missing, jobs, partial(MultiProgress, costs, done_before, options.quiet))
    facts |= {"done": len(cells) - len(failed), "failed": [" ".join(map(str, cell.key)) for cell in failed]}
    lines = [f"{facts['done']} of {count(len(cells), 'cell')} done: {options.out}"]
    try:
        facts |= run_report.write([ResultsStore(results.path)], [], results.path / OUTPUT)[0]
        lines += [
            f"{name} {claim['outcome']}: {' '.join(claim['evidence'])}" for name, claim in facts["claims"].items()
        ]
        lines.append(f"the report: {facts['report']}")
    except ConfigError as error:  # drawing needs a package that is an extra
        note(str(error))
    emit(options, facts, *lines)
    return FAILED if failed else 0


def _cells(options: Any) -> list[RunSpec]:
    names = list(EXPERIMENTS) if options.experiment == "all" else [options.experiment]
    panels = [panel for name in names for panel in EXPERIMENTS[name].panels]
    variants = list(options.variants)
    if options.search:
        panels += [searched(panel) for panel in panels]
        variants += [c.name for agent in AGENTS if agent in variants for c in configurations(agent)]
    panels = chosen(panels, options.domains, variants)
    there = [variant for panel in panels for variant in panel.variants]
    if options.search and not any(c in there for agent in AGENTS for c in configurations(agent)):
        raise ConfigError("--search tries settings of naf and ddpg, and neither is among these cells; table1 has both")
    return cells_of(panels, options.seeds, options.episodes, options.first_seed)


def _plan(
    cells: Sequence[RunSpec], missing: Sequence[RunSpec], costs: Mapping[Key, float], jobs: int | None
) -> list[str]:
    """Return a line per variant and domain, and the total time.  jobs: cells at a time, if known."""
    wanted: dict[tuple[str, str], list[RunSpec]] = {}
    for cell in cells:
        wanted.setdefault(cell.key[:2], []).append(cell)
    lines = [f"{'domain':15}{'who':24}{'episodes':>9}{'cells':>7}{'missing':>9}  time of one"]
    for (domain, name), own in wanted.items():
        left = [cell for cell in own if cell.key in costs]
        time = duration(costs[left[0].key]) if left else "-"
        lines.append(f"{domain:15}{name:24}{own[0].episodes:>9}{len(own):>7}{len(left):>9}  {time}")
    total = sum(costs.values())
    words = f"{len(missing)} of {count(len(cells), 'cell')} to do: about {duration(total)} of one core's time"
    if jobs is not None:
        longest = max(costs.values(), default=0.0)  # one cell is one process
        words += f", {duration(max(total / jobs, longest))} with {jobs} at a time"
    return [*lines, "", words]


def _fill(
    options: Any, results: ResultsStore, missing: Sequence[RunSpec], jobs: int, show: Callable[[], MultiProgress]
) -> list[RunSpec]:
    """Run the missing cells; return those that failed."""
    if not missing:
        return []
    results.open()
    stopping.set_message(f"finished cells are kept in {results.path}; the same command continues from there")
    progress = show()
    try:
        missing = prepare(results, missing)  # another call may have done some while we waited for the lock
        texts = CellTexts(
            lambda cell: cell.key,
            lambda cell, row: (int(row["episode"]), cell.episodes, float(row["return_mean"])),
            _ending,
        )
        failed = run_cells(lambda on_row: fill(results, missing, options.backend, jobs, on_row), progress, texts)
    finally:
        results.close()
    return [cell for cell, _ in failed]


def _ending(outcome: RunResult) -> str:
    """Return the end of a cell in words."""
    if outcome.error:
        return f"failed: {outcome.error}"
    best = max(float(row["return_mean"]) for row in outcome.rows)
    return f"best {number(best)} in {duration(float(outcome.rows[-1]['seconds']))}"
