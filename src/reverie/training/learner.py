"""`Learner`: an agent that learns from a Gymnasium environment (`learn`) or from your own program (`ask`, `tell`)."""

import contextlib
import weakref
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reverie.core.agent import Algorithm
from reverie.core.argument_checks import shown, whole
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, DivergedError, ReverieError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.limiter import Limiter
from reverie.core.machine_limits import Limits
from reverie.environments.env_factory import EnvSource, make_env
from reverie.imagination.settings import source_for
from reverie.logs.log import Log
from reverie.storage import limits_json
from reverie.storage.config import Config
from reverie.storage.copy import copy_run
from reverie.storage.run import RunDirectory, folder
from reverie.training import (
    agent_config,
    evaluation,
    hang_guard,
    learner_arguments,
    provenance,
    resource_estimates,
    resume_commands,
    resuming,
)
from reverie.training import callbacks as events
from reverie.training import trust as trusted
from reverie.training.ask_tell import AskTell
from reverie.training.clock import Clock
from reverie.training.closing import closed_at_exit
from reverie.training.collector_turns import turns_of
from reverie.training.deferred_interrupts import deferred_interrupts
from reverie.training.env_turns import EnvTurns
from reverie.training.evaluation_env import EvaluationEnv
from reverie.training.learner_arguments import LearnerArguments
from reverie.training.logged_experience import SHARE, argument_of, kept
from reverie.training.pretraining import pretraining_left
from reverie.training.recorded_trainer import RecordedTrainer
from reverie.training.resume_session import resume
from reverie.training.resuming import ResumeOptions
from reverie.training.temporary_run import temporary_run
from reverie.training.tensorboard import require as require_tensorboard
from reverie.training.trainer import Trainer
from reverie.training.units import Units


class Learner(AskTell):
    """An agent that learns and acts, with a run directory from which it continues exactly where it stopped.

    config: the settings of an algorithm, such as `rv.NAF()`, or a function of the environment's `rv.EnvSpec` that returns
        them, such as `functools.partial(rv.recommended, budget=2000)`.  seed: decides every random draw.
    env: a domain, a Gymnasium id, "package.module:callable", a callable that returns an environment, or an environment.
    spec: in place of `env` where your own program runs the loop.  out: the run directory; None: a temporary one.
    evaluation_env: for `evaluate`; by default made like `env`.  tensorboard: also write the tables' numbers there.
    timed_checkpoints: also write checkpoints at intervals, and when `learn` is stopped early.  If False, a checkpoint
        is written only when `learn` ends or `save` is called, and `load(go_back=True)` returns to it.
    limits: what the machine allows beyond the bounds of its actuators (`rv.Limits`).
    clock: the pace of the machine (`rv.Clock`), into which learning has to fit.
    hang_after: seconds that a call of the environment may take in `learn`, `evaluate` and `close`, after which WorldError
        is raised (docs/stopping.md).  None: any time.
    experience: logged transitions to learn from too, an `rv.Log` or its source.  experience_share, pretrain_updates: their
        share of each minibatch at first, and minibatches before the first real step (docs/how-to/logs.md).
    Raises ConfigError, SpaceError, WorldError or StorageError, each with one sentence that says what to do.
    """

    def __init__(
        self,
        config: Algorithm | Callable[[EnvSpec], Algorithm],
        env: EnvSource | None = None,
        *,
        spec: EnvSpec | None = None,
        seed: int = 0,
        out: str | Path | None = None,
        evaluation_env: EnvSource | None = None,
        tensorboard: bool = False,
        timed_checkpoints: bool = True,
        limits: Limits | None = None,
        clock: Clock | None = None,
        hang_after: float | None = None,
        experience: Log | str | Path | None = None,
        experience_share: float = SHARE,
        pretrain_updates: int | None = None,
    ):
        if out is not None:
            RunDirectory(out).require_new()
        logs = argument_of(experience, experience_share, pretrain_updates)
        options = tensorboard, timed_checkpoints, limits, clock, hang_after, 0, logs
        self._open(LearnerArguments(config, env, spec, seed, out, evaluation_env, *options))

    def _open(self, given: LearnerArguments, prepare: Callable[[RunDirectory, Trainer], Config] | None = None) -> None:
        learner_arguments.require_possible(given)
        env = given.env
        if given.tensorboard:
            require_tensorboard()
        self.seed = int(given.seed)
        self._env, self._hang_after = env, given.hang_after
        self._evaluation_env = EvaluationEnv(given.evaluation_env, env)
        first = None if env is None else make_env(env)
        self.spec: EnvSpec = given.spec if first is None else first.spec
        limiter = Limiter(self.spec, given.limits)
        raise_if_interrupted()
        config, agent = resource_estimates.fitting(learner_arguments.settings_for(given, self.spec), self.spec)
        self.config = config
        self._turns: EnvTurns | None = None
        others = learner_arguments.more_envs(self.spec.name, env, agent.requirements.worlds - 1)
        if first is not None:
            reads_states = bool(given.state_dim) or agent.imagination is not None
            self._turns = EnvTurns([first, *others], self.seed, reads_states)
        known = None if self._turns is None else self._turns.known
        # Built before the directory is opened, so that settings that cannot work leave no run behind.
        logged = None if given.experience is None else given.experience.for_agent(agent, self.seed)
        self.trainer = trainer = Trainer(agent, self.seed, source_for(agent, known, self.seed), logged)
        raise_if_interrupted()

        self._units = Units(self.spec, first, limiter)
        self._callbacks: Sequence[events.Callback] = ()
        self._stop = False
        self.best_return: float | None = None
        self.evaluated_at = 0
        self.evaluation_cut = 0  # greedy episodes that did not end by themselves and were cut

        # A run without a directory of its own gets a temporary one, so that all runs work alike.
        self._forget_passing: Callable[[], object] = bool  # does nothing
        self._kept, out = given.out is not None, given.out
        if out is None:
            out, self._forget_passing = temporary_run(self)
        run = RunDirectory(out)
        try:
            run.open()
            new = provenance.configuration(
                config, env, self.spec, self.seed, given.tensorboard, given.limits, given.clock
            )
            self._written = provenance.begin(run, new, logged) if prepare is None else prepare(run, trainer)
            options = given.timed_checkpoints, given.state_dim, limiter, given.clock
            self._session = RecordedTrainer(trainer, config.name, self._written, run, *options)
            self._guard = hang_guard.around_run(given.hang_after, self.spec.name, self._session.records.journal)
        except BaseException:
            run.close()
            self._forget_passing()
            raise
        closed_at_exit(self)
        # The thread of updates would outlive a learner that is dropped without `close`.
        weakref.finalize(self, trainer.owed.end).atexit = False

    # ---- state

    @property
    def episodes(self) -> int:
        """Episodes started."""
        return self.trainer.episodes

    @property
    def out(self) -> Path:
        """The run directory."""
        return self._session.records.run.path

    @property
    def keeps(self) -> Config | None:
        """The configuration of the run, or None where the run directory is temporary."""
        return self._written if self._kept else None

    @property
    def cut_bytes(self) -> int:
        """Bytes of an incomplete record that were cut from the end of the journal when it was opened."""
        return self._session.records.journal.cut_bytes

    # ---- the loop over an environment

    @resume_commands.ends_with_line
    def learn(
        self,
        steps: int | None = None,
        *,
        episodes: int | None = None,
        callbacks: Sequence[events.Callback] = (),
        on_exit: Callable[[np.ndarray | None], object] | None = None,
        collectors: int | None = None,
        backend: str = "local",
    ) -> "Learner":
        """Learn for `steps` more steps or `episodes` more whole episodes, or until a callback returns True.

        Writes journal and checkpoint at the end, also after an error or an interrupt (Ctrl-C, SIGTERM).  If an episode
        is open then, the environment's method `safe(action)`, where it has one, and `on_exit` are called first.
        on_exit: a function of the safe action of the limits, in the environment's units; None where there is none.
        collectors: so many processes act, each in an environment of its own, and this one learns; None: it does both.
        backend: where they run, "local" or "ray".  See docs/how-to/collectors.md.
        """
        if self._turns is None:
            raise ConfigError("learn() needs env=; with spec= your own program calls ask() and tell()")
        learner_arguments.require_amount(steps, episodes)
        if on_exit is not None and not callable(on_exit):
            raise ConfigError(f"learn(on_exit) is {shown(on_exit)}; give a function of the safe action")
        steps_left = float("inf") if steps is None else steps
        episodes_left = float("inf") if episodes is None else episodes
        self._stop, self._callbacks = False, learner_arguments.callbacks_of(callbacks)
        goes_on = lambda: steps_left > 0 and episodes_left > 0 and not self._stop  # noqa: E731
        using, saving = self._session.owner.using(), self._saving_on_exit(on_exit)
        asked = collectors, backend, self._hang_after
        taking = turns_of(self._turns, self._session, self._env, steps_left, *asked)
        with using, self._guard(), deferred_interrupts(self.stop), saving, taking as turns:
            goal = None if steps is None else self.steps + int(steps)
            self._emit(events.Began(self.steps, goal, None if episodes is None else int(episodes)))
            if min(steps_left, episodes_left) > 0 and self._session.uncompiled(steps_left):
                self._emit(events.Compiling(self.steps))
                self.compile(steps_left)
            if min(steps_left, episodes_left) > 0 and pretraining_left(self.trainer):
                self._emit(events.Pretraining(self.steps))
                self._session.pretrain(lambda: self._stop)
            waited = 0
            while turns.has_step(goes_on):
                row = turns.step(self._session)
                waited = 0 if row is not None else waited + 1
                if waited == evaluation.LONGEST * self._session.env_count and steps is None:
                    evaluation.warn_of_waiting(self.spec.name, waited)
                steps_left -= 1
                self._emit(events.StepEnded(self.steps))
                self._emit_notices()
                if row is not None:
                    episodes_left -= 1
                    self._emit(events.EpisodeEnded(row))
        return self

    def stop(self) -> None:
        """End `learn` after the current step."""
        self._stop = True

    def _episode_ended(self, row: dict[str, Any]) -> None:
        self._emit(events.EpisodeEnded(row))

    def _emit_notices(self) -> None:
        while self._session.noticed:
            self._emit(events.Noticed(*self._session.noticed.popleft()))

    def _emit(self, event: events.Event) -> None:
        for callback in self._callbacks:
            self._stop |= events.asks_to_stop(callback(self, event))

    @contextlib.contextmanager
    def _saving_on_exit(self, on_exit: Callable[[np.ndarray | None], object] | None) -> Generator[None]:
        """Bring the machine to a safe state, then write everything to disk, when the block ends for whatever reason."""
        assert self._turns is not None
        try:
            with self._turns.made_safe_on_exit(self._session.limiter, on_exit):
                yield
        except BaseException as error:
            self._turns.leave_episodes()
            self._session.forget_actions()
            with contextlib.suppress(ReverieError):  # the first error is the one to report
                self._session.records.sync()
                # After divergence the last good checkpoint is kept.
                if self._session.may_checkpoint and not isinstance(error, DivergedError):
                    self._session.checkpoint()
            raise
        else:
            if self._session.may_checkpoint or not self._stop:
                self.save()
            else:
                self._session.records.sync()
        finally:
            self._emit_notices()
            self._emit(events.Ended(self.steps))

    # ---- evaluation

    @resume_commands.ends_with_line
    def evaluate(self, episodes: int = 10) -> dict[str, Any]:
        """Evaluate the greedy policy over whole episodes, append the result to evaluations.csv, and return its summary.

        Uses an environment separate from the one for learning, with the same start states at every call.  Episodes that
        do not end are cut (`evaluation.limit_for`): "cut" is their number, "cut_at" the number of steps.
        """
        with self._session.owner.using(), self._guard():
            return self._evaluate(whole("evaluate(episodes)", episodes, 1))

    def _evaluate(self, episodes: int) -> dict[str, Any]:
        found = self._evaluation_env.evaluate(self._session, episodes, self.seed)
        facts = found.facts
        self.evaluation_cut += found.cut
        row = found.row(self.steps, self.episodes)
        self._session.records.write_evaluation(row)
        self.evaluated_at = self.steps
        best = self.best_return is None or facts["mean"] > self.best_return
        self.best_return = facts["mean"] if best else self.best_return
        cut = evaluation.cut_note(found.cut, episodes, found.limit) if found.cut else ""
        self._emit(events.Evaluated(row, best, cut))
        return facts

    # ---- saving and continuing

    @resume_commands.ends_with_line
    def save(self, path: str | Path | None = None) -> Path:
        """Write everything to the run directory and, with `path`, copy the directory there; return where it is.

        After an interrupt in the middle of a step only the journal is written; `load` learns from its last step.
        The copy is complete or absent.  Raises StorageError where `path` exists already or lies within the run.
        """
        with self._session.owner.using():
            self._session.records.sync()
            self._session.checkpoint()
            return self.out if path is None else copy_run(self.out, folder("save(path)", path))

    def save_best(self) -> None:
        """Write the current policy to checkpoint/best.safetensors."""
        with self._session.owner.using():
            self._session.checkpoint(best=True)

    @classmethod
    def load(
        cls,
        path: str | Path,
        env: EnvSource | None = None,
        *,
        evaluation_env: EnvSource | None = None,
        go_back: bool = False,
        config: Algorithm | None = None,
        relearn: bool = False,
        trust: bool = False,
        allow_new_bounds: bool = False,
        limits: Limits | None = None,
        clock: Clock | None = None,
        hang_after: float | None = None,
    ) -> "Learner":
        """Continue the run in `path` exactly where it stopped, for whatever reason it stopped.

        Transitions in the journal after the last checkpoint are learnt from again, in order and with the same draws.
        go_back: drop them and take those steps again, without `timed_checkpoints`; so a kill changes nothing in a run.
        env: needed where the run was given an environment object that no name can make again.
        config: use other settings from here on.  relearn: learn from the journal's start again; needed where new
            settings change the meaning of what was learnt.  trust: import what config.json names, though it was written
            elsewhere.
        limits, clock: other ones from here on; None: those of the run.  They are recorded in config.json.
        hang_after: as in `Learner`; the run does not keep it.
        allow_new_bounds: convert the journal to other action bounds.  See docs/run-directory.md and docs/security.md.
        """
        allowed = ResumeOptions(relearn, allow_new_bounds, trust, config, go_back, limits, clock, hang_after)
        return cls._load(path, env, evaluation_env, allowed)

    @classmethod
    def _load(
        cls, path: str | Path, env: EnvSource | None, evaluation_env: EnvSource | None, allowed: ResumeOptions
    ) -> "Learner":
        run, config, go_back = RunDirectory(path), allowed.config, allowed.go_back
        held = run.read_config()
        trusted.require(run, held, allowed.trust, agent=config is None, env=env is None, veto=allowed.limits is None)
        clock = allowed.clock or (None if held.clock is None else Clock.of(held.clock))
        algorithm = provenance.algorithm_of(held, run) if config is None else config
        algorithm = learner_arguments.paced(algorithm, clock)
        source, header = env if env is not None else held.env, resuming.header_of(run)
        self = cls.__new__(cls)
        with resume_commands.diverging_with_line(held.changed(agent=agent_config.written(algorithm)), run.path):
            spec, states = provenance.spec_of(held, run, source), 0 if header is None else header.state_dim
            limits = limits_json.read(held, run) if allowed.limits is None else allowed.limits
            options = held.tensorboard, not go_back, limits, clock, allowed.hang_after, states, kept(run, held)
            given = LearnerArguments(algorithm, source, spec, held.seed, path, evaluation_env, *options)
            self._open(given, lambda run, trainer: resuming.prepare_run(run, held, algorithm, trainer, allowed))
            try:
                evaluations = resume(self._session, go_back)
            except BaseException:
                self.close()
                raise
        self.best_return, self.evaluated_at = resuming.best_and_last_evaluation(self._written, evaluations)
        return self

    def close(self) -> None:
        """Close files and environments, and unlock the run directory.  In a forked process this does nothing."""
        if not self._session.owner.is_here:
            return
        with self._session.owner.using(), self._guard(strict=False), contextlib.ExitStack() as last:
            # every callback runs, also after one raises
            last.callback(self._forget_passing)
            for env in (self._evaluation_env, *reversed([] if self._turns is None else self._turns.envs)):
                last.callback(env.close)
            last.callback(self._session.records.close)
            last.callback(self.trainer.close)
            self._session.owner.leave()

    def __enter__(self) -> "Learner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
