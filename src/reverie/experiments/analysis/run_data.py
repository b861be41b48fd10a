"""What the files of a run hold for a page, read without its lock, so that it may be learning meanwhile."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from reverie.core.errors import StorageError
from reverie.storage import tables
from reverie.storage.config import Config
from reverie.storage.episodes import COLUMNS as EPISODES
from reverie.storage.events import COLUMNS as EVENTS
from reverie.storage.journal_format import records_in
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory
from reverie.storage.table_sample import Sample, sample_at
from reverie.training.evaluation import COLUMNS as EVALUATIONS
from reverie.training.resuming import facts_of
from reverie.training.run_logger import AFRESH, METRICS

Damaged = Callable[[StorageError], object]
T = TypeVar("T")


def refuse(error: StorageError) -> None:
    """Raise what was found: a page of a damaged run is refused."""
    raise error


class RunData:
    """The tables of one run; each is read when it is first asked for.

    label: a short name, different from those of other runs on the page.
    damaged: told of a file that cannot be read, which then counts as empty; by default it is refused.
    Raises StorageError where `path` is not a run directory.
    """

    def __init__(self, path: Path, label: str, damaged: Damaged = refuse):
        self.run, self.label, self._damaged = RunDirectory(path), label, damaged
        self.config: Config = self.run.read_config()

    @property
    def env(self) -> str:
        """The environment, in words."""
        spec = self.config.spec
        return self.config.env or ("own loop" if spec is None else spec.name)

    @functools.cached_property
    def episodes(self) -> Sample:
        """Rows of episodes.csv."""
        return self._read(lambda: sample_at(self.run.episodes_file, EPISODES), Sample([], 0))

    @functools.cached_property
    def evaluations(self) -> Sample:
        """Rows of evaluations.csv."""
        return self._read(lambda: sample_at(self.run.evaluations_file, EVALUATIONS), Sample([], 0))

    @functools.cached_property
    def metrics(self) -> Sample:
        """Rows of metrics.csv."""
        read = functools.partial(sample_at, self.run.metrics_file, METRICS, tables.figure, remedy=AFRESH)
        return self._read(read, Sample([], 0))

    @functools.cached_property
    def events(self) -> Sample:
        """Rows of events.csv."""
        return self._read(lambda: sample_at(self.run.events_file, EVENTS, remedy=AFRESH), Sample([], 0))

    @functools.cached_property
    def steps(self) -> int:
        """Number of steps: from the size of the journal, or from the checkpoint if there is no journal."""
        ended = self.episodes.rows[-1]["step"] if self.episodes.rows else 0
        if exists(self.run.journal_file):
            return self._read(lambda: records_in(self.run.journal_file), ended)
        facts = self._read(lambda: facts_of(self.run), None)
        found = 0 if facts is None else facts.get("steps")
        return max(found, ended) if isinstance(found, int) else ended

    @property
    def goal(self) -> int | None:
        """The step at which the command in progress ends, or None if none is in progress."""
        call = self._read(self.run.read_call, None)
        return None if call is None else call.start + call.steps

    def returns(self) -> tuple[np.ndarray, np.ndarray]:
        """Return steps [K] and returns [K] of training episodes."""
        rows = self.episodes.rows
        return np.array([row["step"] for row in rows]), np.array([row["return"] for row in rows], float)

    def metric(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return steps [K] and values [K] of a column of metrics.csv where it has a value."""
        found = [(row["step"], value) for row in self.metrics.rows if (value := row.get(name)) is not None]
        return np.array([step for step, _ in found]), np.array([value for _, value in found], float)

    def _read(self, read: Callable[[], T], nothing: T) -> T:
        try:
            return read()
        except StorageError as error:
            self._damaged(error)
            return nothing


def runs_by_env(paths: Sequence[Path], damaged: Damaged = refuse) -> dict[str, list[RunData]]:
    """Return the runs by environment, each path once.  Raises StorageError where a path is not a run directory."""
    paths = list(dict.fromkeys(paths))
    found: dict[str, list[RunData]] = {}
    for path, label in zip(paths, labels_of(paths), strict=True):
        data = RunData(path, label, damaged)
        found.setdefault(data.env, []).append(data)
    return found


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return short names of paths, all different: what is left of them without the folder that all are in."""
    absolute = [os.path.abspath(path) for path in paths]
    if len(set(absolute)) < 2:
        return [Path(path).name or path for path in absolute]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute])
    return [os.path.relpath(path, common) for path in absolute]
