"""One cell of a sweep at work, in this process: an ordinary run, as `reverie train` does it.

`python -m reverie.experiments.execution.sweep_worker FOLDER` takes up the cell that FOLDER/cell.json describes.  FOLDER
becomes the run directory.  A run that was killed continues from its journal, as `reverie train --resume` does.
"""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec

import reverie as rv
from reverie.core.errors import DivergedError, StorageError
from reverie.experiments.execution.worker_process import serve
from reverie.experiments.spec.sweep_grid import SweepCell
from reverie.storage.episodes import COLUMNS as EPISODES
from reverie.storage.files import io_errors, make_folder, write_whole
from reverie.storage.journal_format import records_in
from reverie.storage.reading import exists, read_json, read_whole
from reverie.storage.run import RunDirectory
from reverie.storage.tables import table_at
from reverie.training import agent_config
from reverie.training.callbacks import Evaluated, Event, StepEnded, usual_callbacks
from reverie.training.evaluation import COLUMNS as EVALUATIONS

CELL, ENDED = "cell.json", "ended.json"  # in the run directory until its result is kept
AFRESH = "delete the run's folder to start it again"
WIDTH = 10  # training episodes to a mean, where a sweep does not evaluate
REPORT_SECONDS = 1.0  # seconds

OnRow = Callable[[dict[str, Any]], None]


class Ended(msgspec.Struct, forbid_unknown_fields=True):
    """What ended.json holds: how the run came out.  A score of None is that of a run that diverged, or has none."""

    status: Literal["done", "diverged"]
    steps: int
    episodes: int
    last: float | None
    best: float | None
    seconds: float  # of its training episodes


class SweepResult(NamedTuple):
    """How a cell ended; `files`: its run directory, where it is on another machine."""

    ended: Ended | None = None
    error: str = ""
    files: Mapping[str, bytes] = MappingProxyType({})


def write(cell: SweepCell, folder: Path) -> None:
    """Describe the cell in FOLDER/cell.json."""
    with io_errors("create", folder, "correct this, and run the command again"):
        make_folder(folder)
    write_whole(folder / CELL, msgspec.json.encode(cell))


def read(folder: Path) -> SweepCell:
    """Return the cell that FOLDER/cell.json describes."""
    return read_json(folder / CELL, SweepCell, AFRESH)


def learn(cell: SweepCell, folder: Path, on_row: OnRow) -> None:
    """Train in FOLDER, and write FOLDER/ended.json.  on_row: called about once a second with the step and the newest score.

    A run that diverges is a result like any other.  Raises ReverieError where the cell cannot be run.
    """
    status: Literal["done", "diverged"] = "done"
    try:
        with _typed_as(cell.command), _open(cell, folder) as learner:
            callbacks = usual_callbacks(cell.evaluate_every, cell.evaluate_episodes, cell.stop_at)
            learner.learn(max(0, cell.steps - learner.steps), callbacks=[*callbacks, _Reporter(on_row)])
    except DivergedError:
        status = "diverged"
    write_whole(folder / ENDED, json.dumps(msgspec.to_builtins(_ended(cell, folder, status))).encode())


def _open(cell: SweepCell, folder: Path) -> rv.Learner:
    """Return the cell's learner, new or as it stopped."""
    agent = agent_config.read(cell.agent)
    if RunDirectory(folder).holds_run:
        return rv.Learner.load(folder, cell.env, config=agent)
    return rv.Learner(agent, cell.env, seed=cell.seed, out=folder, tensorboard=cell.tensorboard)


@contextlib.contextmanager
def _typed_as(command: Sequence[str]) -> Generator[None]:
    """Have config.json name `command` as the one that wrote the run."""
    before, sys.argv = sys.argv, list(command)
    try:
        yield
    finally:
        sys.argv = before


class _Reporter:
    """A callback that says now and then how the run gets on."""

    def __init__(self, on_row: OnRow):
        self._on_row, self._reported_at, self._score = on_row, time.monotonic(), None

    def __call__(self, learner: rv.Learner, event: Event) -> None:
        """Keep the newest evaluation; report a step where enough time has passed."""
        if isinstance(event, Evaluated):
            self._score = event.row["return_mean"]
        elif isinstance(event, StepEnded) and time.monotonic() - self._reported_at >= REPORT_SECONDS:
            self._reported_at = time.monotonic()
            recent = list(learner.recent_returns)[-WIDTH:]
            score = self._score if self._score is not None or not recent else sum(recent) / len(recent)
            self._on_row({"step": event.step, "score": score})


def _ended(cell: SweepCell, folder: Path, status: Literal["done", "diverged"]) -> Ended:
    """Return what the files of a run say of how it came out."""
    run = RunDirectory(folder)
    episodes = table_at(run.episodes_file, EPISODES)
    if cell.evaluate_every:
        scores = [row["return_mean"] for row in table_at(run.evaluations_file, EVALUATIONS)]
    else:
        scores = moving_means([row["return"] for row in episodes])
    steps = records_in(run.journal_file) if exists(run.journal_file) else 0
    last = scores[-1] if scores and status == "done" else None
    seconds = round(sum(row["seconds"] for row in episodes), 1)
    return Ended(status, steps, len(episodes), last, max(scores, default=None), seconds)


def moving_means(returns: Sequence[float]) -> list[float]:
    """Return the mean of the last `WIDTH` returns after each episode; where there are fewer episodes, one mean of all."""
    if len(returns) < WIDTH:
        return [math.fsum(returns) / len(returns)] if returns else []
    return [math.fsum(returns[i - WIDTH : i]) / WIDTH for i in range(WIDTH, len(returns) + 1)]


def steps_done(folder: Path) -> int:
    """Return how many steps the run in a folder has behind it; 0 where that cannot be read: doing the cell will say why."""
    with contextlib.suppress(StorageError):
        return records_in(RunDirectory(folder).journal_file)
    return 0


def collect(folder: Path, error: str) -> SweepResult:
    """Return how the cell in a folder ended.  error: what ended it early, or ""."""
    if error or not exists(folder / ENDED):
        return SweepResult(error=error or "its process ended without a result")
    return SweepResult(read_json(folder / ENDED, Ended, AFRESH))


def packed(result: SweepResult, folder: Path) -> SweepResult:
    """Return the result with the run directory, for a machine that does not see this one's disk."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return result._replace(files={path.relative_to(folder).as_posix(): read_whole(path) for path in files})


def lost(error: str) -> SweepResult:
    """Return the result of a cell that left nothing."""
    return SweepResult(error=error)


if __name__ == "__main__":
    sys.exit(serve(lambda folder, on_row: learn(read(folder), folder, on_row)))
