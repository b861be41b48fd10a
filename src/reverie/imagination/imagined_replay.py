"""Algorithm 2: fit a model to real episodes, roll it out, and store the imagined transitions.

Nothing here reads a disk or an environment. `snapshot` holds the whole state, so a resumed run imagines the same
transitions as a run that was never stopped.
"""

from collections import deque
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reverie.core.agent import Agent, Memory, Policy
from reverie.core.dynamics import Dynamics, Episode
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.seeds import IMAGINED, MODEL, seed_of
from reverie.core.status import Status
from reverie.core.types import Array, Transition, row_width
from reverie.data.outliers import without_outliers
from reverie.data.replay import Replay
from reverie.imagination.open_episode import OpenEpisode
from reverie.imagination.rollout import RANGE_MARGIN, StartStates, rollout, rollout_model_of
from reverie.imagination.settings import Imagination
from reverie.imagination.snapshot_checks import require_matching_shapes, require_working_models
from reverie.models import prediction_errors, reward, screening
from reverie.models.exact import Exact
from reverie.models.recent import Recent
from reverie.models.reward import RewardModel

NEVER = -1.0  # in metrics: nothing has been measured yet


class FitOutcome(NamedTuple):
    """Result of the fit at the end of an episode."""

    tried: bool = False
    accepted: bool = False  # the new dynamics are in use


class ImaginedReplay:
    """The state of Algorithm 2: B_f (the last real episodes), B_old, R_f, the fitted models, the imagined fraction.

    agent: an agent built from `rv.Imagination`.  known: what is known of the environment's dynamics.
    seed: seed of the run, from which all draws here follow.
    """

    def __init__(self, agent: Agent, known: KnownDynamics, seed: int):
        assert agent.imagination is not None
        self.settings: Imagination = agent.imagination
        self.agent, self.known, self._seed = agent, known, seed
        model = self.settings.model
        self.model = model = model.bind(known) if isinstance(model, Exact) else model
        self.history: deque[Episode] = deque(maxlen=max(getattr(model, "history", 0), model.episodes + 1))
        self._rows: deque[np.ndarray] = deque(maxlen=model.episodes)  # packed; used where `_replays`
        self.fictional = Replay(
            self.settings.fictional_capacity, row_width(agent.spec.observation_dim, agent.spec.action_dim)
        )
        self.generator = np.random.default_rng(seed_of(seed, IMAGINED))
        self.dynamics: Dynamics | None = None
        self.old: list[Episode] = []  # B_old: what `dynamics` was fitted to
        self.reward_model: RewardModel | None = None  # of rewards and terminations; None if formulas are known
        self.episodes = self.fits = self.refused = self.waited = self.imagined = self.cut = self.rolled = 0
        self.filled = self.left_out = 0  # steps whose outliers were filled in; episodes with too many outliers
        self.noticed: list[str] = []  # until `ImaginationSource.notices` returns them
        self.imagined_fraction, self.status, self.report = 1.0, Status.DONE, {}
        self.low = np.full(known.state_dim, np.inf)
        self.high = -self.low
        start = np.asarray(agent.begin(None, None))
        self.memory = np.repeat(start[None], self.settings.rollouts, axis=0)
        self._begin()

    def _begin(self, context: ArrayLike = ()) -> None:
        self._large = screening.Large(self.history)
        self._now = OpenEpisode(context)

    # ---- metrics

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the columns of `metrics`."""
        own = ("model_error_1", f"model_error_{self._far}", "model_reward_error", "model_status")
        return (*own, "model_fits", "model_refused", "dream_trust", "dreams", "dream_cut_share")

    def metrics(self) -> dict[str, float]:
        """Return the newest model's held-out errors (-1: none yet), its status, and counts of imagined transitions."""
        found = [self.report.get(name, NEVER) for name in ("nrmse_1", f"nrmse_{self._far}", "reward")]
        cut = self.cut / self.rolled if self.rolled else 0.0
        values = (*found, int(self.status), self.fits, self.refused, self.imagined_fraction, self.imagined, cut)
        return dict(zip(self.metric_names, map(float, values), strict=True))

    @property
    def on(self) -> bool:
        """True until `until_episode` real episodes have ended."""
        return not self.settings.until_episode or self.episodes < self.settings.until_episode

    # ---- real transitions

    def observe(
        self, row: np.ndarray, x: np.ndarray, x_next: np.ndarray, last: bool, policy: Callable[[], Policy]
    ) -> FitOutcome:
        """Add a real transition. At the end of an episode fit the model; every m steps imagine transitions.

        row: the packed transition [width].  x, x_next: states with the context appended [n + k].
        last: whether the episode ends with this transition.  policy: () -> the current policy.
        Returns whether a fit was tried and accepted.
        """
        n, m = self.agent.spec.observation_dim, self.agent.spec.action_dim
        step, size = Transition.unpack(row, n, m), self.known.state_dim
        if not self._now.states:
            self._begin(x[size:])
            self._add_state(x[:size])
        self._add_state(x_next[:size])
        self._now.actions.append(np.asarray(self.agent.spec.as_input(step.action), float))
        self._now.rewards.append(float(step.reward))
        if self._replays:
            self._now.packed.append(row)
        fit = self.end_episode(terminated=bool(step.discount == 0)) if last else FitOutcome()
        self.waited += 1
        if self.waited % self.settings.rollouts == 0:
            self.imagine(policy)
        return fit

    def _add_state(self, x: np.ndarray) -> None:
        """Add state x [n] to the open episode. An outlier does not widen the range of states: it is screened later."""
        self._now.states.append(np.asarray(x, float))
        if not self._large.is_far(x):
            self._widen(x, x)

    def _widen(self, low: np.ndarray, high: np.ndarray) -> None:
        """Extend the range of states so that it includes `low` and `high` [n]."""
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)

    def plausible_state(self, x: np.ndarray) -> np.ndarray:
        """Return x, a state with its context [n + k]. If x is an outlier, return the newest state that is not."""
        if not self._large.is_far(x):
            return x
        now = [(state, self._now.context) for state in reversed(self._now.states)]
        before = [(episode.states[0], episode.context) for episode in reversed(self.history)]
        good = (np.concatenate(pair) for pair in (*now, *before))
        return next((pair for pair in good if not self._large.is_far(pair)), x)

    def end_episode(self, terminated: bool = False) -> FitOutcome:
        """Close the open episode, if there is one, and fit the model if a fit is due. Returns the result of the fit."""
        if not self._now.actions:
            return FitOutcome()
        seen = self._now.closed(terminated)
        episode, filled, text = screening.screen(seen, list(self.history), self.filled, self.waited + 1)
        self.filled += filled
        self.noticed += [text] if text else []
        if self._replays:
            sizes = self.agent.spec.observation_dim, self.agent.spec.action_dim
            self._rows.append(without_outliers(np.array(self._now.packed), list(self._rows), *sizes))
        self._begin()
        self.episodes += 1
        if episode is None:
            self.left_out += 1
            return FitOutcome()
        self._widen(episode.states.min(axis=0), episode.states.max(axis=0))
        self.history.append(episode)
        whole, wanted = self.episodes - self.left_out, self.model.episodes
        due = whole >= wanted and (whole - wanted) % self.settings.refit_every == 0
        return FitOutcome(tried=True, accepted=self.refit()) if due and self.on else FitOutcome()

    # ---- Algorithm 2

    def refit(self) -> bool:
        """Fit the model to the last episodes: M ← fit(B_f), B_old ← B_f.  Gu et al. 2016, Algorithm 2.

        The imagined fraction follows from the previous model's errors on the newest episodes, which it was not fitted
        to. Returns whether the fit was accepted. A refused fit leaves M and B_old as they were.
        """
        model, settings = self.model, self.settings
        history = list(self.history)
        batch = history[-model.episodes :]
        self.fits += 1
        if isinstance(model, Recent):
            return False
        held_out = batch[-settings.refit_every :]
        judged, known = self.dynamics, history[: len(history) - len(held_out)]
        if judged is None and len(batch) > 1:  # no model yet: judge one fitted without the last episode
            held_out, known = batch[-1:], history[:-1]
            judged = model.fit(batch[:-1], known, None, seed_of(self._seed, MODEL, 0)).dynamics
        if judged is not None:
            self._judge(judged, held_out, known)
        if settings.fresh:
            self.fictional.clear()
        fit = model.fit(batch, history, self.dynamics, seed_of(self._seed, MODEL, self.fits))
        self.status = fit.status
        dynamics: Dynamics | None = fit.dynamics
        accepted = dynamics is not None and fit.status != Status.UNSTABLE and self._explains(dynamics, batch[-1:])
        if accepted:
            self.dynamics, self.old = dynamics, batch
        else:
            self.refused += 1
        self._fit_reward_model(history)
        if self.imagined_fraction == 0.0:
            self.fictional.clear()  # a later, better model must not be mixed with these transitions
        return accepted

    def _explains(self, dynamics: Dynamics, seen: list[Episode]) -> bool:
        """Return whether the dynamics predict the episodes they were fitted to with an error below `error_high`."""
        error = prediction_errors.predictions(dynamics, seen, (self._far,)).get(f"nrmse_{self._far}", 0.0)
        return not self.settings.adaptive or error < self.settings.error_high

    @property
    def _far(self) -> int:
        """Number of steps over which models are judged, at least 2: an error over one step is mostly noise."""
        return max(self.settings.rollout_length, 2)

    def _judge(self, dynamics: Dynamics, held_out: list[Episode], before: list[Episode]) -> None:
        """Set `report` and `imagined_fraction` from a model's errors on episodes it was not fitted to."""
        self.report = prediction_errors.predictions(dynamics, held_out, (1, self._far))
        if self.known.reward is None:
            self._fit_reward_model(before)
            self.report["reward"] = 1.0 if self.reward_model is None else self.reward_model.error(held_out)
        worst = max(self.report.get(f"nrmse_{self._far}", 0.0), self.report.get("reward", 0.0))
        self.imagined_fraction = self.settings.imagined_fraction(worst)

    def _fit_reward_model(self, episodes: list[Episode]) -> None:
        if self.known.reward is None or self.known.terminated is None:
            self.reward_model = (
                reward.fit(episodes, seed_of(self._seed, MODEL, self.fits)).dynamics or self.reward_model
            )

    def imagine(self, policy: Callable[[], Policy]) -> None:
        """Sample m states of B_old, roll the model out from each, and store the transitions in R_f.

        policy: () -> the current policy.  Gu et al. 2016, Algorithm 2.
        """
        unknown = self.reward_model is None and (self.known.reward is None or self.known.terminated is None)
        if (
            self.dynamics is None
            or unknown
            or not self.on
            or self.imagined_fraction == 0.0
            or not self.settings.rollout_length
        ):
            return
        longest = max(map(len, self.old))
        horizon = longest if self.dynamics.horizon is None else min(longest, self.dynamics.horizon)
        margin = RANGE_MARGIN * (self.high - self.low)
        low, high = self.low - margin, self.high + margin
        model = rollout_model_of(self.agent.spec, self.known, self.reward_model, self.dynamics, horizon, low, high)
        now = policy()

        def act(memory: Memory, observations: Array) -> tuple[Array, Memory]:
            noise = self.generator.standard_normal((len(observations), self.agent.spec.action_dim), np.float32)
            return self.agent.explore(now, memory, observations, noise)

        imagined, cut, memory = rollout(
            model,
            act,
            self._start_states(horizon),
            self.memory,
            self.settings.rollout_length,
            self.generator,
            self.settings.model_noise,
        )
        self.memory = np.asarray(memory)
        if len(imagined.reward):
            self.fictional.extend(imagined.pack())
        self.imagined += len(imagined.reward)
        self.cut += cut
        self.rolled += self.settings.rollouts

    def _start_states(self, horizon: int) -> StartStates:
        """Return states drawn uniformly from those of B_old's transitions."""
        lengths = np.minimum([len(episode) for episode in self.old], horizon)
        ends = np.cumsum(lengths)
        drawn = self.generator.integers(ends[-1], size=self.settings.rollouts)
        which = np.searchsorted(ends, drawn, side="right")
        times = drawn - (ends - lengths)[which]
        states = np.stack([self.old[i].states[t] for i, t in zip(which, times, strict=True)])
        return StartStates(states, times, np.stack([self.old[i].context for i in which]))

    @property
    def minibatches_per_real(self) -> int:
        """Number of imagined minibatches for each real one."""
        return self.settings.rollout_length and (self.settings.minibatches or self.settings.rollout_length)

    def minibatches(self, count: int, batch_size: int) -> np.ndarray | None:
        """Return minibatches for `count` real ones [l count, B, width], or None where this update uses none.

        They are imagined with a probability of the imagined fraction, else drawn from recent real episodes.
        """
        shape = self.minibatches_per_real * count, batch_size
        if not self.on or not self.fits or not shape[0]:
            return None
        imagined = len(self.fictional) and (
            self.imagined_fraction == 1.0 or self.generator.random() < self.imagined_fraction
        )
        if imagined:
            return self.fictional.sample(self.generator, shape)
        return self._sample_recent(shape) if self._replays else None

    @property
    def _replays(self) -> bool:
        """Whether recent real episodes are replayed where no imagined transitions are used."""
        return self.settings.instead == "recent" or isinstance(self.model, Recent)

    def _sample_recent(self, shape: tuple[int, int]) -> np.ndarray:
        """Return packed transitions [*shape, width] drawn uniformly from the last n real episodes."""
        rows = np.concatenate(self._rows)  # never empty: each episode keeps at least one row
        return rows[self.generator.integers(len(rows), size=shape)]

    # ---- saving

    # Attribute → its name in a checkpoint. Names of older checkpoints are kept.
    FACTS = MappingProxyType(
        {name: name for name in ("episodes", "fits", "refused", "waited", "imagined", "cut", "rolled")}
        | {"imagined_fraction": "trust"}
        | {name: name for name in ("report", "filled", "left_out")}
    )

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return (arrays by name, facts): the whole state."""
        arrays = {"low": self.low, "high": self.high, "memory": self.memory}
        arrays["fictional"] = self.fictional.rows[: len(self.fictional)]
        if self.dynamics is not None:
            arrays |= {f"dynamics/{name}": value for name, value in self.dynamics.arrays().items()}
        if self.reward_model is not None:
            arrays |= {f"outcome/{name}": value for name, value in self.reward_model.arrays().items()}
        for place, episodes in (("episode", self.history), ("old", self.old)):
            for i, episode in enumerate(episodes):
                arrays |= {f"{place}{i}/{name}": np.asarray(value) for name, value in vars(episode).items()}
        for i, rows in enumerate(self._rows):
            arrays[f"rows{i}"] = rows
        arrays |= {f"now/{name}": value for name, value in self._now.arrays().items()}
        facts = {name: getattr(self, attribute) for attribute, name in self.FACTS.items()}
        facts |= {"status": int(self.status), "added": self.fictional.added, "known": self.dynamics is not None}
        return arrays, facts | {"generator": self.generator.bit_generator.state}

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Restore the state that `snapshot` returned.  Raises ValueError where shapes or counts do not fit."""

        def part(name: str) -> dict[str, np.ndarray]:
            return {key.removeprefix(f"{name}/"): v for key, v in arrays.items() if key.startswith(f"{name}/")}

        n, m = self.agent.spec.observation_dim, self.agent.spec.action_dim
        sizes = (
            self.known.state_dim,
            self.agent.spec.as_input(np.zeros(m)).size,
            self.known.context_dim,
            row_width(n, m),
        )
        require_matching_shapes(arrays, sizes, self.memory, len(self.fictional.rows))
        if len(arrays["fictional"]) != min(facts["added"], len(self.fictional.rows)):
            raise ValueError(f"{len(arrays['fictional'])} imagined rows, where {facts['added']} were added")
        self.low, self.high, self.memory = arrays["low"], arrays["high"], arrays["memory"].copy()
        self.fictional.rows[: len(arrays["fictional"])] = arrays["fictional"]
        self.fictional.added = facts["added"]
        self.dynamics = self.model.restore(part("dynamics")) if facts["known"] else None
        rewards = part("outcome")
        # In older checkpoints rewards are quadratics alone.
        older = bool(rewards) and not any(name.startswith("smooth.") for name in rewards)
        self.reward_model = RewardModel.restore(rewards) if rewards and not older else None
        for place, episodes in (("episode", self.history), ("old", self.old)):
            for i in range(self.history.maxlen or 0):
                if found := part(f"{place}{i}"):
                    terminated = bool(found.pop("terminated"))
                    episodes.append(Episode(**found, terminated=terminated))
        for i in range(self.model.episodes):
            if f"rows{i}" in arrays:
                self._rows.append(arrays[f"rows{i}"])
        if older:
            self._fit_reward_model(list(self.history))
        if now := part("now"):
            self._now = OpenEpisode.restored(now)
        require_working_models(self.dynamics, self.reward_model, self.old)
        for attribute, name in self.FACTS.items():
            setattr(self, attribute, facts.get(name, 0))  # older checkpoints do not count outliers
        self.status = Status(facts["status"])
        self.generator.bit_generator.state = facts["generator"]
