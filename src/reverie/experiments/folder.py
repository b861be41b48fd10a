"""A folder of results: the cells that are done, whatever ran them, and the settings they were done with.

`cells.csv` has a row per cell that ended, `scores.csv` its curve, `settings.json` what decides the numbers, `films/` the final
policies of the first seed; `work/` holds cells under way, and nothing that a report needs.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from reverie.core.errors import ConfigError, StorageError
from reverie.storage.files import read_regular, take_lock, told, write_whole
from reverie.storage.tables import read_rows, table_of

FORMAT = 2
KEY = ("domain", "variant", "seed")
CELLS = (*KEY, "status", "episodes", "seconds", "ended", "software", "machine", "error")
SCORE = ("episode", "step", "return_mean", "return_std", "rest_speed", "still")
SCORES = (*KEY, *SCORE)
DONE, FAILED = "done", "failed"
AGAIN = "what is done is kept: mend that, and call again"

Key = tuple[str, str, int]


class Outcome(NamedTuple):
    """How a cell ended: its rows of scores.csv, a film, an error if it failed, what it ran with and on."""

    rows: list[dict[str, Any]]
    film: bytes | None = None
    error: str = ""
    software: str = ""
    machine: str = ""


class Results:
    """What a folder holds.  Raises StorageError where it is damaged or of another version.

    Reading needs no lock; `open` takes it, for whoever adds cells.
    """

    def __init__(self, path: Path):
        self.path, self.work, self.films = path, path / "work", path / "films"
        self.cells_file, self.scores_file = path / "cells.csv", path / "scores.csv"
        self.settings_file = path / "settings.json"
        self._lock: filelock.BaseFileLock | None = None
        self._read()

    def _read(self) -> None:
        self.settings: dict[str, dict[str, Any]] = {}
        self.version: str | None = None
        self.commands: list[str] = []  # that filled it
        self.cells: dict[Key, dict[str, Any]] = {}
        self.scores: dict[Key, list[dict[str, Any]]] = {}
        if not self.settings_file.exists():
            if self.cells_file.exists():
                raise StorageError(f"{self.settings_file} is missing, and {self.cells_file} cannot be read without it")
            return
        try:
            with told("read", self.settings_file, AGAIN):
                facts = json.loads(read_regular(self.settings_file))
            if facts["format"] != FORMAT:
                raise StorageError(
                    f"{self.path} has format {facts['format']}; this version of reverie reads {FORMAT}: choose another --out"
                )
            self.settings, self.version, self.commands = facts["settings"], facts["reverie"], facts["commands"]
            self.cells = {_key(row): row for row in _rows(self.cells_file, CELLS)}
            for row in _rows(self.scores_file, SCORES):
                if _key(row) in self.cells:  # else it was killed between the two tables, and will come again
                    self.scores.setdefault(_key(row), []).append(row)
            for key, row in self.cells.items():
                if self.is_done(key) and self.scores[key][-1]["episode"] != row["episodes"]:
                    raise ValueError
        except (ValueError, KeyError, TypeError):
            raise StorageError(f"{self.path} holds damaged tables; restore them, or choose another --out") from None

    def open(self) -> None:
        """Make the folder and take its lock.  Raises StorageError where another process holds it."""
        with told("create", self.path, AGAIN):
            self.path.mkdir(parents=True, exist_ok=True)
        with told("lock", self.path, AGAIN):
            busy = f"{self.path} is being filled by another process; wait, or choose another --out"
            self._lock = take_lock(self.path, busy)
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def require(self, version: str, settings: dict[str, dict[str, Any]]) -> None:
        """Raise ConfigError unless cells of these settings, by "domain/variant", may stand beside those that are here."""
        if self.version not in (None, version):
            raise ConfigError(
                f"{self.path} was filled by reverie {self.version}, and this is {version}: choose another --out"
            )
        for name, wanted in settings.items():
            held = self.settings.get(name, wanted)
            for key in sorted({*held, *wanted}):
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

    def add(self, key: Key, outcome: Outcome) -> None:
        """Keep how a cell ended, in place of how it ended before.  The row in cells.csv comes last: without it, it did not."""
        name = dict(zip(KEY, key, strict=True))
        rows = outcome.rows
        self.scores[key] = [name | {column: row[column] for column in SCORE} for row in rows]
        if outcome.film is not None:
            with told("create", self.films, AGAIN):
                self.films.mkdir(exist_ok=True)
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


def _rows(file: Path, columns: tuple[str, ...]) -> Iterable[dict[str, Any]]:
    if not file.exists():
        return []
    if not read_regular(file).startswith(table_of(columns, [])):
        raise ValueError
    return read_rows(file)


def _key(row: dict[str, Any]) -> Key:
    return row["domain"], row["variant"], int(row["seed"])
