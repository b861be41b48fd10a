"""An agent's learning loop: acting, storing transitions and updating, with every random draw in its state.

It knows no disk, no environment and no model.  Any other source of data is an `ExperienceSource`.
"""

import functools
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from reverie.core.agent import Agent
from reverie.core.errors import DivergedError
from reverie.core.seeds import INIT, LOOK, NOISE, SAMPLE, seed_of
from reverie.core.types import Array, row_width
from reverie.data.outliers import Outliers
from reverie.data.replay import Replay
from reverie.training import advice
from reverie.training.compiled_programs import CompiledPrograms, compilers, episode_key, programs_of
from reverie.training.diagnosis import exploration, symptoms
from reverie.training.experience_source import SOURCE_PREFIX, ExperienceSource
from reverie.training.finite_checks import fault_of, finite_actions, within
from reverie.training.health import NAMES, Health
from reverie.training.logged_experience import LoggedExperience
from reverie.training.owed_updates import OwedUpdates
from reverie.training.reward_scaling import RewardScaling

METRICS_EVERY = 200  # steps between rows of metrics.csv
DIAGNOSED = 256  # transitions in a diagnosis; always the same number, so that one compiled program is enough


class Trainer:
    """Holds an agent's state, replay, noise and random generators.

    A new policy is read back as one flat array, and only when it is next needed, so that the update runs while the
    environment moves.  Acting uses plain NumPy, since a compiled call costs more than the small network itself.
    agent: pure functions of a state.  seed: decides every random draw.  source: another source of minibatches, which
        also acts in some episodes.  logged: logged transitions that fill a share of each minibatch.
    """

    def __init__(
        self, agent: Agent, seed: int, source: ExperienceSource | None = None, logged: LoggedExperience | None = None
    ):
        self.agent, self.seed = agent, seed
        self.root = jax.random.key(seed)
        n, m = agent.spec.observation_dim, agent.spec.action_dim
        requirements = agent.requirements
        # Not jitted: as one program, deep networks take minutes to compile, since each layer's draws are unrolled.
        self.state = agent.init(jax.random.fold_in(self.root, INIT))
        # On-policy agents keep one rollout of all their environments in order of time; it is full when they update.
        rows = requirements.rollout * requirements.worlds or requirements.replay_capacity
        self.replay = Replay(rows, row_width(n, m), requirements.recent_share, requirements.recent_steps)
        self.noise_generator = np.random.default_rng(seed_of(seed, NOISE))
        self.sample_generator = np.random.default_rng(seed_of(seed, SAMPLE))
        self.steps = self.episodes = self.updates = self.minibatches = 0
        self.memory = self._looking_memory = np.asarray(agent.begin(self.state, self.root))
        self._looking_generator = np.random.default_rng(seed_of(seed, LOOK))
        self.source, self.logged = source, logged
        usual = requirements.warmup_steps
        self.warmup_steps = usual if logged is None else logged.warmup_steps(usual)
        self.reward_scaling = RewardScaling(agent, logged)
        self.health = Health(agent, logged, self.warmup_steps)
        self.outliers = Outliers(self.replay, n, m)
        self._diverged: str | None = None
        self.state_dim = 0 if source is None else source.state_dim

        self._programs = programs = programs_of(agent, self.root)
        self._metric_names, self._diagnosis_names = programs.metric_names, programs.diagnosis_names
        self._sums, self._count = np.zeros(len(self._metric_names)), 0
        self._diagnosed = min(DIAGNOSED, len(self.replay.rows))
        self._key_kind = jax.random.key_impl(self.root)
        self._root_data = np.asarray(jax.random.key_data(self.root))  # a program takes it faster than the key
        self._update = functools.partial(programs.update, self._root_data)
        self._before: Any = None
        self._updated_at = (0, 0)  # (step, episode)
        self._diagnose, self._pack, self._split = programs.diagnose, programs.pack, programs.split
        self._flat: Any = None  # of the newest update, perhaps not computed yet
        # The arrays that acting reads, and the number of updates behind them; replaced as one, for threads.
        self._published: tuple[Any, int] = self._split(np.asarray(self._pack(self.state))), 0
        self.acting_version = 0  # number of updates of the policy that acted last
        self._sharing = threading.Lock()  # held while replay is read or written
        self.owed = OwedUpdates(requirements.update_after, self)
        each = 1 if source is None else 1 + source.minibatches_per_real
        own = compilers(programs, self._root_data, lambda: self.state, agent, each, self._diagnosed)
        own["episode"] = lambda: self._memory_at_first(0)
        self.programs = CompiledPrograms(own | dict({} if source is None else source.programs()))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The columns of `metrics`, in order."""
        others = () if self.source is None else self.source.metric_names
        own = (*self._metric_names, *self._diagnosis_names, "exploration", "episode")
        own = own if self.logged is None else (*own, "logged_share")
        return ("step", "updates", *own, *self.reward_scaling.metrics, *NAMES, *others)

    @property
    def policy(self) -> Any:
        """The arrays that acting reads, as NumPy arrays, from the newest sound update.

        Raises DivergedError where the last updates left unsound numbers.
        """
        return self.published[0]

    @policy.setter
    def policy(self, arrays: Any) -> None:
        self._published = arrays, self.updates

    @property
    def published(self) -> tuple[Any, int]:
        """`policy`, and the number of updates behind it."""
        if self.owed.in_background:
            self.owed.require_sound()
        elif self._flat is not None:
            self.finish_update()
        return self._published

    def finish_update(self) -> None:
        """Wait for the newest update; accept it, or undo it where it left numbers that no later update can repair."""
        newest = np.asarray(self._flat)
        values = newest[: len(self._metric_names)]
        fault = fault_of(self._metric_names, newest, self.outliers.large, lambda: self.state)
        if fault is None:
            self._flat = self._before = None
            self.health.in_a_row = 0
            self._sums += values
            self._count += 1
            self._published = self._split(newest), self.updates
            return
        if self._diverged is None and self.health.undid(*self._updated_at, fault):
            self._diverged = f"learning diverged: {fault} after step {self._updated_at[0]}; {self.advice}"
        if self._diverged is not None:
            raise DivergedError(self._diverged)
        self.state, self._flat, self._before = self._before, None, None
        self._set_outliers_aside()
        if self.source is not None:
            self.source.clear()

    @property
    def advice(self) -> str:
        """What to do when learning diverged."""
        n, rows = self.agent.spec.observation_dim, self.replay.rows[: len(self.replay)]
        paid = max(map(abs, self.health.bounds.rewards))
        return advice.against_divergence(self.agent.requirements, paid, advice.largest(rows[:, :n]))

    def _set_outliers_aside(self) -> None:
        if not len(self.replay):
            return
        with self._sharing:
            found = self.outliers.set_aside()
        if found:
            self.health.set_aside(found, len(self.outliers.pairs), self.steps, self.episodes)

    @property
    def _looks_again(self) -> bool:
        """Whether to check all of replay now: an outlier may be visible only among later transitions."""
        return self.steps == self.first_update or self.steps & (self.steps - 1) == 0

    def _look_for_outliers(self, row: np.ndarray) -> None:
        """Set outliers aside: the newest row, or any that a check of all rows finds."""
        _ = self.policy  # finishes the update before, whose notices come first
        self.health.see_clipped(row, self.steps, self.episodes)
        if self._looks_again or self.outliers.is_far(row):
            self._set_outliers_aside()

    def programs_called(self, step: float, diagnosed: bool) -> list[str]:
        """Return the names of the programs that steps up to `step` may call; diagnosed: whether metrics are written."""
        learns = bool(self.agent.requirements.updates_per_step) and step >= self.first_update
        called = {"update": learns, "diagnosis": diagnosed, "episode": learns}
        if self.source is not None:
            called |= dict.fromkeys(self.source.programs(), step >= self.source.first_fit)
        return [name for name, needed in called.items() if needed]

    @property
    def first_update(self) -> int:
        """The earliest step at which learning can begin."""
        return self.agent.requirements.first_update if self.logged is None else 1

    def begin_episode(self) -> None:
        """Start an episode: reset the exploration noise, and let the source decide who acts."""
        if self.source is not None:
            self.source.end_episode()  # closes an episode that was cut off
            self._note_what_source_noticed()
        self.episodes += 1
        self.memory = self._memory_at_first(self.episodes)
        if self.source is not None:
            self.source.begin_episode(self.episodes)

    def _memory_at_first(self, episode: int) -> np.ndarray:
        """Return the memory of the exploration noise with which an episode begins."""
        key = episode_key(self._root_data, episode, self._key_kind)
        return np.asarray(self.agent.begin(self.state, key))

    @property
    def actor(self) -> str:
        """Who chooses the next action: "random" (warm-up), "planner" or "policy"."""
        if self.steps < self.warmup_steps:
            return "random"
        return "planner" if self.source is not None and self.source.planner_acts else "policy"

    def act(self, observation: np.ndarray, state: ArrayLike = (), again: bool = False) -> np.ndarray:
        """Return the exploring action [m] in [-1, 1] for an observation [n], and advance the noise.

        state: the environment's state [state_dim], if it is recorded.  again: draw the noise only; the action is known.
        Raises DivergedError where the action is not finite.
        """
        if self.steps < self.warmup_steps:
            self.acting_version = self._published[1]
            return self.agent.spec.random(self.noise_generator)
        noise = self.noise_generator.standard_normal(self.agent.spec.action_dim, np.float32)
        policy, self.acting_version = self.published
        if self.source is not None and self.source.planner_acts:
            return noise if again else self._finite(self.source.override(observation, state, noise))
        action, self.memory = self.agent.explore(policy, self.memory, observation, noise)
        return np.asarray(action) if again else self._finite(action)

    def explore(self, observation: np.ndarray) -> np.ndarray:
        """Return an exploring action [m] with noise from a separate process, so that learning is unaffected."""
        noise = self._looking_generator.standard_normal(self.agent.spec.action_dim, np.float32)
        action, self._looking_memory = self.agent.explore(self.policy, self._looking_memory, observation, noise)
        return self._finite(action)

    def greedy(self, observation: np.ndarray) -> np.ndarray:
        """Return greedy actions [..., m] in [-1, 1] for observations [..., n]."""
        return self._finite(self.agent.greedy(self.policy, observation))

    def _finite(self, actions: Array) -> np.ndarray:
        """Return actions, or raise DivergedError where one is NaN: clipping would hide it."""
        return finite_actions(actions, self.agent.spec.name, self.steps, self.agent.requirements)

    def learn(
        self, row: np.ndarray, last: bool, state: ArrayLike = (), next_state: ArrayLike = (), episode: int = 0
    ) -> bool:
        """Store one packed transition and run the updates that are due; return whether a model was fitted.

        last: the episode ended, by termination or by time-out.  state, next_state: the environment's state [state_dim]
            before and after the step, if it is recorded.  episode: its number.
        """
        requirements = self.agent.requirements
        with self._sharing:
            self.replay.add(row)
            self.reward_scaling.see(row, last, episode)
        self.steps += 1
        self.health.see(row, last, episode)
        if self.outliers.is_large(row) or (self.outliers.large and self._looks_again):
            with self.owed.paused():
                self._look_for_outliers(row)
        if requirements.rollout:
            self.owed.owe(self.steps % len(self.replay.rows) == 0)
        elif self.steps >= self.first_update and requirements.updates_per_step:
            self.owed.owe(1)
        self.owed.after_step(last)
        if self.source is None:
            return False
        fitted = self.source.observe(row, state, next_state, last, lambda: self.policy)
        self._note_what_source_noticed()
        return fitted

    def go_live(self) -> None:
        """From now on updates run when `update_after` says; before, as while a journal is learnt again, at each step."""
        if not self.owed.live:
            _ = self.policy  # ends an update that was started here
            self.owed.live = True

    def close(self) -> None:
        """End the thread of updates in the background, if there is one."""
        self.owed.close()

    def _note_what_source_noticed(self) -> None:
        assert self.source is not None
        for text in self.source.notices():
            self.health.note(self.steps, self.episodes, "outlier", text)

    def run_update(self) -> None:
        """Start one compiled call: l I minibatch updates on imagined transitions, then I on real ones.

        Reading `policy` waits for the result.  On-policy agents update on the rollout instead.
        """
        _ = self.policy  # accounts for the update before: counts its metrics, or undoes it
        requirements = self.agent.requirements
        if requirements.rollout:
            # a copy, since the next transitions arrive while it is used
            rows = self.replay.rows.reshape(requirements.rollout, requirements.worlds, -1).copy()
        else:
            rows = self._minibatches()
        self.reward_scaling.apply(rows)
        self._before, self._updated_at = self.state, (self.steps, self.episodes)
        bounded = self.reward_scaling.bounded(self.state, self.health.bounds)
        self.state, self._flat = self._update(bounded, rows, np.uint32(self.updates))
        self.updates += 1
        self.minibatches += len(rows) if not requirements.rollout else requirements.updates_per_step

    def _minibatches(self) -> np.ndarray:
        """Return packed minibatches [I or (1 + l) I, B, width]."""
        requirements = self.agent.requirements
        shape, draws = (requirements.updates_per_step, requirements.batch_size), self.sample_generator
        logged, real = self.logged, self.replay
        with self._sharing:
            rows = real.sample(draws, shape) if logged is None else logged.mixed(real, draws, *shape)
        if self.source is not None and self.steps:
            others = self.source.minibatches(requirements.updates_per_step, requirements.batch_size)
            rows = rows if others is None else np.concatenate([others, rows])
        return rows

    def metrics(self) -> dict[str, float] | None:
        """Return the mean of each metric since the last call, with a diagnosis of the state.

        Returns None if nothing was learnt.  Numbers that are not finite are left out.
        """
        with self.owed.paused():
            return self._metrics()

    def _metrics(self) -> dict[str, float] | None:
        policy = self.policy
        if not self._count:
            return None
        size = len(self.replay)
        sampled = np.linspace(0, size - 1, self._diagnosed).astype(int)  # old and new ones, without a random draw
        diagnosis = {k: float(v) for k, v in self._diagnose(self.state, self.replay.rows[sampled]).items()}
        means = dict(zip(self._metric_names, (self._sums / self._count).tolist(), strict=True))
        self._sums, self._count = np.zeros(len(self._metric_names)), 0
        counts = {"step": self.steps, "updates": self.minibatches}
        newest = self.replay.newest(METRICS_EVERY)
        others = {"exploration": exploration(self.agent, policy, newest), "episode": self.episodes}
        others |= {} if self.logged is None else {"logged_share": self.logged.share(self.steps)}
        others |= self.reward_scaling.metrics
        row = counts | means | diagnosis | others
        now = symptoms(self.agent, policy, self.state, self.replay.rows[sampled], len(self.outliers.pairs))
        row |= self.health.judge(row, now, self.reward_scaling.value)
        row |= {} if self.source is None else self.source.metrics()
        return {name: value for name, value in row.items() if np.isfinite(value)}

    def sound(self, arrays: dict[str, Any]) -> bool:
        """Return whether a snapshot's arrays, and the policy's actions on the newest observations, are finite."""
        if not within((arrays["state"], arrays["memory"])):
            return False
        seen = self.replay.newest(8)[:, : self.agent.spec.observation_dim]
        with np.errstate(all="ignore"):
            return not len(seen) or bool(np.isfinite(self.agent.greedy(self._published[0], seen)).all())

    def acting(self) -> tuple[int, Any, Any]:
        """Return the state that `begin_episode` and `act` change, for `rewind`."""
        return self.episodes, self.memory, self.noise_generator.bit_generator.state

    def rewind(self, acting: tuple[int, Any, Any]) -> None:
        """Undo `begin_episode` and `act` since `acting` was taken; what they drew will be drawn again."""
        self.episodes, self.memory, self.noise_generator.bit_generator.state = acting

    def snapshot(self, acting: tuple[int, Any, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return (arrays, facts); replay is in the journal.  acting: the result of an earlier `acting()` to save."""
        _ = self.policy
        episodes, memory, noise = self.acting() if acting is None else acting
        facts = {
            "steps": self.steps,
            "episodes": episodes,
            "updates": self.updates,
            "minibatches": self.minibatches,
            "owed": self.owed.count,
            "noise_generator": noise,
            "sample_generator": self.sample_generator.bit_generator.state,
            "metric_sums": self._sums.tolist(),
            "metric_count": self._count,
            "health": self.health.facts(),
            "set_aside": [list(pair) for pair in self.outliers.pairs],
        } | self.reward_scaling.facts()
        if self.logged is not None:
            facts["logged"] = self.logged.snapshot()
        arrays = {"state": jax.tree.map(np.asarray, self.state), "memory": memory}
        if self.source is not None:
            others, known = self.source.snapshot()
            arrays |= {SOURCE_PREFIX + name: value for name, value in others.items()}
            facts |= known
        return arrays, facts

    def restore(self, arrays: dict[str, Any], facts: dict[str, Any], rows: np.ndarray) -> None:
        """Restore a snapshot; rows: its experience, packed [steps, width].  Raises ValueError where it does not fit."""
        self.state = jax.tree.map(jnp.asarray, arrays["state"])
        self.memory = arrays["memory"]
        self.noise_generator.bit_generator.state = facts["noise_generator"]
        self.sample_generator.bit_generator.state = facts["sample_generator"]
        for name in ("steps", "episodes", "updates", "minibatches"):
            setattr(self, name, facts[name])
        self.owed.count = facts["owed"]
        self._sums, self._count = np.asarray(facts["metric_sums"], float), facts["metric_count"]
        if self._sums.shape != (len(self._metric_names),):
            raise ValueError(f"{len(self._sums)} metric_sums of {len(self._metric_names)} metrics")
        self._flat, self._published = None, (self._split(np.asarray(self._pack(self.state))), self.updates)
        self.health.restore(facts.get("health"), rows)
        self.outliers.restore(facts.get("set_aside", []), rows)
        self.replay.extend(rows)
        self.reward_scaling.restore(facts)
        if self.logged is not None:
            self.logged.restore(facts["logged"])
        if self.source is not None:
            others = {k.removeprefix(SOURCE_PREFIX): v for k, v in arrays.items() if k.startswith(SOURCE_PREFIX)}
            self.source.restore(others, facts)
            self.source.begin_episode(self.episodes)
