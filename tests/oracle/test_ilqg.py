"""iLQG against the regulator, finite differences, a NumPy transcription of the backward pass, and a known optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from plants import SWING_UP, backward, functions, random_lqr, rolled
from reverie.bench import cartpole_swingup
from reverie.bench.cartpole_swingup import HANGING
from reverie.control import ilqg, ilqg_step, lqr
from reverie.control.ilqg import Expansion, Options, Problem
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.maths.precision import double

T = 150
rollout, expand = (
    double(lambda problem, *rest, part=part: getattr(problem, part)(*rest)) for part in Problem._fields[:2]
)
CONVEX = Options(regularisation=0.0, iterations=40)


def on_host(problem):
    return Problem(lambda *rest: rollout(problem, *rest), lambda *rest: expand(problem, *rest))


def controls(seed, scale=0.1):
    return scale * np.random.default_rng(seed).standard_normal((T, 1))


@pytest.fixture(scope="module")
def plan():
    return ilqg.solve(SWING_UP, HANGING, controls(4))


@pytest.mark.parametrize("scale", [0.1, 1e3])
def test_a_linear_quadratic_problem_takes_one_step(generator, scale):
    dynamics, cost = random_lqr(generator, 3, 2, 12)
    x0, U0 = generator.standard_normal(3), scale * generator.standard_normal((12, 2))
    plan = ilqg.solve(ilqg.problem(*functions(dynamics, cost)), x0, U0, CONVEX)
    assert (plan.status, plan.iterations, plan.passes) == (Status.CONVERGED_GRADIENT, 1, 2)
    row = dict(zip(ilqg_step.TRACE, plan.trace[0], strict=True))
    assert row["alpha"] == 1.0
    assert abs(row["fall"] / row["expected"] - 1) < 1e-9
    best = lqr.solve(dynamics, cost)
    X, U, to_go = rolled(dynamics, cost, lambda t, x: best.K[t] @ x + best.k[t], x0)
    np.testing.assert_allclose(plan.actions, U, atol=1e-9)
    np.testing.assert_allclose(plan.states, X, atol=1e-9)
    np.testing.assert_allclose(plan.cost, to_go[0], rtol=1e-10)
    np.testing.assert_allclose(plan.K, best.K, atol=1e-10)
    np.testing.assert_allclose(plan.Quu, best.Quu, rtol=1e-10)


def test_derivatives_are_central_differences(generator):
    X, U = generator.standard_normal((4, 4)), generator.standard_normal((3, 1))
    found = expand(SWING_UP, X, U)
    with jax.enable_x64(True):
        Y, step, eye = np.hstack([X[:-1], U]), 1e-5, np.eye(5)
        split = lambda f: jax.jit(lambda y: f(y[:4], y[4:], 0))  # noqa: E731
        for t, y in enumerate(Y):
            F = [
                (split(cartpole_swingup.dynamics)(y + step * e) - split(cartpole_swingup.dynamics)(y - step * e))
                / (2 * step)
                for e in eye
            ]
            np.testing.assert_allclose(np.hstack([found.A[t], found.B[t]]), np.transpose(F), atol=1e-6)
            slope = jax.jit(jax.grad(split(cartpole_swingup.cost)))
            C = np.array([(slope(y + step * e) - slope(y - step * e)) / (2 * step) for e in eye])
            np.testing.assert_allclose(found.l_xx[t], C[:4, :4], atol=1e-6)
            np.testing.assert_allclose(found.l_ux[t], C[4:, :4], atol=1e-6)
            np.testing.assert_allclose(found.l_uu[t], C[4:, 4:], atol=1e-6)
        V = np.array(
            [
                (
                    jax.grad(cartpole_swingup.final)(X[-1] + step * e)
                    - jax.grad(cartpole_swingup.final)(X[-1] - step * e)
                )
                for e in np.eye(4)
            ]
        )
    np.testing.assert_allclose(found.final_xx, V / (2 * step), atol=1e-6)
    after, A, B = cartpole_swingup.by_hand(X[0], U[0])  # what peers are given
    np.testing.assert_allclose(A, found.A[0], atol=1e-12)
    np.testing.assert_allclose(B, found.B[0], atol=1e-12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(after, cartpole_swingup.dynamics(X[0], U[0], 0), atol=1e-12)


def closed_loop(U, plan, alphas=(0.0,), K=0.0, k=0.0):
    return SWING_UP.rollout(plan.states, U, K + 0 * plan.K, k + 0 * plan.k, jnp.asarray(alphas))


def test_the_gradient_is_the_adjoint_one(plan):
    U = plan.actions + controls(7)
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(lambda U: closed_loop(U, plan)[2][0]))(U)
        X = jax.jit(lambda U: closed_loop(U, plan)[0][0])(U)
    A, B, l_x, l_u, *_, v, _ = expand(SWING_UP, np.asarray(X), U)
    adjoint = []
    for t in reversed(range(T)):
        adjoint.append(l_u[t] + B[t].T @ v)
        v = l_x[t] + A[t].T @ v
    np.testing.assert_allclose(gradient, adjoint[::-1], rtol=1e-8, atol=1e-8)


def test_the_expected_fall_begins_with_the_true_slope(plan):
    nearby = plan.actions + 1e-3 * controls(7)
    X, _, _ = rollout(SWING_UP, plan.states, nearby, 0 * plan.K, 0 * plan.k, np.zeros(1))
    local = double(ilqg_step.localise, static_argnums=1)(expand(SWING_UP, X[0], nearby), ilqg_step.DEFAULT_OPTIONS)
    gains = double(ilqg_step.sweep, static_argnums=3)(local, nearby, 0.0, ilqg_step.DEFAULT_OPTIONS)
    with jax.enable_x64(True):
        along = lambda a: SWING_UP.rollout(X[0], nearby, gains.K, gains.k, a[None])[2][0]  # noqa: E731
        slope = jax.jit(jax.grad(along))(jnp.zeros(()))
    np.testing.assert_allclose(gains.linear, slope, rtol=1e-8)


def test_alpha_scales_the_offsets_and_not_the_feedback(generator):
    dynamics, cost = random_lqr(generator, 3, 2, 12)
    problem = ilqg.problem(*functions(dynamics, cost))
    x_hat, u_hat = generator.standard_normal((13, 3)), generator.standard_normal((12, 2))
    K, k = generator.standard_normal((12, 2, 3)), generator.standard_normal((12, 2))
    X, U, J = rollout(problem, x_hat, u_hat, K, k, np.array([0.0, 0.3]))
    for i, alpha in enumerate((0.0, 0.3)):
        act = lambda t, x, a=alpha: u_hat[t] + a * k[t] + K[t] @ (x - x_hat[t])  # noqa: E731
        states, actions, to_go = rolled(dynamics, cost, act, x_hat[0])
        np.testing.assert_allclose(X[i], states, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(U[i], actions, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(J[i], to_go[0], rtol=1e-9)


def test_the_swing_up_reaches_its_optimum(plan):
    assert plan.status.good
    assert plan.cost <= 2.6476
    falls = plan.trace[:, ilqg_step.TRACE.index("cost")]
    assert (np.diff(falls) <= 0).all()  # J never rises
    _, _, J = rollout(SWING_UP, plan.states, plan.actions, plan.K, plan.k, np.zeros(1))
    np.testing.assert_allclose(J[0], plan.cost, rtol=1e-12)


def test_gains_are_those_about_the_returned_trajectory(plan):
    expansion = expand(SWING_UP, plan.states, plan.actions)
    convex = expansion._replace(l_xx=np.array([np.diag(np.maximum(np.diag(C), 0)) for C in expansion.l_xx]))
    K, k = backward(convex, plan.regularisation)  # the cost's Hessian is diagonal
    np.testing.assert_allclose(plan.K, K, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(plan.k, k, rtol=1e-7, atol=1e-7)


def test_both_drivers_take_the_same_steps(plan):
    rows = []
    host = ilqg.solve_on_host(on_host(SWING_UP), HANGING, controls(4), watch=rows.append)
    assert (host.status, host.iterations, host.passes) == (plan.status, plan.iterations, plan.passes)
    np.testing.assert_allclose(host.actions, plan.actions, atol=1e-8)
    np.testing.assert_allclose(host.trace, plan.trace, rtol=1e-6, atol=1e-9)
    assert [row["cost"] for row in rows] == list(host.trace[:, 0])


def counted(problem):
    """Return the problem, and a list that gets the number of step lengths of each of its rollouts."""
    lengths = []

    def roll(x_hat, u_hat, K, k, alphas):
        lengths.append(len(alphas))
        return problem.rollout(x_hat, u_hat, K, k, alphas)

    return problem._replace(rollout=roll), lengths


def test_a_quick_search_finds_the_optimum_of_a_regulator_with_one_rollout_a_step():
    thorough, quick = (counted(simple()) for _ in range(2))
    found, same = planned(thorough[0]), planned(quick[0], quick=True)
    np.testing.assert_allclose(same.actions, found.actions, atol=1e-6)
    assert same.cost == pytest.approx(found.cost, rel=1e-6)
    assert same.status.good
    assert set(thorough[1]) == {11}
    assert quick[1] == [1] * (1 + same.iterations)


def test_a_quick_search_tries_shorter_steps_where_the_longest_is_no_good():
    def roll(*rest):
        X, U, J = simple().rollout(*rest)
        return X, U, np.where((rest[-1] > 0.4) & np.any(rest[2]), np.nan, J)

    problem, lengths = counted(simple(rollout=roll))
    plan = planned(problem, quick=True)
    assert set(lengths) == {1}
    assert 2 * plan.iterations < len(lengths) < 11 * plan.iterations  # 1, .5 and .25 are tried, and no shorter one
    assert plan.status.good
    assert plan.trace[:, ilqg_step.TRACE.index("alpha")].max() < 0.4
    np.testing.assert_allclose(plan.actions, planned(simple(rollout=roll)).actions, atol=1e-6)


def test_a_quick_search_begins_with_smaller_actions_where_first_ones_diverge():
    plan = ilqg.solve_on_host(simple(), np.ones(1), np.full((SHORT, 1), 1e8), Options(iterations=40), quick=True)
    assert plan.status.good
    endless = simple(rollout=lambda *rest: (*simple().rollout(*rest)[:2], np.full(len(rest[-1]), np.nan)))
    assert planned(endless, quick=True).status == Status.INITIAL_DIVERGED


def test_a_quick_search_swings_up_too(plan):
    quick = ilqg.solve_on_host(on_host(SWING_UP), HANGING, controls(4), quick=True)
    assert quick.status.good
    assert quick.cost < 1.05 * plan.cost


def test_narrow_bounds_hold_and_wide_bounds_change_nothing():
    wide = planned(simple(), Options(low=-1e3, high=1e3, iterations=40))
    np.testing.assert_allclose(wide.actions, planned(simple()).actions, atol=1e-12)
    np.testing.assert_allclose(wide.K, planned(simple()).K, atol=1e-12)
    narrow = Options(low=-0.8, high=0.8)
    found = ilqg.solve(
        ilqg.problem(cartpole_swingup.dynamics, cartpole_swingup.cost, cartpole_swingup.final, -0.8, 0.8),
        HANGING,
        controls(4),
        narrow,
    )
    at_bound = np.abs(found.actions[:, 0]) == 0.8
    assert found.status.good
    assert np.abs(found.actions).max() == 0.8
    clamped = (found.K == 0).all(axis=(1, 2))
    assert clamped.sum() > 10
    assert (at_bound | ~clamped).all()  # feedback is off only at a bound
    assert (found.k[clamped] == 0).all()


def test_problems_side_by_side_are_each_alone(generator):
    dynamics, cost = random_lqr(generator, 3, 2, 12)
    problem = ilqg.problem(*functions(dynamics, cost))
    x0, U0 = generator.standard_normal((8, 3)), generator.standard_normal((8, 12, 2))
    with jax.enable_x64(True):
        each = jax.vmap(lambda problem, x, U: ilqg.optimise(problem, x, U, 0.0, 40, CONVEX), (None, 0, 0))
        found, K, *_ = jax.jit(each)(problem, x0, U0)
    for i in range(8):
        alone = ilqg.solve(problem, x0[i], U0[i], CONVEX)
        np.testing.assert_allclose(found.actions[i], alone.actions, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(K[i], alone.K, rtol=1e-10, atol=1e-10)
        assert found.status[i] == alone.status


def test_the_hessian_is_made_convex_jointly():
    # States and controls are each convex, together they are not.
    l_xx, l_ux = np.ones((1, 1, 1)), np.full((1, 1, 1), 3.0)
    flat = np.zeros((1, 1))
    expansion = Expansion(l_xx, l_xx, flat, flat, l_xx, l_ux, l_xx, flat[0], -l_xx[0])
    local = double(ilqg_step.localise, static_argnums=1)(expansion, Options())
    assert np.linalg.eigvalsh(local.C[0]).min() > -1e-12
    assert local.V == 0
    np.testing.assert_allclose(local.C[0], np.full((2, 2), 2.0), atol=1e-12)  # the eigenvalue 4 of (1, 1) / √2 stays
    literal = double(ilqg_step.localise, static_argnums=1)(expansion, Options(project=False))
    assert literal.C[0, 1, 0] == 3.0
    assert literal.V == -1


# What goes wrong ends with a status that says so.  All of one shape, so that little compiles.

SHORT = 6


def simple(**changes):
    """Return a point that is pushed, x' = x + u, as functions on the host, some of them changed."""

    def roll(x_hat, u_hat, K, k, alphas):
        X, U = np.zeros((len(alphas), SHORT + 1, 1)), np.zeros((len(alphas), SHORT, 1))
        X[:, 0] = x_hat[0]
        for t in range(SHORT):
            U[:, t] = u_hat[t] + alphas[:, None] * k[t] + (X[:, t] - x_hat[t]) @ K[t].T
            X[:, t + 1] = X[:, t] + U[:, t]
        return X, U, changes.get("offset", 0.0) + 0.5 * (X**2).sum((1, 2)) + 0.5 * (U**2).sum((1, 2))

    def derive(X, U):
        one = np.ones((SHORT, 1, 1))
        l_uu = changes.get("curvature", 1.0) * one
        return Expansion(one, changes.get("B", 1.0) * one, X[:-1], U, one, 0 * one, l_uu, X[-1], one[0])

    return Problem(changes.get("rollout", roll), derive)


def planned(problem, options=None, **rest):
    options = Options(iterations=40) if options is None else options
    return ilqg.solve_on_host(problem, np.ones(1), np.zeros((SHORT, 1)), options, **rest)


def test_derivatives_with_a_wrong_sign_end_at_the_regularisation_limit():
    plan = planned(simple(B=-1.0))
    assert plan.status == Status.REGULARISATION_LIMIT
    assert plan.cost == planned(simple()).trace[0, 0] + planned(simple()).trace[0, 3]  # nothing was taken
    assert plan.usable


def test_states_may_have_more_entries_than_directions():
    flat = simple()

    def roll(x_hat, u_hat, K, k, alphas):
        X, U, J = flat.rollout(np.log(x_hat[:, :1]), u_hat, K, k, alphas)
        return np.exp(np.concatenate([X, -X], axis=2)), U, J  # x on a curve in the plane

    curved = Problem(roll, lambda X, U: flat.expand(np.log(X[:, :1]), U), tangent=1)
    plan = ilqg.solve_on_host(curved, np.exp([1.0, -1.0]), np.zeros((SHORT, 1)), Options(iterations=40))
    assert (plan.states.shape, plan.K.shape) == ((SHORT + 1, 2), (SHORT, 1, 1))
    np.testing.assert_allclose(plan.actions, planned(flat).actions, atol=1e-12)


def test_too_few_iterations_are_told():
    plan = planned(simple(), Options(iterations=1))
    assert (plan.status, plan.iterations) == (Status.MAX_ITERATIONS, 1)


def test_an_indefinite_step_is_regularised_and_counted():
    plan = planned(simple(curvature=-4.0), Options(project=False, regularisation=0.0, iterations=40))
    assert plan.repairs > 0
    assert (np.linalg.eigvalsh(plan.Quu) > 0).all()
    hopeless = planned(simple(curvature=-1e12), Options(project=False))
    assert hopeless.status == Status.NOT_POSITIVE_DEFINITE
    assert not hopeless.usable


def test_a_model_that_is_not_finite_is_told():
    assert planned(simple(B=np.nan)).status == Status.NONFINITE_MODEL
    linear = ilqg.problem(lambda x, u, t: x + u, lambda x, u, t: jnp.sum(jnp.sqrt(x - x) + u * u), lambda x: x[0])
    plan = ilqg.solve(linear, np.ones(1), np.zeros((SHORT, 1)), Options(iterations=40))
    assert plan.status == Status.NONFINITE_MODEL  # √0 has no slope
    assert not plan.usable


def test_a_first_trajectory_that_diverges_is_told_or_tamed():
    blown = Partial(lambda a, x, u, t: a * x + u, 1e6)
    problem = ilqg.problem(blown, lambda x, u, t: x @ x + u @ u, lambda x: x @ x)
    plan = ilqg.solve(problem, np.ones(1), np.ones((SHORT, 1)), Options(iterations=40))
    assert plan.status == Status.INITIAL_DIVERGED
    endless = simple(rollout=lambda *rest: (*simple().rollout(*rest)[:2], np.full(11, np.nan)))
    assert planned(endless).status == Status.INITIAL_DIVERGED
    tamed = ilqg.solve_on_host(simple(), np.ones(1), np.full((SHORT, 1), 1e8), Options(iterations=40))
    assert tamed.status.good  # begun from a smaller multiple


def test_step_lengths_whose_cost_is_not_a_number_are_not_taken():
    def roll(*rest):
        X, U, J = simple().rollout(*rest)
        return X, U, np.where((rest[-1] > 0.4) & np.any(rest[2]), np.nan, J)

    plan = planned(simple(rollout=roll))
    assert plan.status.good
    assert plan.trace[:, ilqg_step.TRACE.index("alpha")].max() < 0.4


@pytest.mark.parametrize("offset", [-1e3, -planned(simple()).cost])
def test_stopping_does_not_hang_on_where_zero_cost_is(offset):
    assert abs(planned(simple(offset=offset)).cost - offset - planned(simple()).cost) < 1e-3


def test_a_time_budget_ends_the_search():
    seconds = iter(range(100))
    plan = planned(simple(), clock=lambda: next(seconds), seconds=2.0)
    assert (plan.status, plan.passes) == (Status.TIME_BUDGET, 3)  # the last for gains about the trajectory
    assert plan.usable


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        Options(iterations=0)
    with pytest.raises(ConfigError, match="no control lies between"):
        Options(low=(0.0, 1.0), high=(1.0, 0.0))


# CONVERGED_GRADIENT claims that the gradient vanishes: by finite differences of the cost of controls alone.


def kinked(x, u, t, sharpness=1e-4):
    """Return a cost that is nearly |x - 1|, and a little u²."""
    return jnp.sum(jnp.sqrt((x - 1.0) ** 2 + sharpness**2)) + 1e-3 * jnp.sum(u**2)


SLOPES = {
    "smooth": lambda x, u, t: jnp.sum((x - 1.0) ** 2) + 0.1 * jnp.sum(u**2),
    "nearly |x|": kinked,
    "nearer |x|": Partial(lambda x, u, t: kinked(x, u, t, 1e-7)),
    "nearly |u|": lambda x, u, t: jnp.sum((x - 1.0) ** 2) + jnp.sum(jnp.sqrt((u - 0.3) ** 2 + 1e-10)),
    "flat": lambda x, u, t: jnp.sum((x - 1.0) ** 4) + 1e-6 * jnp.sum(u**2),
    "steep": lambda x, u, t: 1e5 * jnp.sum((x - 1.0) ** 2) + 1e-3 * jnp.sum(u**2),
    "quartic in u": lambda x, u, t: jnp.sum((x - 1.0) ** 2) + jnp.sum(u**4),
}


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("bound", [None, 0.25])
@pytest.mark.parametrize("first", [0.0, 0.4, -1.0])
def test_the_gradient_vanishes_where_the_status_says_so(name, bound, first):
    low, high = (None, None) if bound is None else (-bound, bound)
    found = ilqg.problem(lambda x, u, t: x + 0.5 * u + 0.1 * jnp.sin(x), SLOPES[name], lambda x: 0.0 * x[0], low, high)
    U0 = np.full((SHORT, 1), first if bound is None else np.clip(first, -bound, bound))
    plan = ilqg.solve(found, np.zeros(1), U0, Options(low=low, high=high, iterations=200, regularisation=1e-3))
    cost = double(lambda U: found.rollout(plan.states, U, 0 * plan.K, 0 * plan.k, jnp.zeros(1))[2][0])
    step = 1e-6
    moves = step * np.eye(SHORT)[:, :, None]
    slope = np.array([(cost(plan.actions + e) - cost(plan.actions - e)) / (2 * step) for e in moves])
    if bound is not None:
        u = plan.actions[:, 0]
        slope = np.where(((u <= -bound) & (slope > 0)) | ((u >= bound) & (slope < 0)), 0.0, slope)
    if plan.status == Status.CONVERGED_GRADIENT:
        assert np.abs(slope).max() < 1e-3 * (1 + abs(plan.cost))
    if name == "smooth":
        assert plan.status.good
