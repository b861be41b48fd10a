"""What learning calls, compiled ahead: updates, the diagnosis, a model's fit, a planner's passes.

The first two are compiled at their shapes.  A fit and a plan are rehearsed, on made-up episodes and by objects of their own, so
that whatever they call is compiled; what they learn is thrown away.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reverie.core.dynamics import Episode, Linear

SHORT = 25  # steps of a made-up episode where nobody knows how long one is


class CompiledPrograms:
    """The compiled programs of one trainer.

    time_limit: steps of an episode, where the world says so: a planner's passes are compiled for episodes of that length.
    """

    def __init__(self, trainer: Any, time_limit: int | None = None):
        self._trainer, self._time_limit = trainer, time_limit
        self._asked: set[str] = set()
        self._all = {"update", "diagnosis"}
        if trainer.dreams is not None:
            self._all |= {"fit"} if hasattr(trainer.dreams.model, "rehearse") else set()
            self._all |= {"plan"} if trainer.driver is not None and self._length else set()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to compile."""
        return self._asked == self._all

    def missing(self, step: float, diagnosed: bool) -> list[str]:
        """Return the names of programs that steps up to `step` may call and that `compile` was not asked for yet."""
        trainer = self._trainer
        learns = bool(trainer.agent.requirements.updates_per_step) and step >= trainer.first_update
        wanted = {"update": learns, "diagnosis": diagnosed}
        if trainer.dreams is not None:
            fits = step >= trainer.dreams.model.episodes
            wanted |= {"fit": fits, "plan": fits}
        return [name for name, needed in wanted.items() if needed and name in self._all - self._asked]

    def compile(self, names: Iterable[str]) -> None:
        """Compile programs; what `jit` holds then is called as it is."""
        for name in names:
            {"update": self._update, "diagnosis": self._diagnosis, "fit": self._fit, "plan": self._plan}[name]()
            self._asked.add(name)

    def _update(self) -> None:
        for shape in self._shapes():
            self._trainer._update.lower(self._trainer.state, self._rows(*shape), np.uint32(0)).compile()

    def _diagnosis(self) -> None:
        self._trainer._diagnose.lower(self._trainer.state, self._rows(self._trainer._diagnosed)).compile()

    def _rows(self, *lead: int) -> Any:
        """Return what packed transitions [*lead, width] look like."""
        return jax.ShapeDtypeStruct((*lead, self._trainer.replay.rows.shape[1]), jnp.float32)

    def _shapes(self) -> list[tuple[int, int]]:
        """Return the leading shapes of what updates are fed: real minibatches alone, and with imagined ones."""
        trainer = self._trainer
        requirements = trainer.agent.requirements
        if requirements.rollout:
            return [(requirements.rollout, requirements.worlds)]
        each = 1 if trainer.dreams is None else 1 + trainer.dreams.minibatches_per_real
        return [(times * requirements.updates_per_step, requirements.batch_size) for times in dict.fromkeys((1, each))]

    @property
    def _length(self) -> int | None:
        """Steps of an episode, where that is known."""
        domain = self._trainer.dreams.task.domain
        return self._time_limit or (None if domain is None else domain.horizon)

    def _episodes(self, count: int, length: int) -> list[Episode]:
        """Return made-up episodes of the world's sizes."""
        dreams, generator = self._trainer.dreams, np.random.default_rng(0)
        n, c, spec = dreams.task.state_dim, dreams.task.context_dim, self._trainer.agent.spec
        m = spec.as_input(np.zeros(spec.action_dim)).size
        states, actions = generator.normal(size=(count, length + 1, n)), generator.uniform(-1, 1, (count, length, m))
        rewards = generator.normal(size=(count, length))
        return [Episode(*parts, False, np.zeros(c)) for parts in zip(states, actions, rewards, strict=True)]

    def _fit(self) -> None:
        self._trainer.dreams.model.rehearse(self._episodes(1, max(SHORT, self._length or 0))[0])

    def _plan(self) -> None:
        trainer, dreams, length = self._trainer, self._trainer.dreams, self._length
        assert length is not None
        from reverie.planning.planners import PLANNERS  # loaded by now: only a trainer with a planner comes here

        driver = PLANNERS[dreams.settings.plan](dreams.settings, dreams.task, trainer.agent.spec.action_dim)
        batch = self._episodes(2, length)
        n, d = batch[0].states.shape[1], batch[0].states.shape[1] + batch[0].actions.shape[1]
        still = Linear(np.tile(np.eye(n, d), (length, 1, 1)), np.zeros((length, n)), np.tile(np.eye(n), (length, 1, 1)))
        outcome = None if dreams.task.domain is not None else _no_reward(d)
        driver.improve(SimpleNamespace(linearize=lambda states, actions: still), batch, outcome)
        driver.rehearse()


def _no_reward(d: int) -> Any:
    """Return an outcome that is never any good nor bad, as planners see one."""
    return SimpleNamespace(cost=lambda m: (np.eye(d), np.zeros(d), np.zeros(())))
