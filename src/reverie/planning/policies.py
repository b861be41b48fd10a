"""Policies that follow plans in real environments: one plan for the whole episode, or a new plan at each step."""

import collections
import functools
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from reverie.control import ilqg, mpc
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.seeds import EVALUATE, seed_of
from reverie.core.status import Status
from reverie.core.words import count
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import make_env
from reverie.environments.simulator import simulate, state_of
from reverie.planning.problem import PlanningProblem

BOUNDED_OPTIONS = ilqg.Options(low=-1.0, high=1.0, regularisation=0.01)  # a λ for small costs, as the domains have
STAGES = (0.27, 0.4, 0.53, 0.67)  # shares of the horizon that are planned before the whole horizon
STAGE_ITERATIONS = 15
AMPLITUDE = 0.05  # of first actions. With zero actions an equilibrium (a hanging pole) would have a zero gradient.


class EpisodeStart:
    """The start of evaluation episode `episode`: its first state `x`, and the problem to plan with.

    source: the environment, as `make_env` takes it.  seed: of the run.  steps: length of the episode; None: until its
    time limit.  Raises ConfigError where the environment is not MuJoCo's, or where its length is not known.
    """

    def __init__(self, source: str, seed: int, episode: int = 0, steps: int | None = None):
        self.source, self.seed, self.episode = source, seed, episode
        number = seed_of(seed, EVALUATE, episode)
        self.planning = PlanningProblem(simulate(lambda: make_env(source), number))
        world = make_env(source)
        self.steps, self._cut = _length(world, steps), steps is not None
        world.reset(number)
        self.x = state_of(world)
        world.close()

    def make(self, **options: Any) -> EnvAdapter:
        """Return a new environment for the episode.  options: as `make_env` takes them."""
        world = make_env(self.source, **options)
        return EnvAdapter(gym.wrappers.TimeLimit(world.env, self.steps), world.name) if self._cut else world


def _length(world: EnvAdapter, steps: int | None) -> int:
    """Return the number of steps of an episode, at most `steps`.  Raises ConfigError where it is not known."""
    inner: Any = world.env.unwrapped
    spec = world.env.spec
    own = getattr(inner, "horizon", None) or (None if spec is None else spec.max_episode_steps)
    if own is None:
        if steps is None:
            raise ConfigError(f"{world.name} has no time-out; say with --horizon how many steps to plan")
        return steps
    if steps is not None and steps > own:
        raise ConfigError(f"--horizon {steps} is longer than an episode of {world.name}, {count(own, 'step')}")
    return steps or own


class PlanPolicy:
    """A policy that acts on the environment's state. `play` and videos call `make` and `greedy`.

    start: the start of the episode.
    """

    def __init__(self, start: EpisodeStart):
        self.start = start
        self._world: EnvAdapter | None = None
        self._t = 0

    def make(self, **options: Any) -> EnvAdapter:
        """Return a new environment for one episode, in which `greedy` acts next.  options: as `make_env` takes them."""
        self._world, self._t = self.start.make(**options), 0
        return self._world

    def greedy(self, observation: np.ndarray) -> np.ndarray:
        """Return the action [m] in [-1, 1] for the environment's current state. The observation is not used."""
        del observation
        assert self._world is not None
        action = self.decide(state_of(self._world), self._t)
        self._t += 1
        return action

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return the action [m] in [-1, 1] for state x at step t."""
        raise NotImplementedError


class FeedbackPolicy(PlanPolicy):
    """Follows a plan for the whole episode, with its feedback gains."""

    def __init__(self, start: EpisodeStart, plan: ilqg.Plan):
        super().__init__(start)
        self._plan = plan

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return the action û + K (x - x̂) [m] for state x at step t, clipped to [-1, 1]."""
        plan = self._plan
        away = self.start.planning.simulator.difference(plan.states[t], x)
        return (plan.actions[t] + plan.K[t] @ away).clip(-1.0, 1.0)


def replan(
    settings: mpc.MPCOptions,
    planning: PlanningProblem,
    x: np.ndarray,
    t: int,
    steps: int,
    memory: mpc.Memory,
    quick: bool = False,
) -> mpc.MPCStep:
    """Return the step of model predictive control in state x, at step t of an episode of `steps`.

    settings: of MPC.  planning: the problem to plan with.  memory: what the previous step returned.
    quick: search with fewer rollouts, as `ilqg.solve_on_host` does.
    """

    def problem_at(t: int, length: int) -> ilqg.Problem:
        del t
        return ilqg.padded(planning.problem, length)

    def away(x: np.ndarray, x_hat: np.ndarray) -> np.ndarray:
        return planning.simulator.difference(x_hat, x)

    return mpc.act(settings, functools.partial(ilqg.solve_on_host, quick=quick), problem_at, x, t, steps, memory, away)


class MPCPolicy(PlanPolicy):
    """Makes a new plan at each step; the first plan is made by `plan_ahead`.

    start: the start of the episode.  settings: of MPC.  seed: of first actions.
    watch: called after each step with the number of steps taken.
    `seconds`: time that planning took at each step, s.  `statuses`: how often each status occurred.
    """

    def __init__(
        self, start: EpisodeStart, settings: mpc.MPCOptions, seed: int, watch: Callable[[int], object] = lambda t: None
    ):
        super().__init__(start)
        self._settings, self._seed, self._watch = settings, seed, watch
        self.seconds: list[float] = []
        self.statuses: collections.Counter[Status] = collections.Counter()

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return the first action [m] of a new plan from state x at step t."""
        began, planning = time.perf_counter(), self.start.planning
        if t == 0:
            first = plan_ahead(planning, x, self._settings.horizon, self._settings.first_iterations, self._seed)
            self._memory = mpc.begin(first.actions)
            self.seconds.clear()
            self.statuses.clear()
        move = replan(self._settings, planning, x, t, self.start.steps, self._memory)
        self._memory = move.memory
        self.statuses[move.status] += 1
        self.seconds.append(time.perf_counter() - began)
        self._watch(t + 1)
        return move.action


Watch = Callable[[int, dict[str, float]], None]  # (steps planned for, row of the trace)


def first_actions(steps: int, action_dim: int, seed: int) -> np.ndarray:
    """Return small Gaussian noise [steps, m] as the first actions of a search for a plan."""
    return AMPLITUDE * np.random.default_rng(seed).standard_normal((steps, action_dim))


def plan_episode(start: EpisodeStart, iterations: int, seed: int, watch: Watch = lambda steps, row: None) -> ilqg.Plan:
    """Return a plan for the whole episode.  The arguments are those of `plan_ahead`."""
    return plan_ahead(start.planning, start.x, start.steps, iterations, seed, watch)


def plan_ahead(
    planning: PlanningProblem,
    x: np.ndarray,
    steps: int,
    iterations: int,
    seed: int,
    watch: Watch = lambda steps, row: None,
) -> ilqg.Plan:
    """Return a plan of `steps` steps from state x.

    planning: the problem.  iterations: most line searches over all steps for the plan that is returned.
    seed: of first actions.  watch: called with (steps planned, row of the trace) at each line search.

    Two searches are begun, and the better one is continued. The first plans all steps at once from `first_actions`, so
    it sees the whole task. The second plans a quarter of the steps, then more, each time from the last plan. It is
    needed because late steps may ask for momentum that early steps do not need: planned at once, the cart-pole's pole
    goes round several times.
    """
    raise_if_interrupted()
    few = min(iterations, STAGE_ITERATIONS)
    noise = first_actions(steps, planning.simulator.action_dim, seed)
    at_once = _solve(planning, steps, x, noise, few, watch)
    actions = noise
    for length in sorted({max(1, round(share * steps)) for share in STAGES} - {steps}):
        plan = _solve(planning, length, x, actions, few, watch)
        if plan.usable:
            actions = plan.actions
    grown = _solve(planning, steps, x, actions, few, watch)
    best = min(at_once, grown, key=lambda plan: plan.cost if plan.usable else np.inf)
    if best.status != Status.MAX_ITERATIONS or few == iterations:
        return best
    return _solve(planning, steps, x, best.actions, iterations - few, watch, best.regularisation)


def _solve(
    planning: PlanningProblem,
    length: int,
    x: np.ndarray,
    actions: np.ndarray,
    iterations: int,
    watch: Watch,
    regularisation: float | None = None,
) -> ilqg.Plan:
    def seen(row: dict[str, float]) -> None:
        raise_if_interrupted()
        watch(length, row)

    return ilqg.solve_on_host(
        ilqg.padded(planning.problem, length),  # padded to all steps: all lengths share one compiled program
        x,
        actions,
        BOUNDED_OPTIONS,
        watch=seen,
        regularisation=regularisation,
        iterations=iterations,
    )
