"""Model predictive control against the regulator, compiled once, and left with a plan when planning fails."""

import functools

import numpy as np
import pytest

from plants import functions, random_lqr, rolled
from reverie.control import ilqg, lqr, mpc
from reverie.control.ilqg import Options, Problem
from reverie.core.status import Status
from reverie.maths.precision import double

N, M, T = 3, 2, 50
SETTINGS = mpc.MPCOptions(horizon=T, first_iterations=4, iterations=2, options=Options(regularisation=0.0))
rollout, expand = (
    double(lambda problem, *rest, part=part: getattr(problem, part)(*rest)) for part in Problem._fields[:2]
)


def episode(task, solve, problem_at, settings=SETTINGS, steps=T):
    dynamics, _ = task
    x, memory, X, U, moves = np.ones(N), mpc.begin(np.zeros((settings.horizon, M))), [np.ones(N)], [], []
    for t in range(steps):
        move = mpc.act(settings, solve, problem_at, x, t, T, memory)
        x = dynamics.F[t] @ np.concatenate([x, move.action]) + dynamics.f[t]
        memory = move.memory
        X.append(x)
        U.append(move.action)
        moves.append(move)
    return np.array(X), np.array(U), moves


def best(task):
    found = lqr.solve(*task)
    return rolled(*task, lambda t, x: found.K[t] @ x + found.k[t], np.ones(N))


@pytest.fixture(scope="module")
def task():
    return random_lqr(np.random.default_rng(1), N, M, T)


def test_to_the_end_of_the_episode_it_is_the_regulator_and_compiles_once(task):
    traced = []
    move, cost, final = functions(*task)

    def dynamics(x, u, t):
        traced.append(t)
        return move(x, u, t)

    problem_at = lambda t, length: ilqg.problem(dynamics, cost, final, start=t, length=length)  # noqa: E731
    episode(task, ilqg.solve, problem_at, steps=1)
    once = len(traced)
    X, U, moves = episode(task, ilqg.solve, problem_at)
    assert len(traced) == once
    exact, actions, _ = best(task)
    np.testing.assert_allclose(X, exact, atol=1e-9)
    np.testing.assert_allclose(U, actions, atol=1e-9)
    assert {m.status for m in moves} == {Status.CONVERGED_GRADIENT}
    assert all(m.plan.iterations <= 1 for m in moves)


def slowly(task, t, length):
    """Return the problem from step t on as functions on the host, of `length` steps and no more."""
    inner = ilqg.problem(*functions(*task), start=t)
    return Problem(lambda *rest: rollout(inner, *rest), lambda *rest: expand(inner, *rest))


def test_on_the_host_plans_shorten_but_their_arrays_do_not(task):
    last = 4  # steps: each length compiles the functions of this test anew
    padded = ilqg.padded(slowly(task, T - last, last), last)
    whole = ilqg.problem(*functions(*task), start=T - last, length=last)
    host = ilqg.solve_on_host(padded, np.ones(N), np.ones((T, M)), SETTINGS.options)
    device = ilqg.solve(whole, np.ones(N), np.ones((T, M)), SETTINGS.options)
    assert host.states.shape == (T + 1, N)
    np.testing.assert_allclose(host.actions, device.actions, atol=1e-9)
    np.testing.assert_array_equal(host.actions[last:], 1.0)
    np.testing.assert_allclose(host.states[last + 1 :], np.tile(host.states[last], (T - last, 1)))
    np.testing.assert_allclose(host.cost, device.cost, rtol=1e-10)


def recorded(plans, *_, iterations, regularisation, **__):
    """Return the next of `plans`, and note what was asked for."""
    asked.append((iterations, regularisation))
    return plans.pop(0)


asked: list = []


def a_plan(number, status=Status.CONVERGED_COST):
    zero = np.zeros((3, 1, 1))
    states, actions = number + np.arange(4.0)[:, None], number + np.arange(3.0)[:, None]
    return ilqg.Plan(states, actions, zero + 0.5, zero[..., 0], zero + 1, 0.0, status, 1, 1, 0, 0.25, np.zeros((1, 6)))


def follow(plans, x, steps):
    asked.clear()
    memory, moves, starts = mpc.begin([[7.0], [8.0], [9.0]]), [], []
    settings = mpc.MPCOptions(horizon=3, first_iterations=20, iterations=3)
    for t in range(steps):
        starts.append(memory.actions)
        move = mpc.act(settings, functools.partial(recorded, plans), lambda *_: None, x, t, 9, memory)
        memory = move.memory
        moves.append(move)
    return moves, starts


def test_plans_begin_where_the_last_ended(task):
    moves, starts = follow([a_plan(0), a_plan(10)], np.ones(1), 2)
    assert asked == [(20, 1.0), (3, 0.25)]
    np.testing.assert_array_equal(starts[1], [[1.0], [2.0], [2.0]])  # shifted, the last repeated
    assert [m.action[0] for m in moves] == [0.0, 10.0]


def test_a_failed_plan_leaves_the_one_before():
    bad = [a_plan(99, Status.NONFINITE_MODEL) for _ in range(3)]
    moves, _ = follow([a_plan(0), *bad], np.full(1, 5.0), 4)
    assert [m.status for m in moves] == [Status.CONVERGED_COST] + 3 * [Status.NONFINITE_MODEL]
    feedback = [0.0, 1 + 0.5 * (5 - 1), 2 + 0.5 * (5 - 2), 2.0]  # at its end: the last control
    assert [m.action[0] for m in moves] == feedback
    assert moves[-1].plan.actions[0] == 0.0
    moves, _ = follow([a_plan(99, Status.INITIAL_DIVERGED)], np.ones(1), 1)
    assert (moves[0].action[0], moves[0].plan) == (7.0, None)


def test_a_plan_that_ran_out_of_regularisation_does_not_hand_it_on():
    follow([a_plan(0, Status.REGULARISATION_LIMIT), a_plan(0)], np.ones(1), 2)
    assert asked[1] == (3, 1.0)


def test_a_step_beyond_the_episode_is_refused():
    with pytest.raises(ValueError, match="no step of an episode"):
        mpc.act(SETTINGS, ilqg.solve, lambda *_: None, np.ones(N), T, T, mpc.begin(np.zeros((T, M))))
