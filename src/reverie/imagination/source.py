"""Algorithm 2 as a source of experience: it gives minibatches besides real ones, and a planner for some episodes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reverie.core.agent import Agent, Policy
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.seeds import PLANNED_EPISODES, seed_of
from reverie.core.types import Transition
from reverie.imagination.imagined_replay import ImaginedReplay
from reverie.imagination.made_up_episodes import MadeUpEpisodes
from reverie.planning.planners import PLANNERS, Planner

PLANNER_METRICS = ("plan_status", "plan_failures", "plan_repairs", "plan_kl", "plan_predicted_return", "plan_drives")
PLAN_PREFIX = "plan/"  # of the planner's arrays in a snapshot


class ImaginationSource:
    """Imagination for the trainer: implements `reverie.training.experience_source.ExperienceSource`.

    agent: an agent built from `rv.Imagination`.  seed: seed of the run.
    known: what the environment shows of its dynamics. None: its observations are its state.
    """

    def __init__(self, agent: Agent, known: KnownDynamics | None, seed: int):
        dynamics = KnownDynamics.of_observations(agent.spec.observation_dim) if known is None else known
        self.state_dim = 0 if known is None else known.state_dim + known.context_dim
        self.replay = ImaginedReplay(agent, dynamics, seed)
        self.planner: Planner | None = self._new_planner()
        self.planner_acts = False  # in the current episode
        self._planner_has_begun = False  # in the current episode
        self._agent, self._seed = agent, seed

    def _new_planner(self) -> Planner | None:
        settings, known, spec = self.replay.settings, self.replay.known, self.replay.agent.spec
        return None if settings.plan == "off" else PLANNERS[settings.plan](settings, known, spec.action_dim)

    # ---- episodes

    def end_episode(self) -> None:
        """Close an episode that was cut off before its end."""
        self.replay.end_episode()

    def begin_episode(self, number: int) -> None:
        """Choose who acts in episode `number`: the policy with probability p, else the planner.

        Source: Gu et al. 2016, Algorithm 2.
        """
        self.planner_acts, self._planner_has_begun = False, False
        if self.planner is not None and self.planner.ready and self.replay.on:
            drawn = np.random.default_rng(seed_of(self._seed, PLANNED_EPISODES, number)).random()
            self.planner_acts = drawn >= self.replay.settings.mixture

    def override(self, observation: np.ndarray, state: ArrayLike, noise: np.ndarray) -> np.ndarray:
        """Return the planner's action [m] in [-1, 1], with noise added. Called only while `planner_acts`.

        observation: [o].  state: the environment's state [state_dim], if it shows one.  noise: standard normal [m].
        """
        assert self.planner is not None
        x = self.replay.plausible_state(np.asarray(state if self.state_dim else observation, float))
        size = self.replay.known.state_dim
        if not self._planner_has_begun:
            self.planner.begin(x[size:])
            self._planner_has_begun = True
        return self.planner.act(x[:size], noise).astype(np.float32)

    # ---- learning

    def observe(
        self, row: np.ndarray, state: ArrayLike, next_state: ArrayLike, last: bool, policy: Callable[[], Policy]
    ) -> bool:
        """Add a real transition, then fit and imagine if that is due.  Returns whether a fit was tried.

        row: the packed transition [width].  state, next_state: the environment's states [state_dim], if it shows them.
        last: whether the episode ends with this transition.  policy: () -> the current policy.
        """
        if not self.state_dim:
            step = Transition.unpack(row, self._agent.spec.observation_dim, self._agent.spec.action_dim)
            state, next_state = step.observation, step.next_observation
        fit = self.replay.observe(row, np.asarray(state), np.asarray(next_state), last, policy)
        if fit.accepted and self.planner is not None and self.replay.dynamics is not None:
            self.planner.improve(self.replay.dynamics, self.replay.old, self.replay.reward_model)
        return fit.tried

    @property
    def minibatches_per_real(self) -> int:
        """Number of imagined minibatches for each real one."""
        return self.replay.minibatches_per_real

    def minibatches(self, count: int, batch_size: int) -> np.ndarray | None:
        """Return packed minibatches [l count, B, width] for `count` real ones, or None where this update uses none."""
        return self.replay.minibatches(count, batch_size)

    def clear(self) -> None:
        """Delete all imagined transitions, because an update on them had to be undone."""
        self.replay.fictional.clear()

    # ---- reports

    def notices(self) -> list[str]:
        """Return the notices since the last call."""
        found, self.replay.noticed = self.replay.noticed, []
        return found

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the columns of `metrics`."""
        return (*self.replay.metric_names, *(() if self.planner is None else PLANNER_METRICS))

    def metrics(self) -> dict[str, float]:
        """Return the newest model's errors, counts of imagined transitions, and the planner's figures."""
        row = self.replay.metrics()
        if (planner := self.planner) is not None:
            counts = (int(planner.status), planner.failures, planner.repairs, planner.kl)
            values = (*map(float, counts), planner.predicted, float(self.planner_acts))
            row |= dict(zip(PLANNER_METRICS, values, strict=True))
        return row

    # ---- compiling

    @property
    def first_fit(self) -> int:
        """The earliest real step after which a model can be fitted: its n episodes have at least one step each."""
        return self.replay.model.episodes

    def programs(self) -> Mapping[str, Callable[[], None]]:
        """Return functions by name that compile a fit and the planner's calls.

        Each runs once on made-up episodes, with objects of its own whose results are not kept.
        """
        made_up = MadeUpEpisodes(self.replay.known, self._agent.spec)
        found: dict[str, Callable[[], None]] = {}
        if hasattr(self.replay.model, "rehearse"):
            found["fit"] = lambda: made_up.rehearse_fit(self.replay.model)
        if self.planner is not None and made_up.length is not None:
            found["plan"] = lambda: made_up.rehearse_plan(self._new_planner())
        return found

    # ---- saving

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return (arrays by name, facts): the whole state."""
        arrays, imagined = self.replay.snapshot()
        facts: dict[str, Any] = {"dreams": imagined}
        if self.planner is not None:
            plans, facts["plan"] = self.planner.snapshot()
            arrays |= {PLAN_PREFIX + name: value for name, value in plans.items()}
        return arrays, facts

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Restore the state that `snapshot` returned.  Raises ValueError where shapes or counts do not fit."""
        self.replay.restore(arrays, facts["dreams"])
        if self.planner is not None:
            plans = {k.removeprefix(PLAN_PREFIX): v for k, v in arrays.items() if k.startswith(PLAN_PREFIX)}
            self.planner.restore(plans, facts["plan"])
