"""`reverie report`: its work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reverie.cli import stopping
from reverie.cli.output import emit, room_for
from reverie.cli.report import OUTPUT
from reverie.core import words
from reverie.core.errors import StorageError
from reverie.core.interrupts import raise_if_interrupted
from reverie.experiments.analysis import paper_report, run_page, sweep_report
from reverie.experiments.analysis.claims import summary
from reverie.experiments.analysis.run_data import Damaged, refuse, runs_by_env
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.execution.sweep_store import SweepStore
from reverie.report.document import Document, Verdicts
from reverie.report.page import write_page
from reverie.storage.output_file import require_ending
from reverie.storage.reading import exists
from reverie.storage.run import RESULTS, SWEEP


def report(options: Any) -> None:
    """Write one page about all folders."""
    folders, directories, sweeps, output = [], [], [], _output(options)
    require_ending(output, (".html", ".htm"), "pages are", bare=True)
    stopping.set_message("no report was written")
    for path in map(Path, options.directories):
        raise_if_interrupted()
        if exists(path / RESULTS):
            folders.append(ResultsStore(path))
        elif exists(path / SWEEP):
            sweeps.append(SweepStore(path))
        elif exists(path / "config.json"):
            directories.append(path)
        elif exists(path) and path.is_dir():
            raise StorageError(
                f"{path} holds neither results of `reverie reproduce`, nor a sweep, nor a run of `reverie train`"
                + (f"; its folders hold runs: reverie report {path}/*" if _holds_runs(path) else "")
            )
        else:
            raise StorageError(f"there is no folder {path}; give one of `reverie reproduce`, `sweep` or `train`")
    with room_for(options, output):
        raise_if_interrupted()
        facts, size = write(folders, directories, output, sweeps)
        emit(options, facts, f"{output}: {words.size(size)}")


def _holds_runs(path: Path) -> bool:
    """Return whether folders in `path` are run directories, as far as the system says."""
    try:
        return any((folder / "config.json").is_file() for folder in path.iterdir())
    except OSError:
        return False


def _output(options: Any) -> Path:
    """Return where the page goes: beside the data of one folder, so that pages of several do not replace one another."""
    if options.output:
        return Path(options.output)
    return Path(options.directories[0], OUTPUT) if len(options.directories) == 1 else Path(OUTPUT)


def document_of_runs(directories: Sequence[Path], damaged: Damaged = refuse) -> Document:
    """Return a page about run directories.

    damaged: told of a table that cannot be read, which then counts as empty; by default it is refused.
    Raises StorageError where a path is not a run directory.
    """
    runs = runs_by_env(directories, damaged)
    return Document(*run_page.heading(runs), run_page.sections_of(runs))


def write(
    folders: list[ResultsStore], directories: list[Path], output: Path, sweeps: Sequence[SweepStore] = ()
) -> tuple[dict[str, Any], int]:
    """Write the page; return its results (claims) and its size in bytes."""
    sections = paper_report.sections_of(folders) if folders else []
    sections += sweep_report.sections_of(sweeps)
    runs = document_of_runs(directories)
    sections += runs.sections
    parts = [part for section in sections for part in section.parts if isinstance(part, Verdicts)]
    found = [verdict for part in parts for verdict in part.verdicts]
    if folders:
        done = sum(folder.is_done(key) for folder in folders for key in folder.cells)
        lead = f"{paper_report.PAPER}, run again with reverie {folders[0].version}: {words.count(done, 'cell')}. "
        lead += summary(found)
        title = "The paper, reproduced"
    elif sweeps:
        number = len(directories) + sum(len(sweep.rows) for sweep in sweeps)
        title, lead = "Settings compared", f"{words.count(number, 'run')}."
    else:
        title, lead = runs.title, runs.lead
    raise_if_interrupted()
    size = write_page(Document(title, lead, sections), output)
    claims = {v.claim: {"outcome": v.outcome, "evidence": v.evidence} for v in found}
    return {"report": str(output), "claims": claims}, size
