"""What the backends run: cells.  A cell is one learner's whole work, done by one process.

Two kinds of cells exist: those of the paper (`RunSpec`) and those of sweeps (`SweepCell`).  A backend needs to know nothing
else of them than what is here.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

OnRow = Callable[[Any, dict[str, Any]], None]
"""Called with (cell, row): how a cell under way gets on."""


class Cell(Protocol):
    """One learner's work.  It can be pickled."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Its name in tables, in parts."""
        ...

    @property
    def folder_name(self) -> str:
        """Its name as a folder."""
        ...

    @property
    def worker(self) -> str:
        """The module that does it, which fulfils `Worker`.  `python -m MODULE FOLDER` does it in a process."""
        ...


class Result(Protocol):
    """How a cell ended."""

    @property
    def error(self) -> str:
        """What ended it early, or ""."""
        ...


class Worker(Protocol):
    """A module whose functions do one kind of cells."""

    def write(self, cell: Any, folder: Path, /) -> None:
        """Describe the cell in FOLDER, for a process that is started there."""
        ...

    def learn(self, cell: Any, folder: Path, on_row: Callable[[dict[str, Any]], None], /) -> None:
        """Do the cell in FOLDER, and call `on_row` with how it gets on.  Raises ReverieError where it cannot be done."""
        ...

    def collect(self, folder: Path, error: str, /) -> Any:
        """Return the `Result` that FOLDER holds.  error: what ended the cell early, or ""."""
        ...

    def packed(self, result: Any, folder: Path, /) -> Any:
        """Return the result with all of FOLDER that is to be kept, where nobody else can read that folder."""
        ...

    def lost(self, error: str, /) -> Any:
        """Return the `Result` of a cell that left nothing, since its worker died."""
        ...


def worker_of(cell: Cell) -> Worker:
    """Return the module that does a cell."""
    module: Any = importlib.import_module(cell.worker)
    return module
