"""Runs the missing cells of a study: one process for each (`studies.worker`), pinned to one thread and one core."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import reverie
from reverie.core.errors import ReverieError
from reverie.core.words import count
from reverie.experiments.execution.local_backend import cores, keep_to_next
from reverie.experiments.spec.declaration import PINNED
from studies.store import Store
from studies.study import ROOT, Cell, Row, Study

OTHER_CELLS = "the other cells are kept, and the same command tries it again"

Tell = Callable[[Cell, Row], None]


class CellError(ReverieError):
    """A cell whose process failed."""


def fill(
    study: Study, store: Store, cells: Sequence[Cell], jobs: int, tell: Tell, python: str = sys.executable
) -> None:
    """Compute the cells that the store lacks, and keep each when it ends.

    tell: called with each row of a cell that ended.  python: the interpreter of the cells' processes.  Raises CellError at
    the end where cells failed.  An exception here, an interrupt too, ends every process; finished cells are kept.
    """
    failed: dict[Cell, str] = {}
    with store.locked():
        missing = store.missing(cells)
        with _Processes(study, python, jobs) as processes:
            for cell, outcome in processes.work(missing):
                if isinstance(outcome, CellError):
                    failed[cell] = str(outcome)
                    continue
                store.add(cell, outcome)
                for row in outcome:
                    tell(cell, row)
        for stem in dict.fromkeys(study.file_of(cell) for cell in missing if cell not in failed):
            store.write_settings(stem)
    if failed:
        cell, error = next(iter(failed.items()))
        raise CellError(
            f"{count(len(failed), 'cell')} failed, {' '.join(map(str, cell))} first: {error}; {OTHER_CELLS}"
        )


class _Processes:
    """The processes at work.  They end with the block."""

    def __init__(self, study: Study, python: str, jobs: int):
        self._study, self._python = study, python
        self._lock, self._over = threading.Lock(), False
        self._alive: set[subprocess.Popen[str]] = set()
        self._threads = ThreadPoolExecutor(jobs, initializer=keep_to_next, initargs=(iter(cores(jobs)),))

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._over = True
            for process in self._alive:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def work(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, list[Row] | CellError]]:
        """Yield each cell with its rows, or with what went wrong, as it ends."""
        work = {self._threads.submit(self._compute, cell): cell for cell in cells}
        for done in as_completed(work):
            yield work[done], done.result()

    def _compute(self, cell: Cell) -> list[Row] | CellError:
        words = [self._python, "-m", "studies.worker", self._study.name, *map(str, cell)]
        with tempfile.TemporaryFile("w+") as complaints:
            with self._lock:
                if self._over:
                    return CellError("interrupted")
                process = subprocess.Popen(
                    words, env=environment(), stdout=subprocess.PIPE, stderr=complaints, text=True
                )
                self._alive.add(process)
            output, _ = process.communicate()
            with self._lock:
                self._alive.discard(process)
            if process.returncode == 0:
                return [json.loads(line) for line in output.splitlines()]
            complaints.seek(0)
            last = (complaints.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1]
            return CellError(last)


def environment() -> dict[str, str]:
    """Return the environment of a cell's process: one thread, and the sources that this process has."""
    sources = [str(ROOT), str(Path(reverie.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | PINNED | {"PYTHONPATH": os.pathsep.join(filter(None, sources))}
