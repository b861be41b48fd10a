"""The half of `Learner` for programs that run the loop themselves: `ask`, `tell`, `drop`, `abort`, `predict`."""

from collections.abc import Sequence
from typing import Any, Literal, Self, overload

import numpy as np

from reverie.core.agent import Algorithm
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.limiter import Limiter
from reverie.environments.values import truth
from reverie.training import learner_arguments, resume_commands
from reverie.training.deferred_interrupts import deferred_interrupts
from reverie.training.machine_warnings import warn_of_machine
from reverie.training.pretraining import pretraining_left
from reverie.training.recorded_trainer import RecordedTrainer
from reverie.training.trainer import Trainer
from reverie.training.units import Units


class AskTell:
    """Acting and learning one step at a time.  `Learner` opens what is declared here."""

    config: Algorithm
    spec: EnvSpec
    trainer: Trainer
    _session: RecordedTrainer
    _units: Units

    @property
    def limiter(self) -> Limiter:
        """What holds every action that is sent within the limits."""
        return self._session.limiter

    @property
    def steps(self) -> int:
        """Real steps learnt from."""
        return self.trainer.steps

    @property
    def recent_returns(self) -> Sequence[float]:
        """Returns of the last training episodes, at most 100, the newest last."""
        return self._session.recent_returns

    @property
    def problems(self) -> list[str]:
        """Problems with learning now, as kinds of events.csv: "value", "mean stuck", "no improvement" and others."""
        return self.trainer.health.problems()

    @property
    def missed_ticks(self) -> dict[str, int] | None:
        """Ticks missed since the run was opened, by cause ("ours", "machine"), and steps whose updates are "owed".

        None where there is no clock.
        """
        ticks = self._session.ticks
        return (
            None if ticks is None else {"ours": ticks.ours, "machine": ticks.machine, "owed": self.trainer.owed.count}
        )

    @property
    def newest_metrics(self) -> dict[str, float] | None:
        """The newest row of metrics.csv, or None if this learner has not written one."""
        return self._session.newest_metrics

    @resume_commands.ends_with_line
    def predict(self, observation: Any, explore: bool = False) -> np.ndarray:
        """Return the greedy action in the environment's units [m], or [B, m] for a batch of flat observations [B, n].

        It is within the limits, but for the slew, which needs a last action.
        explore: add exploration noise (one observation only).  The noise has its own process, so learning is not
            affected.
        Raises ConfigError for an observation of the wrong shape, or for a batch with `explore`.
        """
        self._session.owner.require_here()
        flat = self._units.flat(observation)
        if learner_arguments.flag("predict(explore)", explore):
            if flat.ndim != 1:
                raise ConfigError(
                    "predict(explore=True) takes one observation at a time, since noise follows one episode"
                )
            return self._units.outside(self.limiter.greedy(self.trainer.explore(flat), flat))
        return self._units.outside(self.limiter.greedy(self.trainer.greedy(flat), flat))

    def compile(self, steps: float = float("inf")) -> Self:
        """Compile the programs that the next `steps` steps call, so that no step stalls; return this learner.

        Without this call, the first `ask` compiles (and says so on stderr), and `learn` compiles before its first step.
        """
        if names := self._session.uncompiled(steps):
            self.trainer.programs.compile(names)
        return self

    @resume_commands.ends_with_line
    def pretrain(self) -> Self:
        """Run the updates on logged transitions that come before the first real step; return this learner.

        Without this call, the first `ask` runs them (and says so on stderr), and so does `learn`.  A call that was
        interrupted goes on where it stopped, also after `load`.
        """
        interrupted: list[bool] = []
        with self._session.owner.using(), deferred_interrupts(lambda: interrupted.append(True)):
            self._session.pretrain(lambda: bool(interrupted))
        return self

    @overload
    def ask(self, observation: Any, ticket: Literal[False] = False) -> np.ndarray: ...

    @overload
    def ask(self, observation: Any, ticket: Literal[True]) -> tuple[np.ndarray, str]: ...

    @resume_commands.ends_with_line
    def ask(self, observation: Any, ticket: bool = False) -> Any:
        """Return the action to take now, with exploration, in the environment's units.  Call `tell` with the result.

        ticket: return (action, ticket).  Several actions may then be without an outcome at a time, and `tell` names by
            the ticket which of them it is about.
        After `abort` the action is the safe one, if the limits have one, until an outcome is told.
        If `compile` was not called, the first call compiles all that learning uses, which takes some seconds.
        """
        self._session.owner.require_here()
        if self._session.uncompiled(float("inf")):
            learner_arguments.print_compiling(self.config.name)
            with self._session.owner.using():
                self.compile()
        if pretraining_left(self.trainer):
            learner_arguments.print_pretraining(self.config.name)
            self.pretrain()
        several = learner_arguments.flag("ask(ticket)", ticket)
        action = self._units.outside(self._session.act(self._units.one(observation), several=several))
        newest = self._session.pending.newest
        return (action, newest.ticket) if several and newest is not None else action

    @resume_commands.ends_with_line
    def tell(
        self,
        reward: float,
        next_observation: Any,
        terminated: bool,
        truncated: bool = False,
        *,
        action: Any = None,
        source: str | None = None,
        ticket: str | None = None,
    ) -> None:
        """Learn from the result of the last `ask`.  The transition is on the disk when this returns.

        terminated: the episode ended in a state without further value.  truncated: it ran out of time.
        action: the action that was executed, in the environment's units, where it is not the one that `ask` returned;
            it is learnt from, and the asked one is kept beside it.
        source: who chose it, such as "human" where an operator took over; None: who chose the one that `ask` returned.
        ticket: which `ask` this is the result of, where it returned one.
        Raises WorldError where reward or observation are not finite, and StorageError where the transition could not be
        written.  The transition then does not count, unless `steps` has risen: then it is kept, and a later write
        failed.
        """
        value = self._units.reward(reward, self.steps + 1)
        after = self._units.one(next_observation)
        terminated = truth(self.spec.name, "terminated", self.steps + 1, terminated)
        truncated = truth(self.spec.name, "truncated", self.steps + 1, truncated)
        executed = None if action is None else self._units.executed(action)
        chooser = learner_arguments.source(source)
        self._session.record_and_learn(
            value, after, terminated, truncated, durable=True, executed=executed, source=chooser, ticket=ticket
        )
        warn_of_machine(self.spec.name, self._session.noticed)

    @resume_commands.ends_with_line
    def drop(self, ticket: str | None = None) -> None:
        """Forget the last `ask`, or that of a ticket, whose outcome is unknown.  Nothing is learnt; the episode goes on."""
        self._session.drop(ticket)

    @resume_commands.ends_with_line
    def abort(self, reason: str) -> None:
        """End the episode in progress as truncated, and note the reason in events.csv; it is on the disk afterwards.

        Actions without an outcome are forgotten.  The next `ask` begins another episode, with the safe action of the
        limits if they have one.  In `learn` a callback may call this.
        """
        for row in self._session.abort(learner_arguments.reason(reason)):
            self._episode_ended(row)

    def _episode_ended(self, row: dict[str, Any]) -> None:
        """Tell callbacks of an episode that was aborted.  row: that of episodes.csv."""
        raise NotImplementedError
