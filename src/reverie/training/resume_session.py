"""Continuing from a run directory: restore the checkpoint, then learn from the journal's later steps."""

from typing import Any

import numpy as np

from reverie.core.errors import StorageError
from reverie.core.interrupts import raise_if_interrupted
from reverie.storage import checkpoint
from reverie.storage.experience import ENDS
from reverie.storage.reading import short_text
from reverie.training.recorded_trainer import UNFIT, RecordedTrainer
from reverie.training.run_logger import RecordedStep, packed, seen


def resume(session: RecordedTrainer, go_back: bool) -> list[dict[str, Any]]:
    """Restore the checkpoint, then learn from the journal's later steps; return the evaluations so far.

    go_back: remove those later steps instead.
    Raises StorageError where the checkpoint does not fit this run.
    """
    records = session.records.journal.records
    done = 0
    if (found := session.records.read_checkpoint(session.trainer.snapshot()[0], session.name)) is not None:
        arrays, facts = found
        done = facts["steps"]
        try:
            session.trainer.restore(arrays, facts, packed(records[:done]))
        except UNFIT as error:  # a crafted file: its checksum is right, its content is not
            file, text = session.records.run.latest_file, short_text(error)
            raise StorageError(f"{file} does not fit this run ({text}); {checkpoint.REMEDY}") from error
        if not (facts.get("health") or {}).get("improvement"):  # it was written before returns were compared
            _compare_returns(session, records[:done])
        session.open.in_progress = facts["in_episode"]
    session.records.journal.cut()
    if go_back:
        session.records.journal.keep(done)
        records = session.records.journal.records
    session.machine_checks.restore(*seen(records[:done]))
    rows, evaluations = session.records.repair_tables(done)
    for row in rows:
        session.count_episode(row)
    if len(records) > done:
        session.pretrain(lambda: raise_if_interrupted() is not None)
    for record in records[done:]:
        raise_if_interrupted()
        _learn_again(session, RecordedStep.of(record))
    session.open.forget_all()  # `repair_tables` has written the rows of episodes that were cut off
    for turn in range(min(session.env_count, len(records))):
        session.open.restore(turn, records[turn :: session.env_count])
    aborted = session.records.aborted
    session.open.close_aborted(aborted)
    session.aborted = any(step == session.trainer.steps for step, _ in aborted)
    return evaluations


def _compare_returns(session: RecordedTrainer, records: np.ndarray) -> None:
    """Account for the returns of records [N], as while they were new."""
    rewards, ends = records["reward"].astype(np.float32), records["flags"] & ENDS != 0
    for step in zip(rewards.tolist(), ends.tolist(), records["episode"].tolist(), strict=True):
        session.trainer.health.improvement.see(*step)


def _learn_again(session: RecordedTrainer, step: RecordedStep) -> None:
    """Learn from a record as when it was new: its action is kept, and its noise is drawn again."""
    while session.trainer.episodes < step.episode:
        session.trainer.begin_episode()
    session.trainer.act(step.observation, step.state, again=True)
    session.learn(step)
    session.checkpoint_if_due()
