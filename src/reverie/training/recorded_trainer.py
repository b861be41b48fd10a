"""A trainer and its records: what happens is written down before it is learnt from, so the run directory is enough to go on.

No world here: observations and outcomes come from whoever owns the loop.
"""

import time
from collections import deque
from typing import Any

import numpy as np

from reverie.core.errors import ConfigError, DivergedError, StorageError
from reverie.core.interrupts import look
from reverie.storage import checkpoint
from reverie.storage.config import Config
from reverie.storage.episodes import EpisodeSummary
from reverie.storage.reading import said
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.training.experience_source import SOURCE_PREFIX
from reverie.training.health import Notice
from reverie.training.owner import Owner, exclusive
from reverie.training.run_identity import begun, identity
from reverie.training.run_logger import RecordedStep, RunLogger, flags_of, packed
from reverie.training.trainer import METRICS_EVERY, Trainer


class RecordedTrainer:
    """Acts, is told what came of it, writes that down, learns from it, and saves.

    name: the agent's.  config: what decides the run.  run: its directory, open; `go_on` takes up what it holds.  state_dim: of
    the states that its journal keeps, where that is not the trainer's to say.
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
        self.worlds, self._decided = (
            trainer.agent.requirements.worlds,
            {"identity": identity(config), "config": begun(config)},
        )
        sizes = self.spec.observation_dim, self.spec.action_dim, state_dim or trainer.state_dim
        described = Spec.of(self.spec)
        self.records = RunLogger(
            run,
            sizes,
            self.spec.actions,
            self.worlds,
            trainer.metric_names,
            config.tensorboard,
            described,
            self._decided["config"],
        )
        self.recent_returns: deque[float] = deque(maxlen=100)
        self.longest, self.ran_out = 0, False  # of all episodes: the most steps, and whether one ran out of time
        self.newest_metrics: dict[str, float] | None = None
        self.noticed: deque[Notice] = deque(maxlen=100)  # until somebody tells of them
        self._timed_checkpoints = timed_checkpoints
        self.owner = Owner(self.spec.name)
        self.whole = True  # False while a told step is in the journal but not yet learnt from
        self._asked: tuple[np.ndarray, Any, np.ndarray] | None = None  # (observation, state, action), until told
        self._before_asking: Any = None  # (in an episode?, trainer.acting()): an action not told of was never asked for
        self._in_episode, self._number = [False] * self.worlds, [0] * self.worlds  # an episode's own
        self._tally = [EpisodeSummary() for _ in range(self.worlds)]
        self._newest: list[RecordedStep | None] = [None] * self.worlds  # of each world

    @property
    def turn(self) -> int:
        """The number of the world whose step is next: they take turns."""
        return self.trainer.steps % self.worlds

    def uncompiled(self, steps: float) -> list[str]:
        """Return the names of programs that `steps` more steps may call and that are not compiled yet."""
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
        """Return the exploring action [m] in [-1, 1] for an observation [n]; `take` what came of it before the next.

        state: the world's, with what is constant in the episode behind it, where the trainer wants it.
        Raises ConfigError where another thread, or a fork, is using the learner.
        """
        if self.records.lost is not None:
            raise StorageError(self.records.lost)
        if self._asked is not None:
            raise ConfigError(f"{self.spec.name}: ask() came twice; tell() what came of the last action first")
        if not self.whole:
            raise StorageError(
                f"{self.records.run.path}: the last step could not be finished; go on with Learner.load, which has it"
            )
        self._before_asking = list(self._in_episode), self.trainer.acting()
        try:
            self._ensure_episode()
            action = self.trainer.act(observation, state)
        except BaseException:  # an interrupt too: an action that nobody got was never asked for
            self._rewind()
            self._write_notices()
            raise
        self._asked = observation, state, action
        return action

    def _rewind(self) -> None:
        """Go back to before the last question."""
        self._in_episode, acting = self._before_asking
        self.trainer.rewind(acting)

    def _ensure_episode(self) -> None:
        """Begin an episode in the world whose turn it is, unless one is under way."""
        if self._in_episode[self.turn]:
            return
        tally, newest = self._tally[self.turn], self._newest[self.turn]
        if tally.length and newest is not None:  # cut off: it neither terminated nor ran out of time
            self._end_episode(tally.close(*newest[:3]))
        self.trainer.begin_episode()
        self._number[self.turn] = self.trainer.episodes
        self._in_episode[self.turn] = True

    def leave_episode(self) -> None:
        """Forget an action not told of; the next one begins another episode in its world."""
        self.forget_action()
        self._in_episode[self.turn] = False

    def forget_action(self) -> None:
        """Forget an action not told of; its noise will be drawn again."""
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
        """Write down what came of the last action, then learn from it; return the row of the episode that it ended, if any.

        Raises ConfigError where another thread, or a fork, is using the learner.
        """
        if self.records.lost is not None:
            raise StorageError(self.records.lost)
        if self._asked is None:
            raise ConfigError(f"{self.spec.name}: tell() came without ask(); ask for an action first")
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
                self.records.journal.go_back(
                    place
                )  # where that fails too, only `Learner.load` knows what the file holds
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
        """Learn from a record, live or read back; return the row of the episode that it ended, if it did."""
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
        """Write down what the trainer noticed."""
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
        """Whether a checkpoint here, wherever that is, would be whole and welcome."""
        return self.whole and self._timed_checkpoints

    def _checkpoint_if_due(self) -> None:
        if self._timed_checkpoints and self.records.checkpoint_is_due:
            self.checkpoint()

    def checkpoint(self, best: bool = False) -> None:
        """Write the latest (or best) checkpoint; in the midst of a step none: the journal has it, and `go_on` learns from it.

        Raises DivergedError where learning diverged: what is not finite is never written.
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
                f"learning diverged: after step {self.trainer.steps} a learnt number, or an action on what was seen last, is "
                f"not finite; that was not saved, the last good checkpoint is kept: {self.trainer.advice}"
            )
        if best:  # a policy to act with, not to learn on from
            arrays = {name: part for name, part in arrays.items() if not name.startswith(SOURCE_PREFIX)}
        facts |= {"agent": self._name, "in_episode": list(in_episode)} | self._decided
        self.records.write_checkpoint(arrays, facts, best)

    def go_on(self, go_back: bool) -> list[dict[str, Any]]:
        """Take up the checkpoint's state, then learn from what the journal holds beyond it; return evaluations so far.

        go_back: cut that off instead.
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
            ) as error:  # a crafted one: its checksum holds
                file, text = self.records.run.latest_file, said(error)
                raise StorageError(f"{file} does not fit this run ({text}); {checkpoint.REMEDY}") from error
            self._in_episode = facts["in_episode"]
        self.records.journal.cut()
        if go_back:
            self.records.journal.keep(done)
            records = self.records.journal.records
        rows, evaluations = self.records.mend_tables(done)
        for row in rows:
            self._count(row)
        for world in range(min(self.worlds, done)):
            self._take_up(world, records[world : done : self.worlds])
        for record in records[done:]:
            look()
            self._learn_again(RecordedStep.of(record))
        return evaluations

    def _take_up(self, world: int, records: np.ndarray) -> None:
        """Stand in the last episode of a world's own records."""
        self._newest[world] = newest = RecordedStep.of(records[-1])
        self._number[world] = newest.episode
        if not newest.last:
            for record in records[records["episode"] == newest.episode]:
                self._tally[world].add(*RecordedStep.of(record).summary)

    def _learn_again(self, step: RecordedStep) -> None:
        """Learn from a record as when it was new: its action stands, the noise behind it is drawn again."""
        while self.trainer.episodes < step.episode:
            self.trainer.begin_episode()
        if self._number[self.turn] != step.episode:  # mend_tables has written the row of one that was cut off
            self._number[self.turn], self._tally[self.turn] = step.episode, EpisodeSummary()
        self.trainer.act(step.observation, step.state, again=True)
        self._learn(step)
        self._checkpoint_if_due()
