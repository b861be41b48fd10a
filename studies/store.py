"""The tables of a study: one reader and one writer.  A cell is added whole when it ends, so an interrupted run continues."""

import contextlib
import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from reverie.experiments.execution.folder_lock import FolderLock
from reverie.storage import tables
from reverie.storage.files import io_errors, make_folder, write_whole
from reverie.training.provenance import versions
from studies.study import Cell, Row, Study

DATA = Path(__file__).parent / "data"
TEXT = {"domain", "variant", "task", "method", "status", "name", "library", "model", "world", "source", "learner"}
TEXT |= {"agent", "convex", "experiment", "mode"}
WHOLE = {"seed", "step", "steps", "episode", "episodes", "start", "horizon", "iteration", "run", "planning_steps"}
WHOLE |= {"test_episodes", "seeds", "pairs", "failed", "repetitions", "actuator", "observation", "actions"}
WHOLE |= {"ticks", "missed_ours", "missed_machine", "minute", "steps_per_minute", "open_files", "threads"}
AGAIN = "finished cells are kept: correct this, and run the command again"


class Written(float):
    """A number that is written as it was read, for instance 0.10."""

    def __new__(cls, text: str) -> "Written":
        """Return the number that a field holds."""
        number = super().__new__(cls, tables.any_number(text))
        number._text = text
        return number

    _text: str

    def __str__(self) -> str:
        return self._text


def kind(column: str) -> tables.Kind:
    """Return the kind of a column: text, whole numbers, or numbers that may be missing (None) or no number ("nan")."""
    if column in TEXT:
        return tables.words
    if column in WHOLE:
        return tables.whole
    return lambda text: None if not text else text if text == "nan" else Written(text)


class Store:
    """The files of a study, under DATA/NAME unless another root is given."""

    def __init__(self, study: Study, root: Path = DATA):
        self.study, self.folder = study, root / study.name

    def path(self, stem: str) -> Path:
        """Return where a table lies."""
        return self.folder / f"{stem}.csv"

    def read(self, stem: str) -> list[Row]:
        """Return the rows of one file; none where it is not there yet.  Raises StorageError where it is damaged."""
        rows = tables.table_at(self.path(stem), self._columns)
        return [{self.study.key[0]: stem, **row} for row in rows] if self.study.split else rows

    def rows(self) -> list[Row]:
        """Return the rows of the study."""
        return [row for stem in self.study.files for row in self.read(stem)]

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """Return those cells that no row belongs to."""
        done = {self.study.cell_of(row) for row in self.rows()}
        return [cell for cell in cells if cell not in done]

    def add(self, cell: Cell, rows: list[Row]) -> None:
        """Write down a cell that ended, in place of what there was of it."""
        stem = self.study.file_of(cell)
        with io_errors("create", self.folder, AGAIN):
            make_folder(self.folder)
        kept = [row for row in self.read(stem) if self.study.cell_of(row) != cell]
        whole = [dict(zip(self.study.key, cell, strict=True)) | row for row in rows]
        write_whole(self.path(stem), self.table(self._ordered([*kept, *whole])), AGAIN)

    def table(self, rows: Iterable[Row]) -> bytes:
        """Return rows as the bytes of a file."""
        return tables.table_of(self._columns, rows)

    def _ordered(self, rows: list[Row]) -> list[Row]:
        if self.study.sort_by:
            return sorted(rows, key=lambda row: [row[column] for column in self.study.sort_by])
        place = {cell: number for number, cell in enumerate(self.study.cells)}
        return sorted(rows, key=lambda row: place.get(self.study.cell_of(row), -1))

    def write_settings(self, stem: str) -> None:
        """Write what decides the numbers of a file into the JSON beside it."""
        study = self.study
        facts: dict[str, Any] = {"command": f"python -m studies run {study.name}", "versions": versions()}
        facts |= {"question": study.question, "scored": study.scored, "seeds": study.seeds}
        facts |= study.settings(stem) if study.settings else {}
        facts |= {"verdict": study.facts(self.rows())} if study.facts else {}
        write_whole(self.folder / f"{stem}.json", (json.dumps(facts, indent=1) + "\n").encode(), AGAIN)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from filling the study.  Raises StorageError where one does already."""
        lock = FolderLock(self.folder, AGAIN, "wait for it, or give --data")
        lock.take()
        try:
            yield
        finally:
            lock.release()

    @property
    def _columns(self) -> tables.Columns:
        """The columns of a file: the one that names the file is none of them."""
        study = self.study
        left_out = study.key[0] if study.split else None
        return {column: kind(column) for column in study.columns if column != left_out}
