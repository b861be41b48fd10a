"""Random episodes on which fits and planners are run once, so that JAX compiles them before they are needed."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np

from reverie.core.dynamics import Episode, Linear
from reverie.core.env_spec import EnvSpec
from reverie.core.known_dynamics import KnownDynamics
from reverie.planning.planners import Planner

SHORT = 25  # least number of steps of a made-up episode; used where the length of real ones is not known


class MadeUpEpisodes:
    """Random episodes with the sizes of an environment.

    known: the environment's dynamics.  spec: its spaces.
    `length`: the most steps of an episode, else the domain's horizon, else None.
    """

    def __init__(self, known: KnownDynamics, spec: EnvSpec):
        self._known, self._spec = known, spec
        self.length: int | None = spec.max_episode_steps or (None if known.domain is None else known.domain.horizon)

    def _episodes(self, count: int, length: int) -> list[Episode]:
        generator, spec = np.random.default_rng(0), self._spec
        n, c = self._known.state_dim, self._known.context_dim
        m = spec.as_input(np.zeros(spec.action_dim)).size
        states, actions = generator.normal(size=(count, length + 1, n)), generator.uniform(-1, 1, (count, length, m))
        rewards = generator.normal(size=(count, length))
        return [Episode(*parts, False, np.zeros(c)) for parts in zip(states, actions, rewards, strict=True)]

    def rehearse_fit(self, model: Any) -> None:
        """Compile what a fit of `model` calls."""
        model.rehearse(self._episodes(1, max(SHORT, self.length or 0))[0])

    def rehearse_plan(self, planner: Planner | None) -> None:
        """Compile what `improve` and `act` of a planner call. The planner is changed: pass a new one."""
        assert planner is not None and self.length is not None
        batch = self._episodes(2, self.length)
        n, d = batch[0].states.shape[1], batch[0].states.shape[1] + batch[0].actions.shape[1]
        steps = self.length
        still = Linear(np.tile(np.eye(n, d), (steps, 1, 1)), np.zeros((steps, n)), np.tile(np.eye(n), (steps, 1, 1)))
        reward_model = None if self._known.domain is not None else _no_reward(d)
        planner.improve(_Still(still), batch, reward_model)
        planner.rehearse()


@dataclasses.dataclass(frozen=True)
class _Still:
    """Dynamics whose expansion is the same everywhere."""

    expansion: Linear

    def linearize(self, states: np.ndarray, actions: np.ndarray) -> Linear:
        """Return the expansion."""
        del states, actions
        return self.expansion


def _no_reward(d: int) -> Any:
    """Return a reward model for planners: all actions have the same value.  d: size of state and action together."""
    return SimpleNamespace(cost=lambda m: (np.eye(d), np.zeros(d), np.zeros(())))
