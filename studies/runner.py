"""Runs the missing cells of a study: one process for each (`studies.worker`), pinned to one thread and one core."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path

import reverie
from reverie.core.errors import ReverieError
from reverie.core.words import count
from reverie.experiments.execution.process_pool import ProcessPool
from reverie.experiments.spec.declaration import PINNED
from studies.store import Store
from studies.study import ROOT, Cell, Row, Study

OTHER_CELLS = "the other cells are kept, and the same command tries it again"

OnRow = Callable[[Cell, Row], None]


class CellError(ReverieError):
    """A cell whose process failed."""


def fill(
    study: Study, store: Store, cells: Sequence[Cell], jobs: int, on_row: OnRow, python: str = sys.executable
) -> None:
    """Compute the cells that the store lacks, and keep each when it ends.

    on_row: called with each row of a cell that ended.  python: the interpreter of the cells' processes.  Raises CellError at
    the end where cells failed.  An exception here, an interrupt too, ends every process; finished cells are kept.
    """
    failed: dict[Cell, str] = {}
    with store.locked():
        missing = store.missing(cells)
        with ProcessPool(jobs) as pool:
            work = {pool.submit(_compute, pool, study, python, cell): cell for cell in missing}
            for ended in as_completed(work):
                cell, outcome = work[ended], ended.result()
                if isinstance(outcome, CellError):
                    failed[cell] = str(outcome)
                    continue
                store.add(cell, outcome)
                for row in outcome:
                    on_row(cell, row)
        for stem in dict.fromkeys(study.file_of(cell) for cell in missing if cell not in failed):
            store.write_settings(stem)
    if failed:
        cell, error = next(iter(failed.items()))
        raise CellError(
            f"{count(len(failed), 'cell')} failed, {' '.join(map(str, cell))} first: {error}; {OTHER_CELLS}"
        )


def _compute(pool: ProcessPool, study: Study, python: str, cell: Cell) -> list[Row] | CellError:
    """Return a cell's rows, or what went wrong."""
    lines: list[str] = []
    command = [python, "-m", "studies.worker", study.name, *map(str, cell)]
    status, error = pool.run(command, environment(), lines.append)
    return [json.loads(line) for line in lines] if status == 0 else CellError(error)


def environment() -> dict[str, str]:
    """Return the environment of a cell's process: one thread, and the sources that this process has."""
    sources = [str(ROOT), str(Path(reverie.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | PINNED | {"PYTHONPATH": os.pathsep.join(filter(None, sources))}
