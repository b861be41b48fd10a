"""A folder of results: the cells that are done, whatever ran them, and the settings they were done with.

`cells.csv` has a row per cell that ended, `scores.csv` its curve, `settings.json` what decides the numbers, `films/` the final
policies of the first seed; `work/` holds cells under way, and nothing that a report needs.
"""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reverie.core.errors import ConfigError, StorageError
from reverie.experiments.execution.folder_lock import FolderLock
from reverie.storage import tables
from reverie.storage.config import completed
from reverie.storage.files import io_errors, make_folder, write_whole
from reverie.storage.reading import exists, read_json
from reverie.storage.run import RESULTS, SWEEP, RunDirectory
from reverie.storage.tables import table_at, table_of

FORMAT = 2
DONE, FAILED = "done", "failed"
KEY = {"domain": tables.name, "variant": tables.name, "seed": tables.whole}
CELLS = KEY | {"status": tables.one_of(DONE, FAILED), "episodes": tables.whole, "seconds": tables.number}
CELLS |= {"ended": tables.words, "software": tables.words, "machine": tables.words, "error": tables.words}
SCORE = {"episode": tables.whole, "step": tables.whole}
SCORE |= {"return_mean": tables.number_or_diverged, "return_std": tables.number}
SCORE |= {"rest_speed": tables.number_or_nan, "still": tables.number_or_nan}
SCORES = KEY | SCORE
AGAIN = "finished cells are kept: correct this, and run the command again"
RESTORE = "restore it, or choose another --out"

Key = tuple[str, str, int]


class Facts(msgspec.Struct):
    """What settings.json holds."""

    format: int
    reverie: str
    commands: list[str]
    settings: dict[str, dict[str, Any]]  # by "domain/variant"

    def __post_init__(self):
        for own, held in self.settings.items():
            episodes = held.get("episodes")
            if isinstance(episodes, bool) or not isinstance(episodes, int) or episodes < 1:
                raise ValueError(f"the episodes of {own} are {episodes!r}, no whole number of at least 1")


class Version(msgspec.Struct):
    """The format that settings.json says it has."""

    format: int


class RunResult(NamedTuple):
    """How a cell ended: its rows of scores.csv, a film, an error if it failed, what it ran with and on."""

    rows: list[dict[str, Any]]
    film: bytes | None = None
    error: str = ""
    software: str = ""
    machine: str = ""


class ResultsStore:
    """What a folder holds.  Raises StorageError where it is damaged or of another version.

    Reading needs no lock; `open` takes it, for whoever adds cells.
    """

    def __init__(self, path: Path):
        self.path, self.work, self.films = path, path / "work", path / "films"
        self.cells_file, self.scores_file = path / "cells.csv", path / "scores.csv"
        self.settings_file = path / RESULTS
        self._lock = FolderLock(path, AGAIN, "wait, or choose another --out")
        self._read()

    def _read(self) -> None:
        self.settings: dict[str, dict[str, Any]] = {}
        self.version: str | None = None
        self.commands: list[str] = []  # that filled it
        self.cells: dict[Key, dict[str, Any]] = {}
        self.scores: dict[Key, list[dict[str, Any]]] = {}
        if not exists(self.settings_file):
            if exists(self.cells_file) and not exists(self.path / SWEEP):
                raise StorageError(f"{self.settings_file} is missing, and {self.cells_file} cannot be read without it")
            return
        if (found := read_json(self.settings_file, Version, RESTORE).format) != FORMAT:
            raise StorageError(
                f"{self.path} has format {found}; this version of reverie reads {FORMAT}: choose another --out"
            )
        facts = read_json(self.settings_file, Facts, RESTORE)
        self.settings, self.version, self.commands = facts.settings, facts.reverie, facts.commands
        for row in table_at(self.cells_file, CELLS, RESTORE):
            if _key(row) in self.cells:
                raise StorageError(f"{self.cells_file} is damaged: it has {_key_text(_key(row))} twice; {RESTORE}")
            self.cells[_key(row)] = row
        for row in table_at(self.scores_file, SCORES, RESTORE):
            if _key(row) in self.cells:  # else it was killed between the two tables, and will come again
                self.scores.setdefault(_key(row), []).append(row)
        self._refuse_odd_scores()

    def _refuse_odd_scores(self) -> None:
        """Raise StorageError unless each done cell has its scores, at the episodes at which other seeds have theirs."""
        grids: dict[tuple[str, str], list[int]] = {}
        for key in filter(self.is_done, self.cells):
            grid = [row["episode"] for row in self.scores.get(key, [])]
            first = grids.setdefault(key[:2], grid)
            if not grid or grid[-1] != self.cells[key]["episodes"] or grid != sorted(set(grid)) or grid != first:
                raise StorageError(
                    f"{self.scores_file} is damaged: its scores of {_key_text(key)} are not those of a cell that was done; "
                    f"{RESTORE}"
                )

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

    def require(self, version: str, settings: dict[str, dict[str, Any]]) -> None:
        """Raise ConfigError unless cells of these settings, by "domain/variant", may stand beside what is here."""
        if RunDirectory(self.path).holds_run:
            raise ConfigError(f"{self.path} holds a run of `reverie train`, not results: choose another --out")
        if exists(self.path / SWEEP):
            raise ConfigError(f"{self.path} holds the runs of a sweep, not results: choose another --out")
        if self.version not in (None, version):
            raise ConfigError(
                f"{self.path} was filled by reverie {self.version}, and this is {version}: choose another --out"
            )
        kept = {f"{domain}/{variant}" for domain, variant, _ in self.cells}
        for name, wanted in settings.items():
            held, wanted = completed(self.settings.get(name, wanted)), completed(wanted)
            free = set() if name in kept else {"domain_version"}  # that of cells which were taken out says nothing
            for key in sorted({*held, *wanted} - free):
                if held.get(key) != wanted.get(key):
                    raise ConfigError(
                        f"{self.path} holds {name} with {key}={held.get(key)}, not {wanted.get(key)}: "
                        "results do not mix; choose another --out, or ask for the same"
                    )

    def declare(self, version: str, settings: dict[str, dict[str, Any]], command: str) -> None:
        """Write down the settings of cells to come, after `require`, and the command that asked for them."""
        self.version, self.settings = version, self.settings | settings
        self.commands = list(dict.fromkeys([*self.commands, command]))
        facts = {"format": FORMAT, "reverie": version, "commands": self.commands}
        facts |= {"settings": dict(sorted(self.settings.items()))}
        write_whole(self.settings_file, (json.dumps(facts, indent=1) + "\n").encode(), AGAIN)

    def is_done(self, key: Key) -> bool:
        """Whether a cell ended well."""
        return key in self.cells and self.cells[key]["status"] == DONE

    def add(self, key: Key, outcome: RunResult) -> None:
        """Keep how a cell ended, in place of how it ended before.  The row in cells.csv comes last: without it, it did not."""
        name = dict(zip(KEY, key, strict=True))
        rows = outcome.rows
        self.scores[key] = [name | {column: row[column] for column in SCORE} for row in rows]
        if outcome.film is not None:
            with io_errors("create", self.films, AGAIN):
                make_folder(self.films)
            write_whole(self.film_file(key), outcome.film, AGAIN)
        self.cells[key] = name | {
            "status": FAILED if outcome.error else DONE,
            "episodes": rows[-1]["episode"] if rows else 0,
            "seconds": rows[-1]["seconds"] if rows else 0,
            "ended": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
            "software": outcome.software,
            "machine": outcome.machine,
            "error": outcome.error,
        }
        scores = [row for key in sorted(self.scores) for row in self.scores[key]]
        write_whole(self.scores_file, table_of(SCORES, scores), AGAIN)
        write_whole(self.cells_file, table_of(CELLS, [self.cells[key] for key in sorted(self.cells)]), AGAIN)

    def film_file(self, key: Key) -> Path:
        """Where the film of a cell's final policy is, if there is one."""
        return self.films / f"{'--'.join(map(str, key))}.mp4"


def _key(row: dict[str, Any]) -> Key:
    return row["domain"], row["variant"], row["seed"]


def _key_text(key: Key) -> str:
    return " ".join(map(str, key))
