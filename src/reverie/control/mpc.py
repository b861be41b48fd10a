"""Model predictive control: make a new plan at each step of an episode, and take its first action.

Source: Gu et al. 2016, table 2 (it gives neither horizon nor iterations). The search for a plan begins with the actions
of the last plan, shifted by one step with the last action repeated, and with its λ. All plans have arrays of the same
shape, so that nothing is compiled twice.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from reverie.control import shapes
from reverie.control.ilqg import Plan
from reverie.control.ilqg_problem import Problem
from reverie.control.ilqg_step import DEFAULT_OPTIONS, Options
from reverie.core.argument_checks import whole
from reverie.core.errors import ConfigError
from reverie.core.setting_names import KnownNames
from reverie.core.status import Status
from reverie.maths.array_types import Numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPCOptions(KnownNames):
    """Settings of model predictive control."""

    horizon: int = 50
    """Most steps that a plan looks ahead."""
    first_iterations: int = 20
    """Most line searches for the first plan of an episode."""
    iterations: int = 3
    """Most line searches for each later plan of an episode."""
    options: Options = DEFAULT_OPTIONS
    """Options of iLQG. Its iterations are replaced by those above, and its λ by that of the last plan."""

    def __post_init__(self) -> None:
        for name in ("horizon", "first_iterations", "iterations"):
            whole(name, getattr(self, name), 1)


class Memory(NamedTuple):
    """State of MPC between two steps."""

    plan: Plan | None  # the last usable plan
    age: int  # steps since it was made
    actions: Float[np.ndarray, "T m"]  # with which the next search begins


class MPCStep(NamedTuple):
    """Result of one step of MPC."""

    action: Float[np.ndarray, "m"]
    plan: Plan | None  # the plan that the action is from
    status: Status  # of the search in this step
    memory: Memory  # for the next step


class Solver(Protocol):
    """Searches for a plan: `ilqg.solve`, or `ilqg.solve_on_host`."""

    def __call__(
        self,
        problem: Problem,
        x0: Numbers,
        U0: Numbers,
        options: Options = ...,
        *,
        regularisation: float | None = None,
        iterations: int | None = None,
    ) -> Plan:
        """Return a plan from state x0. The search begins with actions U0."""
        ...


def begin(actions: Numbers) -> Memory:
    """Return the memory at the start of an episode.  actions: first actions [T, m].  Raises SpaceError."""
    return Memory(None, 0, np.array(shapes.fit("mpc.begin", U0=actions)[0], np.float64))


def act(
    settings: MPCOptions,
    solve: Solver,
    problem_at: Callable[[int, int], Problem],
    x: Numbers,
    t: int,
    steps: int,
    memory: Memory,
    difference: Callable[[Float[np.ndarray, "x"], Float[np.ndarray, "x"]], Float[np.ndarray, "n"]] = np.subtract,
) -> MPCStep:
    """Return the action for state x at step t of an episode of `steps` steps.

    solve: `ilqg.solve` or `ilqg.solve_on_host`.  problem_at(t, length): the problem from step t on, of which `length`
    steps count (as `problem` and `padded` make it).  x: [n].  memory: that of the last step, or `begin`.
    difference(x, x̂): x - x̂, for states that are not vectors.

    If planning fails, the last usable plan is followed. If there is none, the first actions are taken.  Status: that of
    the solver.  Raises ConfigError where t is not a step of the episode.
    """
    if whole("mpc.act: t", t) >= whole("mpc.act: steps", steps, 1):
        raise ConfigError(f"mpc.act: t = {t} is no step of an episode of {steps}")
    most = max(settings.first_iterations, settings.iterations)
    options = dataclasses.replace(settings.options, iterations=most)  # one value, so that plans share one program
    iterations, regularisation = settings.first_iterations, options.regularisation
    if memory.plan is not None:
        iterations = settings.iterations
        if memory.plan.status != Status.REGULARISATION_LIMIT:  # its λ would end the next search at once
            regularisation = memory.plan.regularisation
    problem = problem_at(t, min(settings.horizon, steps - t))
    plan = solve(problem, x, memory.actions, options, regularisation=regularisation, iterations=iterations)
    if plan.usable:
        action = plan.actions[0]  # û_0 as rolled out; û_0 + k_0 would be one more step, which was not rolled out
        return MPCStep(action, plan, plan.status, Memory(plan, 1, _shifted(plan.actions)))
    kept, age = memory.plan, memory.age
    action = memory.actions[0]
    if kept is not None and age < len(kept.actions):
        action = kept.actions[age] + kept.K[age] @ difference(np.asarray(x), kept.states[age])
    return MPCStep(_bounded(action, options), kept, plan.status, Memory(kept, age + 1, _shifted(memory.actions)))


def _shifted(actions: Float[np.ndarray, "T m"]) -> Float[np.ndarray, "T m"]:
    return np.concatenate([actions[1:], actions[-1:]])


def _bounded(action: Float[np.ndarray, "m"], options: Options) -> Float[np.ndarray, "m"]:
    low = -np.inf if options.low is None else options.low
    return np.clip(action, low, np.inf if options.high is None else options.high)
