"""A trainer and its records: each step is written before it is learnt from, so a run can continue from its directory.

There is no environment here: observations and outcomes come from the caller, who runs the loop.
"""

import time
from collections import deque
from typing import Any

import numpy as np

from reverie.core.errors import ConfigError, DivergedError, StorageError
from reverie.core.interrupts import raise_if_interrupted
from reverie.storage import checkpoint
from reverie.storage.config import Config
from reverie.storage.episodes import EpisodeSummary
from reverie.storage.reading import short_text
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.training.experience_source import SOURCE_PREFIX
from reverie.training.health import Notice
from reverie.training.owner import Owner, exclusive
from reverie.training.run_identity import config_facts, identity
from reverie.training.run_logger import RecordedStep, RunLogger, flags_of, packed
from reverie.training.trainer import METRICS_EVERY, Trainer


class RecordedTrainer:
    """A trainer that acts, writes the outcome of each action to the run directory, learns from it, and saves.

    trainer: the agent and its state.  name: the agent's name.  config: the configuration of the run.
    run: the run directory, open; `resume` continues from what it holds.
    timed_checkpoints: also write checkpoints at intervals.
    state_dim: size of the environment states in the journal, if the trainer does not know it.
    """

    def __init__(
        self,
        trainer: Trainer,
        name: str,
        config: Config,
        run: RunDirectory,
        timed_checkpoints: bool,
        state_dim: int = 0,
    ):
        self.trainer, self.spec, self._name = trainer, trainer.agent.spec, name
        self.env_count, self._decided = (
            trainer.agent.requirements.worlds,
            {"identity": identity(config), "config": config_facts(config)},
        )
        sizes = self.spec.observation_dim, self.spec.action_dim, state_dim or trainer.state_dim
        described = Spec.of(self.spec)
        self.records = RunLogger(
            run,
            sizes,
            self.spec.actions,
            self.env_count,
            trainer.metric_names,
            config.tensorboard,
            described,
            self._decided["config"],
        )
        self.recent_returns: deque[float] = deque(maxlen=100)
        self.longest, self.ran_out = 0, False  # over all episodes: the most steps, and whether one ran out of time
        self.newest_metrics: dict[str, float] | None = None
        self.noticed: deque[Notice] = deque(maxlen=100)  # not yet reported to callbacks
        self._timed_checkpoints = timed_checkpoints
        self.owner = Owner(self.spec.name)
        self.whole = True  # False while a step is in the journal but not yet learnt from
        # (observation, state, action), until the outcome is recorded
        self._asked: tuple[np.ndarray, Any, np.ndarray] | None = None
        self._before_asking: Any = None  # (in an episode?, trainer.acting()), to undo an action without an outcome
        self._in_episode, self._number = [False] * self.env_count, [0] * self.env_count  # of each environment's episode
        self._tally = [EpisodeSummary() for _ in range(self.env_count)]
        self._newest: list[RecordedStep | None] = [None] * self.env_count  # of each environment

    @property
    def turn(self) -> int:
        """The index of the environment whose step is next.  Environments take turns."""
        return self.trainer.steps % self.env_count

    def uncompiled(self, steps: float) -> list[str]:
        """Return the names of the programs that the next `steps` steps may call and that are not compiled yet."""
        if self.trainer.programs.complete:
            return []
        end = self.trainer.steps + steps
        written = (
            end >= self.trainer.steps // METRICS_EVERY * METRICS_EVERY + METRICS_EVERY
            or self.trainer.source is not None
        )
        diagnosed = written and end >= self.trainer.first_update
        return self.trainer.programs.missing(self.trainer.programs_called(end, diagnosed))

    @exclusive
    def act(self, observation: np.ndarray, state: Any = ()) -> np.ndarray:
        """Return the exploring action [m] in [-1, 1] for an observation [n].

        Call `record_and_learn` with the outcome before the next call.
        state: the environment's state, followed by what is constant in the episode, if the trainer needs it.
        Raises ConfigError where another thread, or a forked process, is using the learner.
        """
        if self.records.lost is not None:
            raise StorageError(self.records.lost)
        if self._asked is not None:
            raise ConfigError(
                f"{self.spec.name}: ask() was called twice; call tell() with the result of the last action first"
            )
        if not self.whole:
            raise StorageError(
                f"{self.records.run.path}: the last step could not be finished; continue with Learner.load, which has it"
            )
        self._before_asking = list(self._in_episode), self.trainer.acting()
        try:
            self._ensure_episode()
            action = self.trainer.act(observation, state)
        except BaseException:  # also on an interrupt: an action that was never returned must leave no trace
            self._rewind()
            self._write_notices()
            raise
        self._asked = observation, state, action
        return action

    def _rewind(self) -> None:
        """Undo the last call of `act`."""
        self._in_episode, acting = self._before_asking
        self.trainer.rewind(acting)

    def _ensure_episode(self) -> None:
        """Begin an episode in the environment whose turn it is, unless one is in progress."""
        if self._in_episode[self.turn]:
            return
        tally, newest = self._tally[self.turn], self._newest[self.turn]
        if tally.length and newest is not None:  # cut off: it neither terminated nor ran out of time
            self._end_episode(tally.close(*newest[:3]))
        self.trainer.begin_episode()
        self._number[self.turn] = self.trainer.episodes
        self._in_episode[self.turn] = True

    def leave_episode(self) -> None:
        """Forget an action without an outcome; the next action begins another episode in its environment."""
        self.forget_action()
        self._in_episode[self.turn] = False

    def forget_action(self) -> None:
        """Forget an action without an outcome; its noise will be drawn again."""
        if self._asked is not None:
            self._rewind()
            self._asked = None

    @exclusive
    def record_and_learn(
        self,
        reward: float,
        next_observation: np.ndarray,
        terminated: bool,
        truncated: bool,
        durable: bool,
        next_state: Any = (),
    ) -> dict[str, Any] | None:
        """Write the outcome of the last action, then learn from it; return the episode's row if it ended, else None.

        reward, next_observation [n], terminated, truncated: the outcome.  durable: sync the journal to the disk.
        next_state: the environment's state after the step, if the trainer needs it.
        Raises ConfigError where another thread, or a forked process, is using the learner.
        """
        if self.records.lost is not None:
            raise StorageError(self.records.lost)
        if self._asked is None:
            raise ConfigError(f"{self.spec.name}: tell() was called without ask(); call ask() first")
        observation, state, action = self._asked
        flags = flags_of(terminated, truncated)
        step = RecordedStep(
            self.trainer.steps + 1,
            time.time(),
            self._number[self.turn],
            flags,
            reward,
            action,
            observation,
            next_observation,
            state,
            next_state,
        )
        place = self.records.journal.place
        self.whole = False
        try:
            self.records.write_step(step, durable)
        except BaseException:
            if self.records.lost is None:
                self.records.journal.go_back(place)  # if this fails too, only `Learner.load` knows what the file holds
                self.whole = True
            raise
        self._asked = None
        row = self._learn(step)
        if row is not None:
            self._end_episode(row)
        self.whole = True
        self._checkpoint_if_due()
        return row

    def _learn(self, step: RecordedStep) -> dict[str, Any] | None:
        """Learn from a record, new or read back; return the row of the episode if it ended, else None."""
        turn = self.turn
        self._newest[turn], self._in_episode[turn] = step, not step.last
        try:
            fitted = self.trainer.learn(step.pack(), step.last, step.state, step.next_state)
            if (fitted or step.step % METRICS_EVERY == 0) and (metrics := self.trainer.metrics()):
                self.records.write_metrics(metrics)
                self.newest_metrics = metrics
        finally:
            self._write_notices()
        return self._tally[turn].add(*step.summary)

    def _write_notices(self) -> None:
        """Write the trainer's new notices to events.csv."""
        for notice in self.trainer.health.taken():
            self.noticed.append(notice)
            self.records.write_event(notice._asdict())

    def _end_episode(self, row: dict[str, Any]) -> None:
        self.records.write_episode(row)
        self._count(row)

    def _count(self, row: dict[str, Any]) -> None:
        self.recent_returns.append(row["return"])
        self.longest, self.ran_out = max(self.longest, row["length"]), self.ran_out or bool(row["truncated"])

    @property
    def may_checkpoint(self) -> bool:
        """Whether an extra checkpoint may be written now: no step is half done, and timed checkpoints are on."""
        return self.whole and self._timed_checkpoints

    def _checkpoint_if_due(self) -> None:
        if self._timed_checkpoints and self.records.checkpoint_is_due:
            self.checkpoint()

    def checkpoint(self, best: bool = False) -> None:
        """Write the latest (or best) checkpoint.

        In the middle of a step nothing is written, since the journal has the step.  Raises DivergedError where learning
        diverged: numbers that are not finite are never written.
        """
        _ = self.trainer.policy
        if self.records.lost is not None:
            raise StorageError(self.records.lost)
        self._write_notices()
        if not self.whole:
            return
        in_episode, acting = (self._in_episode, None) if self._asked is None else self._before_asking
        arrays, facts = self.trainer.snapshot(acting)
        if not self.trainer.sound(arrays):
            raise DivergedError(
                f"learning diverged: after step {self.trainer.steps} a learnt number, or an action for a recent observation, "
                f"is not finite; this was not saved, the last good checkpoint is kept: {self.trainer.advice}"
            )
        if best:  # the best policy is for acting, not for more learning
            arrays = {name: part for name, part in arrays.items() if not name.startswith(SOURCE_PREFIX)}
        facts |= {"agent": self._name, "in_episode": list(in_episode)} | self._decided
        self.records.write_checkpoint(arrays, facts, best)

    def resume(self, go_back: bool) -> list[dict[str, Any]]:
        """Restore the checkpoint, then learn from the journal's later steps; return the evaluations so far.

        go_back: remove those later steps instead.
        Raises StorageError where the checkpoint does not fit this run.
        """
        records = self.records.journal.records
        done = 0
        if (found := self.records.read_checkpoint(self.trainer.snapshot()[0], self._name)) is not None:
            arrays, facts = found
            done = facts["steps"]
            try:
                self.trainer.restore(arrays, facts, packed(records[:done]))
            except (
                KeyError,
                TypeError,
                ValueError,
                IndexError,
                ArithmeticError,
            ) as error:  # a crafted file: its checksum is right, its content is not
                file, text = self.records.run.latest_file, short_text(error)
                raise StorageError(f"{file} does not fit this run ({text}); {checkpoint.REMEDY}") from error
            self._in_episode = facts["in_episode"]
        self.records.journal.cut()
        if go_back:
            self.records.journal.keep(done)
            records = self.records.journal.records
        rows, evaluations = self.records.repair_tables(done)
        for row in rows:
            self._count(row)
        for turn in range(min(self.env_count, done)):
            self._restore_episode(turn, records[turn : done : self.env_count])
        for record in records[done:]:
            raise_if_interrupted()
            self._learn_again(RecordedStep.of(record))
        return evaluations

    def _restore_episode(self, turn: int, records: np.ndarray) -> None:
        """Restore the last episode of one environment from its records."""
        self._newest[turn] = newest = RecordedStep.of(records[-1])
        self._number[turn] = newest.episode
        if not newest.last:
            for record in records[records["episode"] == newest.episode]:
                self._tally[turn].add(*RecordedStep.of(record).summary)

    def _learn_again(self, step: RecordedStep) -> None:
        """Learn from a record as when it was new: its action is kept, and its noise is drawn again."""
        while self.trainer.episodes < step.episode:
            self.trainer.begin_episode()
        if self._number[self.turn] != step.episode:  # repair_tables has written the row of the episode that was cut off
            self._number[self.turn], self._tally[self.turn] = step.episode, EpisodeSummary()
        self.trainer.act(step.observation, step.state, again=True)
        self._learn(step)
        self._checkpoint_if_due()
