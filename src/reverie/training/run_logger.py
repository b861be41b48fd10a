"""Everything a learner writes, in one place: journal, tables, TensorBoard files, checkpoints."""

import os
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reverie.core.errors import ReverieWarning, StorageError
from reverie.core.types import Transition
from reverie.core.words import count
from reverie.storage import checkpoint, episodes, events, tables
from reverie.storage.experience import ENDS, TERMINATED, TRUNCATED, source_of
from reverie.storage.files import io_errors, sync_folder
from reverie.storage.journal import Journal
from reverie.storage.journal_format import recovery
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.training import evaluation
from reverie.training.checkpoint_facts import Facts
from reverie.training.directory_watch import DirectoryWatch
from reverie.training.experience_source import SOURCE_PREFIX
from reverie.training.tensorboard import TensorBoard

LOOK_SECONDS = 1.0  # between checks that the run directory is still there
SYNC_SECONDS = 1.0  # the most experience, in seconds, that a power cut may cost with an environment
CHECKPOINT_SHARE = 0.1  # the most learning, as a share of a session, that must be repeated after a crash,
CHECKPOINT_SECONDS = (1.0, 60.0)  # within these bounds
METRICS = {"step": tables.whole}  # the other columns are the agent's metrics
AFRESH = "correct that line, or delete the file: nothing is learnt from it"


class RecordedStep(NamedTuple):
    """One journal record."""

    step: int
    time: float
    episode: int
    flags: int
    reward: float
    action: np.ndarray
    observation: np.ndarray
    next_observation: np.ndarray
    state: np.ndarray | tuple[()] = ()  # followed by what is constant in the episode; () where it is not recorded
    next_state: np.ndarray | tuple[()] = ()
    asked: np.ndarray | None = None  # the action that was asked for; None: the journal does not have it
    policy: int = 0  # number of updates of the policy that acted

    @classmethod
    def of(cls, record: Any) -> "RecordedStep":
        """Return the fields of a record that was read."""
        names = [name for name in cls._fields if name in record.dtype.fields]
        return cls(**{name: record[name] if record[name].shape else record[name].item() for name in names})

    @property
    def last(self) -> bool:
        """Whether the episode ended here, by termination or time-out."""
        return bool(self.flags & ENDS)

    @property
    def source(self) -> str:
        """Who chose the action, one of SOURCES."""
        return source_of(self.flags)

    @property
    def summary(self) -> tuple[int, float, int, int, float]:
        """The arguments of `EpisodeSummary.add`."""
        return self[:5]

    @property
    def seen(self) -> tuple[Any, ...]:
        """The arguments of `MachineChecks.see`."""
        asked = self.action if self.asked is None else self.asked
        flags = bool(self.flags & TERMINATED), bool(self.flags & TRUNCATED)
        return self.observation, self.next_observation, self.action, asked, self.reward, flags, self.episode

    def pack(self) -> np.ndarray:
        """Return the transition as a replay row [width].  Its discount is 0 after termination, 1 after a time-out."""
        alive = 0.0 if self.flags & TERMINATED else 1.0
        return Transition(
            self.observation, self.action, np.asarray(self.reward), np.asarray(alive), self.next_observation
        ).pack()


def packed(records: np.ndarray) -> np.ndarray:
    """Return journal records [N] as replay rows [N, width]."""
    alive = np.where(records["flags"] & TERMINATED, 0.0, 1.0)
    return Transition(
        records["observation"], records["action"], records["reward"], alive, records["next_observation"]
    ).pack()


def seen(records: np.ndarray) -> tuple[Any, ...]:
    """Return journal records [N] as the arguments of `MachineChecks.restore`."""
    before, after, action = records["observation"], records["next_observation"], records["action"]
    asked = records["asked"] if "asked" in (records.dtype.fields or ()) else action
    flags = records["flags"] & TERMINATED != 0, records["flags"] & TRUNCATED != 0
    return before, after, action, asked, records["reward"], flags, records["episode"]


class RunLogger:
    """The open files of one run.  Methods raise StorageError where a file cannot be used or written."""

    def __init__(
        self,
        run: RunDirectory,
        sizes: tuple[int, int, int],  # of observation, action and state (0: not recorded)
        actions: int,  # number of discrete actions; 0: continuous
        env_count: int,  # environments that take turns
        metric_names: Iterable[str],
        charts: bool,
        spec: Spec | None = None,
        begun: dict[str, Any] | None = None,
    ):
        self.run, self._env_count = run, env_count
        self.journal = Journal(run.journal_file, *sizes, actions, spec, begun)
        self.episodes = tables.Table(run.episodes_file, episodes.COLUMNS)
        self.evaluations = tables.Table(run.evaluations_file, evaluation.COLUMNS)
        self.metrics = tables.Table(run.metrics_file, tuple(metric_names))
        self.events = tables.Table(run.events_file, events.COLUMNS)
        self._latest_is_good = True  # also True where there is none
        self.charts = TensorBoard(run.tensorboard_folder if charts else None)
        self._synced = self._saved = self._began = self._looked = time.monotonic()
        self.lost: str | None = None  # the message once the directory was removed
        self._keeper = DirectoryWatch(run, self.journal)

    def write_step(self, step: RecordedStep, durable: bool) -> None:
        """Append a transition, given to the operating system at once; durable: wait until it is on the disk."""
        self.journal.append(*step)
        now = time.monotonic()
        if durable or now - self._synced > SYNC_SECONDS:
            self.journal.sync()
            self._synced = now
        if now - self._looked > LOOK_SECONDS:
            self.check_directory()
            self._looked = now

    def check_directory(self) -> None:
        """Raise StorageError where the directory, the journal or the lock was removed or replaced.

        The content of the open journal is then saved elsewhere.  Nothing more is written to what stands in its place.
        """
        if self.lost is None:
            self.lost = self._keeper.check()
        self.require_not_lost()

    def require_not_lost(self) -> None:
        """Raise StorageError where the directory was found to be removed or replaced; does not look again."""
        if self.lost is not None:
            raise StorageError(self.lost)

    def write_episode(self, row: dict[str, Any]) -> None:
        """Append an episode's row."""
        self.check_directory()
        self.episodes.append(row)
        self.charts.add("episode", row["step"], {"return": row["return"], "length": row["length"]})

    def write_evaluation(self, row: dict[str, Any]) -> None:
        """Append an evaluation's row."""
        self.check_directory()
        self.evaluations.append(row, durable=True)  # evaluations cost episodes and cannot be made again
        self.charts.add("evaluation", row["step"], row)

    def write_metrics(self, row: dict[str, Any]) -> None:
        """Append a row of metrics; missing ones stay empty."""
        self.check_directory()
        self.metrics.append(row)
        self.charts.add("metrics", row["step"], row)

    def write_event(self, row: dict[str, Any], durable: bool = False) -> None:
        """Append a notice; durable: wait until it is on the disk."""
        self.events.append(row, durable=durable)

    @property
    def aborted(self) -> frozenset[tuple[int, int]]:
        """(last step, episode) of each episode that was aborted."""
        return events.aborted_in(self.events.path, AFRESH)

    @property
    def checkpoint_is_due(self) -> bool:
        """Whether a checkpoint is due: enough learning since the last one could be lost."""
        now, (low, high) = time.monotonic(), CHECKPOINT_SECONDS
        return now - self._saved > min(max(low, CHECKPOINT_SHARE * (now - self._began)), high)

    def write_checkpoint(self, arrays: dict[str, Any], facts: dict[str, Any], best: bool = False) -> None:
        """Write the latest (or best) checkpoint, completely or not at all, once the journal is on the disk.

        The old one becomes the previous one, unless it was damaged.
        """
        self.check_directory()
        self.journal.sync()
        # unknown while a run is being restored
        crc = self.journal.crc if facts["steps"] == self.journal.count else None
        checkpoint.save(self.run.best_file if best else self.run.next_file, arrays, facts | {"crc": crc})
        if best:
            return
        with io_errors("write", self.run.latest_file):
            if self._latest_is_good and exists(self.run.latest_file):
                os.replace(self.run.latest_file, self.run.previous_file)
            os.replace(self.run.next_file, self.run.latest_file)
            sync_folder(self.run.latest_file.parent)
        self._latest_is_good = True
        self._saved = time.monotonic()

    def read_checkpoint(self, like: dict[str, Any], agent: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return (arrays, facts) of the latest checkpoint, or None if there is none.

        If the latest one is damaged or gone, the previous one is used, with a warning about damage.
        Raises StorageError where it belongs to another journal, or where no good one is left.
        """
        latest, previous = self.run.latest_file, self.run.previous_file
        if (good := checkpoint.newest_good(latest, previous, lambda file: self._read(file, like, agent))) is None:
            return None
        found, damage = good
        if damage is not None:
            self._latest_is_good = False
            text = f"{damage}; continued from {previous.name} and the journal instead"
            warnings.warn(text, ReverieWarning, stacklevel=2)
        return found

    def _read(self, file: Path, like: dict[str, Any], agent: str) -> tuple[dict[str, Any], dict[str, Any]]:
        fixed = {name: value for name, value in like.items() if not name.startswith(SOURCE_PREFIX)}
        arrays, facts = checkpoint.load(file, fixed, free=SOURCE_PREFIX, kind=Facts)
        if facts["steps"] > len(self.journal.records):
            raise StorageError(
                f"{self.journal.path} holds {count(len(self.journal.records), 'step')} but the checkpoint was "
                f"learnt from {facts['steps']}; restore the journal from a backup, or {recovery(self.journal.path)}"
            )
        last = self.journal.records[facts["steps"] - 1]["crc"] if facts["steps"] else None
        if facts["agent"] != agent or facts["crc"] not in (None, last):
            raise StorageError(
                f"{file} belongs to another run than {self.journal.path}; delete it, and the journal "
                "alone restores the run"
            )
        if len(facts["in_episode"]) != self._env_count:
            raise StorageError(
                f"{file} is of a run with {count(len(facts['in_episode']), 'environment')}, not {self._env_count}; "
                f"{checkpoint.REMEDY}"
            )
        return arrays, facts

    def repair_tables(self, learnt_steps: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Make the tables agree with the journal and a checkpoint of `learnt_steps`.

        Returns the rows of (episodes, evaluations).  Episodes are computed again.  Metrics and events of steps that
        will be learnt again are removed, but for events that learning cannot make again.  Evaluations cost real
        episodes, so they stay, unless the journal was cut before them.
        """
        rows = episodes.rows_of(self.journal.records, self._env_count, self.aborted)
        self.episodes.replace(rows)
        metrics = tables.read_table(self.metrics.path, METRICS, more=tables.figure, remedy=AFRESH)
        self.metrics.replace(row for row in metrics if row["step"] <= learnt_steps)
        noticed, steps = tables.read_table(self.events.path, events.COLUMNS, remedy=AFRESH), len(self.journal.records)
        ends = {kind: steps for kind in events.KEPT}
        self.events.replace(row for row in noticed if row["step"] <= ends.get(row["kind"], learnt_steps))
        evaluations = tables.read_table(self.evaluations.path, evaluation.COLUMNS)
        evaluations = [row for row in evaluations if row["step"] <= steps]
        self.evaluations.replace(evaluations)
        return rows, evaluations

    def sync(self) -> None:
        """Return once the journal is on the disk."""
        self.check_directory()
        self.journal.sync()
        self.charts.flush()

    def close(self) -> None:
        """Close every file and release the directory's lock."""
        try:
            for file in (self.charts, self.journal):
                file.close()
        finally:
            self.run.close()
