"""Fill a folder of results with the cells that it lacks."""

import contextlib
import shutil
from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from reverie.core.errors import ConfigError, unknown
from reverie.domains import DOMAINS
from reverie.experiments.analysis.comparability import is_older, require_as_long, require_current
from reverie.experiments.execution import local_backend, ray_backend
from reverie.experiments.execution.cells import OnRow
from reverie.experiments.execution.results_store import ResultsStore, RunResult
from reverie.experiments.execution.worker import agent_of
from reverie.experiments.spec.declaration import RANDOM, TEST_EPISODES, TEST_SEED, DomainExperiment, RunSpec
from reverie.training.agent_config import written
from reverie.training.provenance import command, versions

BACKENDS = ("local", "ray")


def chosen(
    panels: Sequence[DomainExperiment], domains: Sequence[str], variants: Sequence[str]
) -> list[DomainExperiment]:
    """Return the panels of some domains with some variants; none named: all.  Raises ConfigError for what is in none."""
    for what, names, there in (
        ("domain", domains, [panel.domain for panel in panels]),
        ("variant", variants, [variant.name for panel in panels for variant in panel.variants]),
    ):
        for name in names:
            if name not in there:
                raise unknown(f"{what} of these experiments", name, sorted(set(there)))
    kept = [panel for panel in panels if not domains or panel.domain in domains]
    kept = [p._replace(variants=tuple(v for v in p.variants if not variants or v.name in variants)) for p in kept]
    kept = [panel for panel in kept if panel.variants]
    if not kept:
        raise ConfigError(f"none of {', '.join(variants)} is on {', '.join(domains)} in these experiments")
    return kept


def require_backend(name: str) -> None:
    """Raise ConfigError unless cells can run there."""
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if name == "ray":
        ray_backend.require()


def settings_of(cells: Sequence[RunSpec]) -> dict[str, dict[str, Any]]:
    """Return what decides the numbers of cells, by "domain/variant"; seeds aside."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        name = f"{cell.domain}/{cell.variant.name}"
        if name in found:
            continue
        found[name] = {"episodes": cell.episodes, "every": cell.every, "agent": cell.variant.agent}
        found[name] |= {"test_episodes": TEST_EPISODES, "test_seed": TEST_SEED}
        found[name] |= {"domain_version": DOMAINS[cell.domain].version}
        if cell.variant.agent != RANDOM:
            found[name] |= written(agent_of(cell.variant, cell.domain, cell.length)).flat()
    return msgspec.json.decode(msgspec.json.encode(found))  # tuples as the lists that a file gives back


def prepare(results: ResultsStore, cells: Sequence[RunSpec]) -> list[RunSpec]:
    """Return the cells that are not done.

    Raises ConfigError where the folder's have other settings, or are of older versions of their domains.
    """
    settings = settings_of(cells)
    require_current(
        results, "would be made anew", f"delete their rows from {results.cells_file}, or choose another --out"
    )
    results.require(str(versions()["reverie"]), settings)
    require_as_long(results.settings | settings, "choose another --out, or the same --episodes")
    return [cell for cell in cells if not results.is_done(cell.key)]


def fill(
    results: ResultsStore, cells: Sequence[RunSpec], backend: str, jobs: int, on_row: OnRow
) -> Generator[tuple[RunSpec, RunResult]]:
    """Run cells and yield each once it is kept in `results`, which is open.

    backend: "local", with `jobs` processes, or "ray".
    """
    _forget_older_work(results, cells)
    results.declare(str(versions()["reverie"]), settings_of(cells), command())
    run = ray_backend.run(cells, on_row) if backend == "ray" else local_backend.run(cells, results.work, jobs, on_row)
    with contextlib.closing(run):  # at once: whatever ends this, nobody may work on when the folder is given back
        for cell, outcome in run:
            results.add(cell.key, outcome)
            if not outcome.error:  # what failed continues from its last score, once its cause is removed
                shutil.rmtree(results.work / cell.folder_name, ignore_errors=True)
            yield cell, outcome


def _forget_older_work(results: ResultsStore, cells: Sequence[RunSpec]) -> None:
    """Remove what an older version of a domain has left of cells: unfinished learners, and films."""
    for cell in cells:
        if is_older(results.settings, f"{cell.domain}/{cell.variant.name}"):
            shutil.rmtree(results.work / cell.folder_name, ignore_errors=True)
            results.film_file(cell.key).unlink(missing_ok=True)
