"""Cells on this machine: a process each, pinned to one thread, `jobs` at a time."""

import os
import queue
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reverie.core.interrupts import EXIT_STATUS, raise_if_interrupted
from reverie.experiments.execution.cells import Cell, OnRow, worker_of
from reverie.experiments.execution.process_pool import ProcessPool
from reverie.experiments.spec.declaration import PINNED
from reverie.storage.reading import loose

RETRIES = 2  # of a cell whose process was killed
LOOK = 0.2  # seconds between looks for an interrupt


class _Ended(NamedTuple):
    """How a cell ended."""

    result: Any


_Put = Callable[[Cell, "dict[str, Any] | _Ended | BaseException"], object]


def run(cells: Sequence[Cell], folder: Path, jobs: int, on_row: OnRow) -> Generator[tuple[Any, Any]]:
    """Yield each cell and its result as it ends.  on_row: called with each row on the way.

    folder: where cells at work are kept; one that was left there continues from its last score.  Closing the iterator
    ends every process.
    """
    events: queue.Queue[tuple[Cell, dict[str, Any] | _Ended | BaseException]] = queue.Queue()
    with ProcessPool(jobs) as pool:
        for cell in cells:
            pool.submit(_work, pool, cell, folder / cell.folder_name, lambda *event: events.put(event))
        left = len(cells)
        while left:
            raise_if_interrupted()
            try:
                cell, event = events.get(timeout=LOOK)
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, _Ended):
                left -= 1
                yield cell, event.result
            else:
                on_row(cell, event)


def _work(pool: ProcessPool, cell: Cell, folder: Path, put: _Put) -> None:
    """Run a cell in FOLDER; put its rows and its result, or an error that concerns all cells, such as a full disk."""
    try:
        worker = worker_of(cell)
        worker.write(cell, folder)
        error, tries = "", 1 + RETRIES
        while tries and not pool.is_closed:
            command = [sys.executable, "-m", cell.worker, str(folder)]
            status, error = pool.run(command, os.environ | PINNED, lambda line: put(cell, loose(line)))
            tries = tries - 1 if status < 0 or status == EXIT_STATUS else 0
        if not pool.is_closed:
            put(cell, _Ended(worker.collect(folder, error)))
    except BaseException as error:
        put(cell, error)
