"""Cells on a Ray cluster: the same work as `local` does, wherever there is a free core.

A cluster is found as `ray.init()` finds it (RAY_ADDRESS, or one that runs here); where there is none, one is started on
this machine.  A cell whose worker dies is done again from its beginning, elsewhere.  Each node needs `reverie[ray]`.
"""

import contextlib
import importlib
import importlib.util
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from reverie.core.errors import ConfigError, ReverieError
from reverie.core.interrupts import raise_if_interrupted
from reverie.experiments.execution.cells import Cell, OnRow, worker_of
from reverie.experiments.execution.local_backend import RETRIES
from reverie.experiments.spec.declaration import PINNED

SECONDS = 0.5  # between looks at how cells get on


class ProgressActor:
    """An actor: scores of cells under way, until somebody takes them."""

    def __init__(self):
        self._rows: list[tuple[Cell, dict[str, Any]]] = []

    def put(self, cell: Cell, row: dict[str, Any]) -> None:
        """Add a score."""
        self._rows.append((cell, row))

    def take(self) -> list[tuple[Cell, dict[str, Any]]]:
        """Return what was added since the last time."""
        rows, self._rows = self._rows, []
        return rows


def work(cell: Cell, progress: Any) -> Any:
    """Do a cell in this worker; return how it ended."""
    worker = worker_of(cell)
    with tempfile.TemporaryDirectory(prefix="reverie-") as name:
        folder, error = Path(name), ""
        try:
            worker.learn(cell, folder, lambda row: progress.put.remote(cell, row))
        except ReverieError as wrong:
            error = str(wrong)
        except Exception as wrong:
            error = f"{type(wrong).__name__}: {wrong}"
        return worker.packed(worker.collect(folder, error), folder)


def require() -> None:
    """Raise ConfigError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--backend ray needs a package: pip install 'reverie[ray]'")


def run(cells: Sequence[Cell], on_row: OnRow) -> Generator[tuple[Any, Any]]:
    """Yield each cell and its result as it ends.  on_row: called with each score on the way."""
    ray: Any = importlib.import_module("ray")
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
    # A worker serves one cell: its threads are pinned before JAX starts, and its memory goes when it ends.
    remote = ray.remote(num_cpus=1, max_calls=1, max_retries=RETRIES, runtime_env={"env_vars": PINNED})(work)
    progress = ray.remote(num_cpus=0, max_restarts=-1)(ProgressActor).remote()
    waiting = {remote.remote(cell, progress): cell for cell in cells}
    try:
        while waiting:
            raise_if_interrupted()
            ended, _ = ray.wait(list(waiting), timeout=SECONDS)
            with contextlib.suppress(ray.exceptions.RayError):  # the board's node died: it comes up elsewhere, empty
                for cell, row in ray.get(progress.take.remote()):
                    on_row(cell, row)
            for reference in ended:
                cell = waiting.pop(reference)
                try:
                    yield cell, ray.get(reference)
                except ray.exceptions.RayError as error:  # it died as often as it was tried
                    yield cell, worker_of(cell).lost(str(error).splitlines()[0])
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)
        ray.kill(progress)
