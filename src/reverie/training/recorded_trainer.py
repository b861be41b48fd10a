"""A trainer and its records: each step is written before it is learnt from, so a run can continue from its directory.

There is no environment here: observations and outcomes come from the caller, who runs the loop.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from reverie.core.errors import DivergedError, StorageError
from reverie.core.limiter import Limiter
from reverie.storage.config import Config
from reverie.storage.events import ABORT, CLOCK, DROP
from reverie.storage.experience import flags_of
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.training.advice import scales_to_set
from reverie.training.clock import Clock, Ticks
from reverie.training.experience_source import SOURCE_PREFIX
from reverie.training.health import Notice
from reverie.training.machine_checks import MachineChecks
from reverie.training.open_episodes import OpenEpisodes
from reverie.training.owner import Owner, exclusive
from reverie.training.pending_asks import Asked, PendingAsks
from reverie.training.pretraining import pretraining
from reverie.training.run_identity import config_facts, identity
from reverie.training.run_logger import RecordedStep, RunLogger
from reverie.training.trainer import METRICS_EVERY, Trainer

MISSED = ("missed_ours", "missed_machine", "owed")  # columns of metrics.csv where there is a clock
STALENESS = "staleness"  # a column of metrics.csv
UNFIT = (KeyError, TypeError, ValueError, IndexError, ArithmeticError)  # what restoring a foreign snapshot raises


class RecordedTrainer:
    """A trainer that acts, writes the outcome of each action to the run directory, learns from it, and saves.

    trainer: the agent and its state.  name: the agent's name.  config: the configuration of the run.
    run: the run directory, open; `resume` continues from what it holds.
    timed_checkpoints: also write checkpoints at intervals.
    state_dim: size of the environment states in the journal, if the trainer does not know it.
    limiter: holds every action that is sent within the machine's limits.  clock: the machine's pace.
    """

    def __init__(
        self,
        trainer: Trainer,
        name: str,
        config: Config,
        run: RunDirectory,
        timed_checkpoints: bool,
        state_dim: int = 0,
        limiter: Limiter | None = None,
        clock: Clock | None = None,
    ):
        self.trainer, self.spec, self.name = trainer, trainer.agent.spec, name
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
            (*trainer.metric_names, STALENESS, *(MISSED if clock is not None else ())),
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
        self.limiter = Limiter(self.spec) if limiter is None else limiter
        ordered = trainer.source is not None or bool(trainer.agent.requirements.rollout)
        self.pending = PendingAsks(self.spec.name, ordered)
        self.ticks = None if clock is None else Ticks(clock)
        self.open = OpenEpisodes(self.env_count)
        self.aborted = False  # and no outcome was told since
        self.machine_checks = MachineChecks(
            self.spec, self.env_count, scales_to_set(trainer.agent.requirements, "try more noise")
        )
        self._staleness: list[int] = []  # updates between the policy that acted and now, since the last row of metrics

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
    def act(self, observation: np.ndarray, state: Any = (), several: bool = False) -> np.ndarray:
        """Return the exploring action [m] in [-1, 1], within the limits, for an observation [n].

        Call `record_and_learn` with the outcome before the next call, unless `several` may be without one.
        After `abort` it is the safe action, if the limits have one, until an outcome is recorded.
        state: the environment's state, followed by what is constant in the episode, if the trainer needs it.
        Raises ConfigError where another thread, or a forked process, is using the learner.
        """
        self.require_usable()
        self.pending.require_room(several)
        if self.ticks is not None:
            self.ticks.asked()
        self.trainer.go_live()
        before, begun = self._acting(), None
        try:
            if not self.open.in_progress[self.turn]:
                self._begin_episode()
                begun = self._acting()
            action, source = self._choose(observation, state)
        except BaseException:  # also on an interrupt: an action that was never returned must leave no trace
            self._rewind(before)
            self._write_notices()
            raise
        ticket, episode = self.pending.new_ticket(), self.open.number[self.turn]
        self.pending.add(
            Asked(ticket, episode, observation, state, action, source, self.trainer.acting_version, before, begun)
        )
        self.open.executed[self.turn] = action
        if self.ticks is not None:
            self.ticks.acted()
        return action

    def require_usable(self) -> None:
        """Raise StorageError where the directory is gone, or the last step is in the journal but was not learnt from."""
        self.records.require_not_lost()
        if not self.whole:
            raise StorageError(
                f"{self.records.run.path}: the last step could not be finished; continue with Learner.load, which has it"
            )

    def _choose(self, observation: np.ndarray, state: Any) -> tuple[np.ndarray, str]:
        """Return (action [m], who chose it)."""
        if self.aborted and self.limiter.safe_action is not None:
            self.trainer.act(observation, state, again=True)  # draws the noise, as when the journal is learnt again
            return self.limiter.safe_action, "safe"
        source = self.trainer.actor
        action = self.trainer.act(observation, state)
        return self.limiter.apply(action, observation, self.open.executed[self.turn]), source

    def _acting(self) -> Any:
        """Return what `act` changes, for `_rewind`."""
        return list(self.open.in_progress), self.trainer.acting()

    def _rewind(self, before: Any) -> None:
        """Undo calls of `act`.  before: the field of the first of them in `Asked`."""
        self.open.in_progress, acting = list(before[0]), before[1]
        self.trainer.rewind(acting)

    def _begin_episode(self) -> None:
        """Begin an episode in the environment whose turn it is."""
        self.close_newest()
        self.trainer.begin_episode()
        self.open.begin(self.turn, self.trainer.episodes)

    def close_newest(self) -> None:
        """Write the row of the newest episode of the environment whose turn it is, if it was cut off."""
        if (row := self.open.close(self.turn)) is not None:
            self.end_episode(row)

    def leave_episode(self) -> None:
        """Forget actions without an outcome; the next action begins another episode in its environment."""
        if self.ticks is not None:
            self.ticks.leave()
        self.forget_actions()
        self.open.in_progress[self.turn] = False

    def forget_actions(self) -> None:
        """Forget actions without an outcome; their noise will be drawn again."""
        if self.pending.oldest is not None:
            self._rewind(self.pending.oldest.before)
            self.pending.clear()

    @exclusive
    def drop(self, ticket: str | None = None) -> None:
        """Forget an action whose outcome is unknown.  The episode goes on; the slew counts from that action."""
        asked = self.pending.find(ticket, "drop()")
        if asked is self.pending.newest:
            self._rewind(asked.before)
        self.pending.remove(asked)
        self.write_kept(Notice(self.trainer.steps, asked.episode, DROP, "the outcome of an action was dropped"))

    @exclusive
    def abort(self, reason: str) -> list[dict[str, Any]]:
        """End the episode in progress as truncated, in every environment; return the rows of episodes.csv.

        Actions without an outcome are forgotten.  reason: for events.csv.
        """
        asked = self.pending.oldest
        if self.ticks is not None:
            self.ticks.leave()
        self.forget_actions()
        rows = []
        turns = [(self.turn + more) % self.env_count for more in range(self.env_count)]  # the oldest newest step first
        for turn in [turn for turn in turns if self.open.in_progress[turn]]:
            if (row := self.open.close(turn, aborted=True)) is not None:
                self.write_kept(Notice(row["step"], row["episode"], ABORT, reason))
                self.end_episode(row)
                rows.append(row)
            self.open.in_progress[turn] = False
        if not rows:  # nothing was learnt from this episode
            episode = self.trainer.episodes + 1 if asked is None else asked.episode
            self.write_kept(Notice(self.trainer.steps, episode, ABORT, reason))
        self.aborted = True
        return rows

    def write_kept(self, notice: Notice) -> None:
        """Write a notice that learning the journal again does not make again."""
        self.records.require_not_lost()
        self.noticed.append(notice)
        self.records.write_event(notice._asdict(), durable=True)

    @exclusive
    def pretrain(self, stops: Callable[[], bool] = lambda: False) -> None:
        """Run the updates before the first real step.  stops: whether to leave the rest to another call, or to resume."""
        for _ in pretraining(self.trainer, stops):
            self.checkpoint_if_due()

    @exclusive
    def record_and_learn(
        self,
        reward: float,
        next_observation: np.ndarray,
        terminated: bool,
        truncated: bool,
        durable: bool,
        next_state: Any = (),
        executed: np.ndarray | None = None,
        source: str | None = None,
        ticket: str | None = None,
    ) -> dict[str, Any] | None:
        """Write the outcome of an action, then learn from it; return the episode's row if it ended, else None.

        reward, next_observation [n], terminated, truncated: the outcome.  durable: sync the journal to the disk.
        next_state: the environment's state after the step, if the trainer needs it.
        executed: the action [m] in [-1, 1] that was executed; None: the one that was asked for.
        source: who chose it; None: who chose the one that was asked for.  ticket: of the action; None: the only one.
        Raises ConfigError where another thread, or a forked process, is using the learner.
        """
        self.records.require_not_lost()
        if self.ticks is not None:
            self.ticks.outcome()
        asked = self.pending.find(ticket, "tell()")
        self.pending.require_order(asked)
        step = RecordedStep(
            self.trainer.steps + 1,
            time.time(),
            asked.episode,
            flags_of(terminated, truncated, asked.source if source is None else source),
            reward,
            asked.action if executed is None else executed,
            asked.observation,
            next_observation,
            asked.state,
            next_state,
            asked.action,
            asked.policy,
        )
        return self.record(step, durable, asked)

    @exclusive
    def record(self, step: RecordedStep, durable: bool, asked: Asked | None = None) -> dict[str, Any] | None:
        """Write a step (the outcome of `asked`, or a collector's), learn from it, and return its episode's row, if any."""
        place = self.records.journal.place
        self.whole = False
        try:
            self.records.write_step(step, durable)
        except BaseException:
            if self.records.lost is None:
                self.records.journal.go_back(place)  # if this fails too, only `Learner.load` knows what the file holds
                self.whole = True
            raise
        if asked is not None:
            self.pending.remove(asked)
            self.pending.keep_episode()
            if step.last:  # whatever was asked for meanwhile has no outcome in this episode
                self.forget_actions()
        self.aborted = False
        row = self.learn(step, latest=asked is None or self.pending.is_latest(asked))
        if row is not None:
            self.end_episode(row)
        self.whole = True
        self.checkpoint_if_due()
        if self.ticks is not None:
            self._use_what_is_left(self.ticks, step)
        return row

    def _use_what_is_left(self, ticks: Ticks, step: RecordedStep) -> None:
        """Run updates that are owed as long as there is time in the tick."""
        if self.trainer.agent.requirements.update_after == "time":
            while self.trainer.owed.count and ticks.fits():
                ticks.timed(self.trainer.owed.run_slice)
        if (text := ticks.too_short()) is not None:
            self.write_kept(Notice(step.step, step.episode, CLOCK, text))
        ticks.done(step.last)

    def learn(self, step: RecordedStep, latest: bool = True) -> dict[str, Any] | None:
        """Learn from a record, new or read back; return the row of the episode if it ended, else None.

        latest: no other action was sent after its action.
        """
        turn = self.turn
        row = self.open.add(turn, step)
        if step.asked is not None:  # else the journal does not say which policy acted
            self._staleness.append(self.trainer.updates - step.policy)
        if latest:
            self.open.executed[turn] = step.action
        self.trainer.health.new.extend(self.machine_checks.see(*step.seen))
        try:
            fitted = self.trainer.learn(step.pack(), step.last, step.state, step.next_state, step.episode)
            if (fitted or step.step % METRICS_EVERY == 0) and (metrics := self.trainer.metrics()):
                if self.ticks is not None:
                    counts = self.ticks.ours, self.ticks.machine, self.trainer.owed.count
                    metrics |= dict(zip(MISSED, counts, strict=True))
                if self._staleness:
                    metrics[STALENESS] = float(np.mean(self._staleness))
                    self._staleness.clear()
                self.records.write_metrics(metrics)
                self.newest_metrics = metrics
        finally:
            self._write_notices()
        return row

    def _write_notices(self) -> None:
        """Write the trainer's new notices to events.csv."""
        for notice in self.trainer.health.taken():
            self.noticed.append(notice)
            self.records.write_event(notice._asdict())

    def end_episode(self, row: dict[str, Any]) -> None:
        """Write and count the row of an episode."""
        self.records.write_episode(row)
        self.count_episode(row)

    def count_episode(self, row: dict[str, Any]) -> None:
        """Account for an episode whose row is written."""
        self.recent_returns.append(row["return"])
        self.longest, self.ran_out = max(self.longest, row["length"]), self.ran_out or bool(row["truncated"])

    @property
    def may_checkpoint(self) -> bool:
        """Whether an extra checkpoint may be written now: no step is half done, and timed checkpoints are on."""
        return self.whole and self._timed_checkpoints

    def checkpoint_if_due(self) -> None:
        """Write a checkpoint if enough learning would be lost without it."""
        if self._timed_checkpoints and self.records.checkpoint_is_due:
            self.checkpoint()

    def checkpoint(self, best: bool = False) -> None:
        """Write the latest (or best) checkpoint.

        In the middle of a step nothing is written, since the journal has the step.  Raises DivergedError where learning
        diverged: numbers that are not finite are never written.
        """
        self.records.require_not_lost()
        with self.trainer.owed.paused():
            self._checkpoint(best)

    def _checkpoint(self, best: bool) -> None:
        _ = self.trainer.policy
        self._write_notices()
        if not self.whole:
            return
        oldest = self.pending.oldest
        in_episode, acting = (self.open.in_progress, None) if oldest is None else oldest.before
        arrays, facts = self.trainer.snapshot(acting)
        if not self.trainer.sound(arrays):
            raise DivergedError(
                f"learning diverged: after step {self.trainer.steps} a learnt number, or an action for a recent observation, "
                f"is not finite; this was not saved, the last good checkpoint is kept: {self.trainer.advice}"
            )
        if best:  # the best policy is for acting, not for more learning
            arrays = {name: part for name, part in arrays.items() if not name.startswith(SOURCE_PREFIX)}
        facts |= {"agent": self.name, "in_episode": list(in_episode)} | self._decided
        self.records.write_checkpoint(arrays, facts, best)
