"""Plans at work in real worlds: made once for a whole episode and followed, or made anew at each step."""

import collections
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from reverie.control import ilqg, mpc
from reverie.core.errors import ConfigError
from reverie.core.interrupts import look
from reverie.core.seeds import EVALUATE, seed_of
from reverie.core.status import Status
from reverie.core.words import count
from reverie.environments.env_adapter import EnvAdapter, make_env
from reverie.environments.simulator import simulate, state_of
from reverie.planning.problem import PlanningProblem

BOUNDED_OPTIONS = ilqg.Options(low=-1.0, high=1.0, regularisation=0.01)  # λ for costs as small as our domains'
STAGES = (0.27, 0.4, 0.53, 0.67)  # shares of the horizon planned for before the whole
STAGE_ITERATIONS = 15
AMPLITUDE = 0.05  # of first controls: where idling is an equilibrium, as in hanging, its gradient would vanish


class EpisodeStart:
    """The start of evaluation number `episode` of a seed: what to plan with, and from where.

    steps: of the episode, if not to its own time-out.  Raises ConfigError where the world is not MuJoCo's, or where there
    is no time-out.
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
        """Return the world for the episode."""
        world = make_env(self.source, **options)
        return EnvAdapter(gym.wrappers.TimeLimit(world.env, self.steps), world.name) if self._cut else world


def _length(world: EnvAdapter, steps: int | None) -> int:
    """Return the steps of an episode, `steps` at most."""
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
    """Drives worlds by their state; `make` and `greedy` are what `play` and films take."""

    def __init__(self, start: EpisodeStart):
        self.start = start
        self._world: EnvAdapter | None = None
        self._t = 0

    def make(self, **options: Any) -> EnvAdapter:
        """Return a world for one episode, to be driven next."""
        self._world, self._t = self.start.make(**options), 0
        return self._world

    def greedy(self, observation: np.ndarray) -> np.ndarray:
        """Return the action in the state that the world is in; the observation is not looked at."""
        del observation
        assert self._world is not None
        action = self.decide(state_of(self._world), self._t)
        self._t += 1
        return action

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return the action [m] in state x at step t."""
        raise NotImplementedError


class FeedbackPolicy(PlanPolicy):
    """Follows a plan, with its feedback."""

    def __init__(self, start: EpisodeStart, plan: ilqg.Plan):
        super().__init__(start)
        self._plan = plan

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return û + K (x - x̂)."""
        plan = self._plan
        away = self.start.planning.simulator.difference(plan.states[t], x)
        return (plan.actions[t] + plan.K[t] @ away).clip(-1.0, 1.0)


def replan(
    settings: mpc.MPCOptions, planning: PlanningProblem, x: np.ndarray, t: int, steps: int, memory: mpc.Memory
) -> mpc.MPCStep:
    """Return what model predictive control does in state x, at step t of an episode of `steps`."""

    def problem_at(t: int, length: int) -> ilqg.Problem:
        del t
        return ilqg.padded(planning.problem, length)

    def away(x: np.ndarray, x_hat: np.ndarray) -> np.ndarray:
        return planning.simulator.difference(x_hat, x)

    return mpc.act(settings, ilqg.solve_on_host, problem_at, x, t, steps, memory, away)


class MPCPolicy(PlanPolicy):
    """Plans anew at each step, at the first with `plan_ahead`.

    watch: called after each step.  `seconds`: what each step's planning took; `statuses`: how often it ended how.
    """

    def __init__(
        self, start: EpisodeStart, settings: mpc.MPCOptions, seed: int, watch: Callable[[int], object] = lambda t: None
    ):
        super().__init__(start)
        self._settings, self._seed, self._watch = settings, seed, watch
        self.seconds: list[float] = []
        self.statuses: collections.Counter[Status] = collections.Counter()

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return the first action of a new plan."""
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
    """Return little noise [steps, m] to begin a plan with."""
    return AMPLITUDE * np.random.default_rng(seed).standard_normal((steps, action_dim))


def plan_episode(start: EpisodeStart, iterations: int, seed: int, watch: Watch = lambda steps, row: None) -> ilqg.Plan:
    """Return a plan for the whole episode; see `plan_ahead`."""
    return plan_ahead(start.planning, start.x, start.steps, iterations, seed, watch)


def plan_ahead(
    planning: PlanningProblem,
    x: np.ndarray,
    steps: int,
    iterations: int,
    seed: int,
    watch: Watch = lambda steps, row: None,
) -> ilqg.Plan:
    """Return a plan from x: the better of two beginnings, taken on for `iterations` line searches at most.

    One plans for all steps at once from `first_actions`, which sees the whole task.  The other plans for a quarter of
    them, then for more, each from the last: planned for at once, far steps may ask for momentum that near ones have no
    use for (the cart-pole's pole goes round several times).
    """
    look()
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
        look()
        watch(length, row)

    return ilqg.solve_on_host(
        ilqg.padded(planning.problem, length),  # of all the steps, so that all lengths share one compiled program
        x,
        actions,
        BOUNDED_OPTIONS,
        watch=seen,
        regularisation=regularisation,
        iterations=iterations,
    )
