"""Model predictive control: plan anew at each step of an episode, act on the first control of the plan.

Gu et al. 2016, table 2 (which gives neither horizon nor iterations).  A plan begins from the last one shifted by a step,
its last control repeated, and from its λ; all plans have the same arrays, so that nothing compiles twice.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reverie.control import shapes
from reverie.control.ilqg import Plan
from reverie.control.ilqg_step import DEFAULT_OPTIONS, Options
from reverie.control.problem import Problem
from reverie.core.argument_checks import whole
from reverie.core.errors import ConfigError
from reverie.core.status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPCOptions:
    """Settings of model predictive control."""

    horizon: int = 50
    """Steps planned ahead at most."""
    first_iterations: int = 20
    """Line searches of the first plan of an episode."""
    iterations: int = 3
    """Line searches of each plan after it."""
    options: Options = DEFAULT_OPTIONS
    """Of iLQG; iterations and λ are set here."""

    def __post_init__(self) -> None:
        for name in ("horizon", "first_iterations", "iterations"):
            whole(name, getattr(self, name), 1)


class Memory(NamedTuple):
    """What one step leaves to the next."""

    plan: Plan | None  # the last usable one
    age: int  # steps since it was made
    actions: np.ndarray  # [H, m], where the next plan begins


class MPCStep(NamedTuple):
    """A step's action, the plan behind it, and how this step's planning ended."""

    action: np.ndarray  # [m]
    plan: Plan | None
    status: Status
    memory: Memory


def begin(actions) -> Memory:
    """Return the memory at the start of an episode, with first controls [H, m]."""
    return Memory(None, 0, np.array(shapes.fit("mpc.begin", U0=actions)[0], np.float64))


def act(
    settings: MPCOptions,
    solve: Callable[..., Plan],
    problem_at: Callable[[int, int], Problem],
    x,
    t: int,
    steps: int,
    memory: Memory,
    difference: Callable[[Any, Any], Any] = np.subtract,
) -> MPCStep:
    """Return the action at state x [n], step t of an episode of `steps`.

    solve: `ilqg.solve` or `ilqg.solve_on_host`.  problem_at(t, length): the problem from step t on, of which `length`
    steps count (see `problem` and `padded`).  Where planning fails the last usable plan is followed, and where there
    is none its first controls; difference(x, x̂) is for states that are no vectors.  Status: the solver's.
    """
    if whole("mpc.act: t", t) >= whole("mpc.act: steps", steps, 1):
        raise ConfigError(f"mpc.act: t = {t} is no step of an episode of {steps}")
    most = max(settings.first_iterations, settings.iterations)
    options = dataclasses.replace(settings.options, iterations=most)  # one number, so that all plans are one program
    iterations, regularisation = settings.first_iterations, options.regularisation
    if memory.plan is not None:
        iterations = settings.iterations
        if memory.plan.status != Status.REGULARISATION_LIMIT:  # whose λ would end the next search at once
            regularisation = memory.plan.regularisation
    problem = problem_at(t, min(settings.horizon, steps - t))
    plan = solve(problem, x, memory.actions, options, regularisation=regularisation, iterations=iterations)
    if plan.usable:
        action = plan.actions[0]  # as rolled out; û_0 + k_0 would be one step further, which nothing has tried
        return MPCStep(action, plan, plan.status, Memory(plan, 1, _shifted(plan.actions)))
    kept, age = memory.plan, memory.age
    action = memory.actions[0]
    if kept is not None and age < len(kept.actions):
        action = kept.actions[age] + kept.K[age] @ difference(x, kept.states[age])
    return MPCStep(_bounded(action, options), kept, plan.status, Memory(kept, age + 1, _shifted(memory.actions)))


def _shifted(actions):
    return np.concatenate([actions[1:], actions[-1:]])


def _bounded(action, options: Options):
    low = -np.inf if options.low is None else options.low
    return np.clip(action, low, np.inf if options.high is None else options.high)
