"""The run directory: the places of its files, its configuration, and the lock against a second process."""

import itertools
import os
import re
from pathlib import Path
from typing import Any

import filelock

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError, StorageError
from reverie.storage.config import Call, Config, read_call, read_config, write_call, write_config
from reverie.storage.files import ELSEWHERE, LOCK, file_identity, io_errors, make_folder, take_lock
from reverie.storage.reading import exists

RESULTS = "settings.json"  # marks a folder of results
SWEEP = "sweep.json"  # marks a folder of `reverie sweep`, or of `reverie train --seeds`


def folder(name: str, value: Any) -> Path:
    """Return the path of a folder given as text or path.  Raises ConfigError for anything else."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str) or not os.fspath(value):
        raise ConfigError(f"{name} is {shown(value)}; give the path of a folder")
    return Path(value)


def unused(path: Path) -> Path:
    """Return `path`, or the first of `path`-2, `path`-3, … that does not exist."""
    names = itertools.chain([path.name], (f"{path.name}-{i}" for i in itertools.count(2)))
    return next(free for name in names if not exists(free := path.with_name(name)))


def _what_to_give(path: Path) -> str:
    """Return what to give in place of a path that holds no run."""
    from reverie.domains import DOMAINS  # here, since reading a directory needs nothing of it

    if path.is_file():
        return "it is a file; give the directory that training wrote"
    if exists(path / SWEEP):
        return f"it holds a sweep; give one of its runs, which are in {path / 'runs'}"
    if exists(path / RESULTS):
        return "it holds results of `reverie reproduce`; give the directory of a run of `reverie train`"
    if not exists(path) and (path.name in DOMAINS or re.fullmatch(r"\w+-v\d+", path.name)):
        return (
            f"it is an environment; learn first (`reverie train naf {path}`), then give the directory that this wrote"
        )
    return "give the directory that training wrote"


class RunDirectory:
    """Paths of one run; see docs/run-directory.md for what each file holds."""

    def __init__(self, path: str | Path):
        self.path = folder("the run directory", path)
        self.config_file = self.path / "config.json"
        self.call_file = self.path / "call.json"
        self.journal_file = self.path / "experience" / "journal.bin"
        self.logged_file = self.path / "experience" / "logged.safetensors"  # where it learns from a log
        self.latest_file = self.path / "checkpoint" / "latest.safetensors"
        self.previous_file = self.path / "checkpoint" / "previous.safetensors"
        self.next_file = self.path / "checkpoint" / "next.safetensors"  # while it is being written
        self.best_file = self.path / "checkpoint" / "best.safetensors"
        self.episodes_file = self.path / "episodes.csv"
        self.evaluations_file = self.path / "evaluations.csv"
        self.metrics_file = self.path / "metrics.csv"
        self.events_file = self.path / "events.csv"
        self.tensorboard_folder = self.path / "tensorboard"
        self._places: list[tuple[Path, tuple[int, int] | None]] = []
        self._lock: filelock.BaseFileLock | None = None

    def set_aside(self, number: int) -> Path:
        """Return the folder for what was learnt before change `number`, which learnt the journal again."""
        return self.latest_file.parent / f"before-relearn-{number}"

    @property
    def own_files(self) -> set[Path]:
        """The files that the run needs."""
        return {path for name, path in vars(self).items() if name.endswith("_file")} | {self.path / LOCK}

    @property
    def holds_run(self) -> bool:
        """Whether a run was begun here."""
        return exists(self.config_file) or exists(self.journal_file)

    def require_new(self) -> None:
        """Raise StorageError where a run was begun here, or the folder holds results of another verb."""
        if self.holds_run:
            raise StorageError(
                f"{self.path} already holds a run; continue it with --resume (Learner.load), or choose another directory"
            )
        if exists(self.path / RESULTS):
            raise StorageError(
                f"{self.path} holds results of `reverie reproduce` ({RESULTS}); choose another directory"
            )

        if exists(self.path / SWEEP):
            raise StorageError(f"{self.path} holds the runs of a sweep ({SWEEP}); choose another directory")

    def open(self) -> None:
        """Make the folders and take the lock.  Raises StorageError where another process (or learner) holds it."""
        with io_errors("create", self.path, ELSEWHERE):
            for file in (self.journal_file, self.latest_file):
                if file.parent.is_symlink():
                    raise StorageError(f"{file.parent} is a symbolic link; a run writes only into folders of its own")
                make_folder(file.parent)
            busy = f"{self.path} is in use by another process; wait for it to end, or choose another directory"
            self._lock = take_lock(self.path, busy)
            self._places = [(path, file_identity(path)) for path in (self.path, self.path / LOCK)]

    @property
    def is_in_place(self) -> bool:
        """Whether the directory and its lock are the ones that were opened."""
        return all(file_identity(path) == found for path, found in self._places)

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            try:
                with io_errors(
                    "release", self.path / LOCK, "an environment may have closed files that are not its own"
                ):
                    self._lock.release()
            finally:
                self._lock = None

    def write_config(self, config: Config, sign: bool) -> None:
        """Write config.json, completely or not at all.  sign: as written by this user on this machine."""
        write_config(self.config_file, config, sign)

    def read_config(self) -> Config:
        """Return config.json.  Raises StorageError where it is missing, damaged or of another version."""
        if not self.holds_run:
            raise StorageError(f"{self.path} holds no run (no config.json); {_what_to_give(self.path)}")
        return read_config(self.config_file)

    def write_call(self, call: Call) -> None:
        """Write the command-line call in progress, so that --resume can finish it."""
        write_call(self.call_file, call)

    def end_call(self) -> None:
        """Record that the call in progress is finished."""
        with io_errors("write", self.call_file):
            self.call_file.unlink(missing_ok=True)

    def read_call(self) -> Call | None:
        """Return the call that was cut short, or None if the last one ended."""
        return read_call(self.call_file)
