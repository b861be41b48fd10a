"""iLQG: local optimal control of given dynamics and costs.  Todorov & Li 2005; λ as in Tassa et al. 2012.

Each iteration improves a trajectory (x̂, û):

1. A backward pass with Q_uu + λ I gives gains K, k (within a box, if there are bounds).
2. 11 rollouts of u = û + α k + K (x - x̂) are made at once. The best is taken if its cost falls as predicted.
3. λ falls after a step that was taken. It rises after one that was not, and if Q_uu + λ I is not positive definite.

`solve` runs as one compiled loop, for problems of JAX functions. `solve_on_host` is for all other problems. Both use
the steps of `ilqg_step`.

Where we differ from these papers:

| subject             | here                                                       | there                            |
|---------------------|------------------------------------------------------------|----------------------------------|
| Hessian of the cost | projected to be positive semidefinite, over (x, u) jointly | not projected                    |
| `tolerance`         | relative to 1 + abs(J)                                     | absolute, 1e-7                   |
| returned gains      | about the returned trajectory                              | about the trajectory before it   |
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from reverie.control import ilqg_step as steps
from reverie.control import shapes
from reverie.control.ilqg_problem import Expansion, Problem, padded, problem
from reverie.control.ilqg_step import DEFAULT_OPTIONS, RUNNING, TRACE, Options, SearchState
from reverie.core.status import Status
from reverie.maths.array_arguments import array
from reverie.maths.array_types import Array, Numbers
from reverie.maths.precision import double


class Plan(NamedTuple):
    """A trajectory, the controller u = û + k + K (x - x̂) about it, and how the search went."""

    states: Float[np.ndarray, "T+1 x"]  # x̂
    actions: Float[np.ndarray, "T m"]  # û
    K: Float[np.ndarray, "T m n"]
    k: Float[np.ndarray, "T m"]
    Quu: Float[np.ndarray, "T m m"]  # positive definite; regularised only where it is needed
    cost: float  # J
    status: Status
    iterations: int  # line searches
    passes: int  # backward passes
    repairs: int  # backward passes that found some Q_uu + λ I not positive definite
    regularisation: float  # λ at the end; a plan for the next step should begin with it
    # A row for each iteration: J, λ, α (0: no step taken), fall of J, expected fall, mean max |k| / (|u| + 1).
    trace: Float[np.ndarray, "_ 6"]

    @property
    def usable(self) -> bool:
        """Whether the plan has a trajectory and gains about it, converged or not."""
        return self.status not in (Status.INITIAL_DIVERGED, Status.NONFINITE_MODEL, Status.NOT_POSITIVE_DEFINITE)


_Iteration: TypeAlias = tuple[
    SearchState, steps.LocalModel, steps.Gains, Float[jax.Array, "_ 6"]
]  # the last: the trace


def _first(
    U0: Float[Array, "T m"], gains: steps.Gains, x0: Float[Array, "x"], options: Options
) -> tuple[Float[Array, "T+1 x"], Float[Array, "T m"], Float[Array, "T m n"], Float[Array, "T m"], Float[Array, "S"]]:
    """Return the arguments of the first rollouts: actions α U0 from x0, without feedback."""
    x_hat = np.zeros((len(U0) + 1, *x0.shape), x0.dtype) + x0
    return x_hat, gains.k, gains.K, U0, np.asarray(options.alphas, U0.dtype)


def optimise(
    problem: Problem,
    x0: Numbers,
    U0: Numbers,
    regularisation: Float[ArrayLike, ""],
    limit: Int[ArrayLike, ""],
    options: Options,
) -> tuple[SearchState, Float[Array, "T m n"], Float[Array, "T m"], Float[Array, "T m m"], Float[Array, "_ 6"]]:
    """Run the whole search of `solve` in one loop.  Pure; can be mapped.

    Returns (search, K, k, Quu, trace).  x0: first state [n].  U0: first actions [T, m].  regularisation: first λ.
    limit: most line searches, up to options.iterations.  Raises SpaceError where shapes do not fit.
    """
    x0, U0 = shapes.fit("ilqg.optimise", x0=x0, U0=U0)

    def line_search(search: SearchState, gains: steps.Gains, trace: jax.Array) -> tuple[SearchState, jax.Array]:
        alphas = jnp.asarray(options.alphas, gains.k.dtype)
        X, U, J = problem.rollout(search.states, search.actions, gains.K, gains.k, alphas)
        after, row = steps.choose(search, gains, X, U, J, options)
        return after, trace.at[search.iterations].set(row)

    def iterate(state: _Iteration) -> _Iteration:
        search, local, _, trace = state
        derive = lambda: steps.localise(problem.expand(search.states, search.actions), options)  # noqa: E731
        local = jax.lax.cond(search.needs_expansion, derive, lambda: local)
        gains = steps.sweep(local, search.actions, search.regularisation, options)
        search = steps.judge(search, local, gains, options)
        going = gains.positive & ~search.finished
        search, trace = jax.lax.cond(going, lambda: line_search(search, gains, trace), lambda: (search, trace))
        return search, local, gains, trace

    local, gains = steps.nothing_yet(len(U0), x0.shape[0], U0.shape[1], U0.dtype)
    X, U, J = problem.rollout(*_first(U0, gains, x0, options))
    search = steps.start(X, U, J, regularisation, limit, options)
    trace = jnp.zeros((options.iterations, len(TRACE)), J.dtype)
    state = search, local, gains, trace
    search, _, gains, trace = jax.lax.while_loop(lambda state: ~state[0].finished, iterate, state)
    return search, gains.K, gains.k, steps.definite(gains.Quu, search.regularisation), trace


_optimise = double(optimise, static_argnames="options")


def solve(
    problem: Problem,
    x0: Numbers,
    U0: Numbers,
    options: Options = DEFAULT_OPTIONS,
    regularisation: float | None = None,
    iterations: int | None = None,
) -> Plan:
    """Return a plan for a problem of JAX functions.

    x0: first state [n].  U0: first actions [T, m].  regularisation: first λ instead of the options'.
    iterations: most line searches instead of the options', and not more than these.

    Status: CONVERGED_GRADIENT, CONVERGED_COST, MAX_ITERATIONS, REGULARISATION_LIMIT, NOT_POSITIVE_DEFINITE,
    INITIAL_DIVERGED or NONFINITE_MODEL.  Raises SpaceError where shapes do not fit.
    Source: Todorov & Li 2005; Tassa et al. 2012.
    """
    first, limit = _first_and_limit(options, regularisation, iterations)
    x0, U0 = _begun("ilqg.solve", x0, U0, options)
    search, K, k, Quu, trace = _optimise(problem, x0, U0, first, limit, options)
    return _plan(search, K, k, Quu, trace[: search.iterations])


def _begun(
    where: str, x0: Numbers, U0: Numbers, options: Options
) -> tuple[Float[np.ndarray, "x"], Float[np.ndarray, "T m"]]:
    """Return (x0, U0) as float64.  Raises SpaceError where their shapes, or those of bounds, do not fit."""
    x0, U0 = (np.asarray(part, np.float64) for part in shapes.fit(where, x0=x0, U0=U0))
    ends = (("low", options.low), ("high", options.high))
    shapes.fit(where, U0=U0, **{name: end for name, end in ends if end is not None and np.ndim(end)})
    return x0, U0


def _arrays(found: Any) -> Any:
    """Return what a user's problem returned, with lists converted to arrays."""
    parts = [array("ilqg.solve_on_host: the problem's", part) for part in found]
    return type(found)(*parts) if hasattr(found, "_fields") else parts


def _first_and_limit(options: Options, regularisation: float | None, iterations: int | None) -> tuple[float, int]:
    first = options.regularisation if regularisation is None else regularisation
    return first, options.iterations if iterations is None else min(iterations, options.iterations)


def _plan(
    search: SearchState,
    K: Float[Array, "T m n"],
    k: Float[Array, "T m"],
    Quu: Float[Array, "T m m"],
    trace: Float[Array, "_ 6"],
) -> Plan:
    return Plan(
        states=np.asarray(search.states),
        actions=np.asarray(search.actions),
        K=np.asarray(K),
        k=np.asarray(k),
        Quu=np.asarray(Quu),
        cost=float(search.cost),
        status=Status(int(search.status)),
        iterations=int(search.iterations),
        passes=int(search.passes),
        repairs=int(search.repairs),
        regularisation=float(search.regularisation),
        trace=np.asarray(trace),
    )


QUICK = 0.5  # share of the predicted fall of J from which a quick search takes a step, and tries no shorter one

_localise_d = double(steps.localise, static_argnums=1)
_sweep_d = double(steps.sweep, static_argnums=3)
_judge_d = double(steps.judge, static_argnums=3)
_choose_d = double(steps.choose, static_argnums=5)
_start_d = double(steps.start, static_argnums=5)
_definite_d = double(steps.definite)


def solve_on_host(
    problem: Problem,
    x0: Numbers,
    U0: Numbers,
    options: Options = DEFAULT_OPTIONS,
    watch: Callable[[dict[str, float]], None] | None = None,
    regularisation: float | None = None,
    iterations: int | None = None,
    clock: Callable[[], float] | None = None,
    seconds: float = float("inf"),
    quick: bool = False,
) -> Plan:
    """Return a plan as `solve` does, for a problem of any functions. These are called from Python.

    watch: called with each row of the trace, as a dict by name.  clock: returns the time in seconds. If it is given,
    the search ends with status TIME_BUDGET after `seconds`.  quick: fewer rollouts and expansions. The first step
    that brings half of the predicted fall of J is taken, so shorter ones are not tried. The returned gains are those of
    the last pass, about the trajectory before the last step. The other arguments and errors are those of `solve`.
    """
    first, limit = _first_and_limit(options, regularisation, iterations)
    x0, U0 = _begun("ilqg.solve_on_host", x0, U0, options)
    end = float("inf") if clock is None else clock() + seconds
    n = x0.shape[0] if problem.tangent is None else problem.tangent
    local, gains = steps.nothing_yet(len(U0), n, U0.shape[1], np.float64)
    search, trace = _begin_search(problem, x0, U0, gains, first, limit, options, quick), []
    while not search.finished:
        if search.needs_expansion:
            local = _localise_d(_arrays(problem.expand(search.states, search.actions)), options)
        gains = _sweep_d(local, search.actions, search.regularisation, options)
        search = _judge_d(search, local, gains, options)
        if gains.positive and not search.finished:
            search, row = _line_search(problem, search, gains, options, quick)
            trace.append(row)
            if watch is not None:
                watch(dict(zip(TRACE, map(float, row), strict=True)))
        if clock is not None and search.status == RUNNING and clock() >= end:
            search = search._replace(status=np.int32(Status.TIME_BUDGET))
        if quick and search.iterations and search.status != RUNNING:
            break
    Quu = _definite_d(gains.Quu, search.regularisation)
    return _plan(search, gains.K, gains.k, Quu, np.array(trace).reshape(-1, len(TRACE)))


def _begin_search(
    problem: Problem,
    x0: Float[np.ndarray, "x"],
    U0: Float[np.ndarray, "T m"],
    gains: steps.Gains,
    regularisation: float,
    limit: int,
    options: Options,
    quick: bool,
) -> SearchState:
    """Return the search that begins with first actions.  quick: shorter ones are rolled out only if these diverge."""
    x_hat, u_hat, K, k, alphas = _first(U0, gains, x0, options)
    if quick:
        X, U, J = _filled(_arrays(problem.rollout(x_hat, u_hat, K, k, alphas[:1])), len(alphas))
        begun = _start_d(X, U, J, regularisation, limit, options)
        if not begun.finished:
            return begun
    X, U, J = _arrays(problem.rollout(x_hat, u_hat, K, k, alphas))
    return _start_d(X, U, J, regularisation, limit, options)


def _filled(found: Any, number: int) -> Any:
    """Return (X, U, J) of some rollouts as those of `number`. Those added have no finite cost, so none is chosen."""
    X, U, J = found
    more = number - len(J)
    X, U = (np.concatenate([part, np.repeat(part[:1], more, axis=0)]) for part in (X, U))
    return X, U, np.concatenate([J, np.full(more, np.inf)])


def _line_search(
    problem: Problem, search: SearchState, gains: steps.Gains, options: Options, quick: bool
) -> tuple[SearchState, Float[Array, "6"]]:
    """Return (the search after a line search, its row of the trace).  quick: as in `solve_on_host`."""
    alphas = np.asarray(options.alphas)

    def roll(alphas: Float[np.ndarray, "S"]) -> Any:
        return _arrays(problem.rollout(search.states, search.actions, gains.K, gains.k, alphas))

    if not quick:
        X, U, J = roll(alphas)
        return _choose_d(search, gains, X, U, J, options)
    tried: list[Any] = []
    for alpha in alphas:
        tried.append(roll(np.array([alpha])))
        fall, expected = search.cost - tried[-1][2][0], -alpha * (gains.linear + alpha * gains.quadratic)
        if expected > 0 and fall >= QUICK * expected:  # NaN compares false
            break
    X, U, J = _filled([np.concatenate(parts) for parts in zip(*tried, strict=True)], len(alphas))
    return _choose_d(search, gains, X, U, J, options)


__all__ = ["Expansion", "Options", "Plan", "Problem", "optimise", "padded", "problem", "solve", "solve_on_host"]
