"""A folder of a sweep: its runs, a table with a row per finished run, and what all of them have in common.

`sweep.json` says what was asked for, `cells.csv` has the rows, `runs/` the run directories.  Those of
`reverie train --seeds` lie beside the table instead.
"""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from reverie.core.errors import ConfigError, StorageError
from reverie.experiments.execution import local_backend, ray_backend
from reverie.experiments.execution.cells import OnRow
from reverie.experiments.execution.folder_lock import FolderLock
from reverie.experiments.execution.sweep_worker import CELL, ENDED, SweepResult
from reverie.experiments.spec.sweep_grid import SweepCell
from reverie.storage import tables
from reverie.storage.files import io_errors, make_folder, write_whole
from reverie.storage.reading import exists, read_json
from reverie.storage.run import RESULTS, SWEEP, RunDirectory
from reverie.storage.tables import Table, read_table

FORMAT = 1
AGAIN = "finished runs are kept: correct this, and run the command again"
RESTORE = "restore it, or choose another --out"
RUN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*", re.ASCII)
SETTING = "set."  # what the columns of settings begin with

Verb = Literal["sweep", "train"]


def run_name(text: str) -> str:
    """Return the name of a run's folder."""
    if not RUN_NAME.fullmatch(text):
        raise ValueError("the name of a run")
    return text


def score(text: str) -> float | None:
    """Return a finite number; None for nothing: a run that diverged."""
    return tables.number(text) if text else None


CELLS = {"run": run_name, "seed": tables.whole, "status": tables.one_of("done", "diverged")}
CELLS |= {"steps": tables.whole, "episodes": tables.whole, "last": score, "best": score}
CELLS |= {"seconds": tables.number, "ended": tables.words}


class Facts(msgspec.Struct, forbid_unknown_fields=True):
    """What sweep.json holds."""

    format: int
    reverie: str
    verb: Verb
    asked: dict[str, Any]  # what all runs have in common: agent, env, steps, …
    commands: list[str]  # that filled the folder


class SweepStore:
    """What a folder of a sweep holds.  Raises StorageError where it is damaged.

    Reading needs no lock; `open` takes it, for whoever adds runs.
    """

    def __init__(self, path: Path):
        self.path, self.facts_file, self.cells_file = path, path / SWEEP, path / "cells.csv"
        self._lock = FolderLock(path, AGAIN, "wait, or choose another --out")
        self._read()

    def _read(self) -> None:
        self.facts: Facts | None = None
        self.rows: dict[str, dict[str, Any]] = {}  # by the run's name
        if not exists(self.facts_file):
            return
        self.facts = read_json(self.facts_file, Facts, RESTORE)
        if self.facts.format != FORMAT:
            raise StorageError(
                f"{self.path} has format {self.facts.format}; this version of reverie reads {FORMAT}: choose another --out"
            )
        if exists(self.cells_file):
            for row in read_table(self.cells_file, CELLS, more=tables.words, remedy=RESTORE):
                self.rows[row["run"]] = row

    def runs(self, verb: Verb) -> Path:
        """Return where the run directories are."""
        return self.path if verb == "train" else self.path / "runs"

    @property
    def directories(self) -> dict[str, Path]:
        """The directories of finished runs, by name."""
        return {} if self.facts is None else {name: self.runs(self.facts.verb) / name for name in self.rows}

    def require(self, verb: Verb, version: str, asked: dict[str, Any]) -> None:
        """Raise ConfigError unless runs of this kind may stand beside what is here."""
        self._refuse_foreign()
        if self.facts is None:
            return
        if self.facts.verb != verb:
            command = "reverie sweep" if self.facts.verb == "sweep" else "reverie train --seeds"
            raise ConfigError(f"{self.path} was filled by `{command}`: choose another --out")
        if self.facts.reverie != version:
            raise ConfigError(
                f"{self.path} was filled by reverie {self.facts.reverie}, and this is {version}: choose another --out"
            )
        for name, wanted in asked.items():
            if (held := self.facts.asked.get(name)) != wanted:
                raise ConfigError(
                    f"{self.path} holds runs with {name}={held}, not {wanted}: "
                    "results do not mix; choose another --out, or ask for the same"
                )

    def _refuse_foreign(self) -> None:
        """Raise ConfigError where the folder is something else."""
        if RunDirectory(self.path).holds_run:
            raise ConfigError(f"{self.path} holds a run of `reverie train`, not a sweep: choose another --out")
        if exists(self.path / RESULTS):
            raise ConfigError(f"{self.path} holds results of `reverie reproduce`, not a sweep: choose another --out")
        if self.facts is not None or not exists(self.path):
            return
        with io_errors("look into", self.path, "choose another --out"):
            others = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))
        if others:
            raise ConfigError(f"{self.path} holds {others[0]}, not a sweep: choose an empty folder, or another --out")

    def open(self) -> None:
        """Make the folder and take its lock.  Raises StorageError where another process holds it."""
        self._lock.take()
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def declare(
        self, verb: Verb, version: str, asked: dict[str, Any], command: str, cells: Sequence[SweepCell]
    ) -> None:
        """Write down what is asked for, after `require`, and give the table a column for each setting of `cells`."""
        before = [] if self.facts is None else self.facts.commands
        self.facts = Facts(FORMAT, version, verb, asked, list(dict.fromkeys([*before, command])))
        write_whole(self.facts_file, (json.dumps(msgspec.to_builtins(self.facts), indent=1) + "\n").encode(), AGAIN)
        names = {SETTING + name for cell in cells for name in cell.settings}
        names |= {name for row in self.rows.values() for name in row if name not in CELLS}
        self._table = Table(self.cells_file, [*CELLS, *sorted(names)])
        self._table.replace(self.rows.values())  # without a row that was torn

    def missing(self, cells: Sequence[SweepCell]) -> list[SweepCell]:
        """Return the cells that are not done."""
        return [cell for cell in cells if cell.folder_name not in self.rows]

    def add(self, cell: SweepCell, result: SweepResult) -> None:
        """Keep a finished run.  Its row comes last: without it, the run is gone on with."""
        assert self.facts is not None and result.ended is not None
        folder = self.runs(self.facts.verb) / cell.folder_name
        if result.files:
            _unpack(result.files, folder)
        row = {"run": cell.folder_name, "seed": cell.seed, **msgspec.to_builtins(result.ended)}
        row = {name: "" if value is None else value for name, value in row.items()}
        row |= {"ended": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
        row |= {SETTING + name: value for name, value in cell.settings.items()}
        self._table.append(row, durable=True)
        self.rows[cell.folder_name] = row | {"last": result.ended.last, "best": result.ended.best}
        with io_errors("tidy", folder, AGAIN):
            for name in (CELL, ENDED):
                (folder / name).unlink(missing_ok=True)

    def fill(
        self, cells: Sequence[SweepCell], backend: str, jobs: int, on_row: OnRow
    ) -> Generator[tuple[SweepCell, SweepResult]]:
        """Run cells and yield each once it is kept, or has failed.  After `open` and `declare`.

        backend: "local", with `jobs` processes, or "ray".
        """
        assert self.facts is not None
        folder = self.runs(self.facts.verb)
        run = ray_backend.run(cells, on_row) if backend == "ray" else local_backend.run(cells, folder, jobs, on_row)
        with contextlib.closing(run):  # at once: whatever ends this, nobody may work on when the folder is given back
            for cell, result in run:
                if not result.error:
                    self.add(cell, result)
                yield cell, result


def _unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a run directory that was made elsewhere, in place of what an earlier call left."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / PurePosixPath(name)
        with io_errors("create", path.parent, AGAIN):
            make_folder(path.parent)
        write_whole(path, data, AGAIN)
