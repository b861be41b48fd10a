"""Steps that collectors take, in the place of the environments of `env_turns`."""

import contextlib
import sys
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from reverie.collecting.acting_program import described, weights_of
from reverie.collecting.channels import Backend
from reverie.collecting.collector import version
from reverie.collecting.messages import PROTOCOL, Setup
from reverie.collecting.supervisor import Ended, Supervisor, Taken, Wanted, Weights
from reverie.core.argument_checks import whole
from reverie.core.errors import ConfigError, unknown
from reverie.core.seeds import COLLECTED
from reverie.environments.env_factory import EnvSource, describe
from reverie.storage.events import COLLECTOR
from reverie.storage.limits_json import written
from reverie.training.env_turns import EnvTurns
from reverie.training.health import Notice
from reverie.training.recorded_trainer import RecordedTrainer
from reverie.training.run_logger import RecordedStep

BACKENDS = ("local", "ray")
MOST = 1000


class _Open(NamedTuple):
    """An episode that a collector is in."""

    number: int  # in the journal
    theirs: int  # as the collector counts
    step: int  # the newest one
    time: float


class CollectorTurns:
    """Learns from the steps of collectors, one at a time, in the order in which they come.

    session: the learner's.  env: where each collector acts.  wanted: how many collectors, how many steps in all.
    backend: a name of BACKENDS.
    """

    def __init__(self, session: RecordedTrainer, env: str, wanted: Wanted, backend: str):
        self._session = session
        trainer = session.trainer
        acting = described(trainer.agent, session.name)
        limits = written(session.limiter.limits)
        self._open: dict[int, _Open] = {}  # by collector process
        self._newest: Weights | None = None
        session.leave_episode()
        session.close_newest()  # collectors begin episodes of their own
        begun = trainer.steps

        def setup(place: int, start: int) -> Setup:
            seed = [trainer.seed, COLLECTED, begun, place, start]
            return Setup(PROTOCOL, version(), env, list(sys.path), seed, acting, limits)

        wanted = wanted._replace(random=max(0, trainer.warmup_steps - begun))
        self._supervisor = Supervisor(_backend(backend, wanted.collectors), wanted, setup, self._weights, session.spec)

    def _weights(self) -> Weights:
        policy, version = self._session.trainer.published
        if self._newest is None or self._newest.version != version:
            self._newest = Weights(version, weights_of(policy))
        return self._newest

    def has_step(self, goes_on: Callable[[], bool]) -> bool:
        """Wait for a step; return False where no more will come.

        goes_on: whether more steps are wanted.  Steps that are under way when it turns false are still learnt from.
        Raises WorldError, or another error of a collector that cannot go on.
        """
        while self._supervisor.wait(goes_on):
            found = self._supervisor.take()
            if isinstance(found, Taken):
                self._taken = found
                return True
            self._ended(found)
        return False

    def step(self, session: RecordedTrainer) -> dict[str, Any] | None:
        """Learn from one step; return the row of the episode if it ended, else None."""
        source, record = self._taken
        held = self._open.get(source)
        theirs = int(record["episode"])
        if held is not None and held.theirs != theirs:
            self._cut(source)
            held = None
        session.require_usable()
        number = self._begin() if held is None else held.number
        taken = {name: record[name] for name in ("action", "observation", "next_observation", "asked")}
        plain = {name: record[name].item() for name in ("time", "flags", "reward", "policy")}
        step = RecordedStep(session.trainer.steps + 1, episode=number, **plain, **taken)
        row = session.record(step, durable=False)
        if row is None:
            self._open[source] = _Open(number, theirs, step.step, step.time)
        else:
            self._open.pop(source, None)
        self._supervisor.learnt()
        return row

    def _begin(self) -> int:
        """Begin an episode; return its number."""
        trainer = self._session.trainer
        trainer.begin_episode()
        self._session.open.begin(self._session.turn, trainer.episodes)
        return trainer.episodes

    def _ended(self, found: Ended) -> None:
        """Note that a collector has ended, and cut its episode off."""
        held = self._open.get(found.source)
        cut = "" if held is None else f"; its episode {held.number} was cut off"
        text = f"collector {found.place} ended ({found.reason}) and another one takes its place{cut}"
        trainer = self._session.trainer
        self._session.write_kept(Notice(trainer.steps, trainer.episodes, COLLECTOR, text))
        self._cut(found.source)

    def _cut(self, source: int) -> None:
        held = self._open.pop(source, None)
        if held is not None and (row := self._session.open.cut(held.step, held.time, held.number)) is not None:
            self._session.end_episode(row)

    def close(self) -> None:
        """End all collectors.  Their episodes are cut off."""
        self._supervisor.close()
        for source, held in list(self._open.items()):
            if held.step != self._session.trainer.steps:  # the newest one has its row once another episode begins
                self._cut(source)
        self._session.forget_actions()


@contextlib.contextmanager
def turns_of(
    own: EnvTurns,
    session: RecordedTrainer,
    env: EnvSource | None,
    steps: float,
    collectors: int | None,
    backend: str,
    hang_after: float | None,
) -> Generator[EnvTurns | CollectorTurns]:
    """Give what takes up to `steps` steps: the learner's own environments, or collectors.

    own: the learner's environments, made from `env`.  collectors: how many; None: none.  backend: one of BACKENDS.
    hang_after: seconds that a call of an environment may take; None: as the supervisor has it.
    Raises ConfigError where the learner cannot learn with collectors.
    """
    if collectors is None:
        yield own
        return
    count, name = require_collectors(session, env, collectors, backend)
    turns = CollectorTurns(session, name, Wanted(count, steps, hang_after=hang_after), backend)
    try:
        yield turns
    finally:
        turns.close()


def require_collectors(
    session: RecordedTrainer, env: EnvSource | None, collectors: Any, backend: Any
) -> tuple[int, str]:
    """Return (number of collectors, name of the environment).

    Raises ConfigError unless the learner can learn with so many collectors.
    """
    count = whole("collectors", collectors, 1)
    if count > MOST:
        raise ConfigError(f"collectors is {count}; give at most {MOST}")
    require_backend(backend)
    limits = written(session.limiter.limits)
    if limits is not None and limits.veto is not None and ":" not in limits.veto:
        raise ConfigError(
            f"{session.spec.name}: collectors need a veto that they can import: a function of a module, and not of your program"
        )
    trainer = session.trainer
    require_mixing(session.name, trainer.source is not None, bool(trainer.agent.requirements.rollout))
    require_no_clock(session.ticks is not None, trainer.agent.requirements.update_after == "background")
    return count, _name_of(env, session.spec.name)


def require_backend(name: Any) -> None:
    """Raise ConfigError unless collectors can run there."""
    if name not in BACKENDS:
        raise unknown("backend", str(name), BACKENDS)
    if name == "ray":
        from reverie.collecting import ray_collectors

        ray_collectors.require()


def require_no_clock(has_clock: bool, in_background: bool) -> None:
    """Raise ConfigError where updates are to fit into the pace of one machine."""
    if has_clock:
        raise ConfigError("a clock is the pace of one machine, and each collector has its own; leave out one of them")
    if in_background:
        raise ConfigError('update_after="background" is for a learner that acts itself; with collectors take "step"')


def require_mixing(name: str, imagines: bool, on_policy: bool) -> None:
    """Raise ConfigError unless an agent can learn from steps of several episodes, taken by older policies.

    name: the agent's.
    """
    if imagines:
        raise ConfigError(
            "imagination needs whole episodes in order, and collectors mix theirs; leave out imagination or collectors"
        )
    if on_policy:
        raise ConfigError(
            f"{name} learns from steps of its newest policy alone, and collectors act by older ones; use naf, ddpg, "
            "sac, xqc or dqn, or leave out collectors"
        )


def _name_of(env: EnvSource | None, name: str) -> str:
    """Return the name by which another process can make the environment."""
    if isinstance(env, str):
        return env
    if callable(env):
        found = describe(env)
        module, _, attribute = found.partition(":")
        if module not in ("__main__", "?") and "<" not in attribute and "." not in attribute:
            if getattr(sys.modules.get(module), attribute, None) is env:
                return found
    raise ConfigError(
        f"{name}: each collector makes an environment of its own; give env a name: a domain, a Gymnasium id, or "
        "'package.module:callable'"
    )


def _backend(name: str, count: int) -> Backend:
    if name == "ray":
        from reverie.collecting.ray_collectors import RayCollectors

        return RayCollectors(count)
    from reverie.collecting.local_collectors import LocalCollectors

    return LocalCollectors()
