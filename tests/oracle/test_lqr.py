"""The regulator against SciPy's Riccati equation, against one dense quadratic program, and against rolled-out costs."""

import jax
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from plants import definite, random_lqr, rolled
from reverie.control import lqr
from reverie.control.controller import Controller
from reverie.core.dynamics import Linear
from reverie.core.status import Status

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def stationary(generator, n=4, m=2):
    A = generator.standard_normal((n, n)) * 0.6
    N = 0.1 * generator.standard_normal((n, m))
    return A, generator.standard_normal((n, m)), definite(generator, n), definite(generator, m), N


def feedback(found):
    return lambda t, x: found.K[t] @ x + found.k[t]


def test_a_long_horizon_is_the_algebraic_riccati_equation(generator):
    A, B, Q, R, N = stationary(generator)
    T, n = 400, 4
    repeat = lambda part: np.broadcast_to(part, (T, *part.shape))  # noqa: E731
    C = repeat(np.block([[Q, N], [N.T, R]]))
    dynamics = Linear(repeat(np.hstack([A, B])), np.zeros((T, n)), np.zeros((T, n, n)))
    found = lqr.solve(dynamics, lqr.QuadraticCost(C, np.zeros((T, 6)), np.zeros(T), np.zeros((n, n)), np.zeros(n), 0.0))
    P = solve_discrete_are(A, B, Q, R, s=N)
    K = -np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A + N.T)
    assert found.status == Status.DONE
    assert found.V.dtype == np.float64
    np.testing.assert_allclose(found.V[0], P, **CLOSE)
    np.testing.assert_allclose(found.K[0], K, **CLOSE)


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_the_stationary_regulator_is_the_discounted_riccati_equation(generator, discount):
    A, B, Q, R, N = stationary(generator)
    found = lqr.infinite(A, B, Q, R, N, discount)
    P = solve_discrete_are(discount**0.5 * A, discount**0.5 * B, Q, R, s=N)
    np.testing.assert_allclose(found.V, P, **CLOSE)
    K = -np.linalg.solve(R + discount * B.T @ P @ B, discount * B.T @ P @ A + N.T)
    np.testing.assert_allclose(found.K, K, **CLOSE)
    assert found.status == Status.DONE


def told(found, A, B, discount=1.0):
    """Assert what status DONE claims: the loop is stable, and its radius is the one that is told."""
    radius = np.abs(np.linalg.eigvals(A + B @ found.K)).max()
    np.testing.assert_allclose(found.radius, radius, rtol=1e-9, atol=1e-12)
    assert found.status == Status.DONE
    assert discount**0.5 * radius < 1


def turned(generator, A, B, Q):
    """Return the same system in other coordinates."""
    T = np.linalg.qr(generator.standard_normal(A.shape))[0] * generator.uniform(0.5, 2.0, len(A))
    back = np.linalg.inv(T)
    return T @ A @ back, T @ B, back.T @ Q @ back


def with_a_mode(generator, pole, reached, seen):
    """Return A, B, Q of a random system that has a mode of its own: x_0' = pole x_0 (+ B u), perhaps without a cost."""
    n, m = int(generator.integers(2, 6)), int(generator.integers(1, 4))
    A, B, Q = np.zeros((n, n)), generator.standard_normal((n, m)), definite(generator, n)
    A[1:, 1:] = 0.7 * generator.standard_normal((n - 1, n - 1))
    A[0, 0] = pole
    if not reached:
        B[0] = 0.0
    if not seen:
        Q[0], Q[:, 0] = 0.0, 0.0
    return turned(generator, A, B, Q)


@pytest.mark.parametrize(("discount", "P"), [(1.0, 3.0), (0.9, 2.6 / 0.9), (0.2, 0.0)])
def test_an_unstable_mode_without_a_cost_is_stabilised(discount, P):
    A, B, one = np.full((1, 1), 2.0), np.ones((1, 1)), np.ones((1, 1))
    found = lqr.infinite(A, B, 0 * one, one, discount=discount)  # P = (γ a² - 1) / γ b², or 0 where γ a² < 1
    told(found, A, B, discount)
    np.testing.assert_allclose(found.V, P, atol=1e-12)


@pytest.mark.parametrize("pole", [-3.0, -1.01, 1.0 + 1e-6, 1.2, 4.0])
@pytest.mark.parametrize("discount", [1.0, 0.95])
def test_modes_that_the_cost_does_not_see_are_those_of_scipy(generator, pole, discount):
    for _ in range(10):
        A, B, Q = with_a_mode(generator, pole, reached=True, seen=False)
        R = definite(generator, B.shape[1])
        found = lqr.infinite(A, B, Q, R, discount=discount)
        told(found, A, B, discount)
        P = solve_discrete_are(discount**0.5 * A, discount**0.5 * B, Q, R)
        np.testing.assert_allclose(found.V, P, rtol=1e-7, atol=1e-7 * np.abs(P).max())
        root = discount**0.5 * np.hstack([A, B])
        full = root.T @ found.V @ root + np.block([[Q, np.zeros_like(B)], [np.zeros_like(B).T, R]])
        n = len(A)
        np.testing.assert_allclose(found.K, -np.linalg.solve(full[n:, n:], full[n:, :n]), rtol=1e-9, atol=1e-9)
        missed = full[:n, :n] + full[:n, n:] @ found.K - found.V
        assert np.abs(missed).max() < 1e-7 * np.abs(full).max() * max(1.0, np.abs(found.K).max())


def test_random_systems_are_those_of_scipy(generator):
    for _ in range(60):
        n, m = int(generator.integers(1, 6)), int(generator.integers(1, 4))
        A = generator.choice([0.3, 0.8, 1.5]) * generator.standard_normal((n, n))
        B, root = generator.standard_normal((n, m)), generator.standard_normal((int(generator.integers(1, n + 1)), n))
        R = definite(generator, m)
        found = lqr.infinite(A, B, root.T @ root, R)
        told(found, A, B)
        P = solve_discrete_are(A, B, root.T @ root, R)
        np.testing.assert_allclose(found.V, P, rtol=1e-6, atol=1e-6 * np.abs(P).max())


@pytest.mark.parametrize("pole", [-1.0, 1.0, 1.5, -20.0])
@pytest.mark.parametrize("seen", [True, False])
def test_a_mode_that_no_control_reaches_is_told(generator, pole, seen):
    for _ in range(10):
        A, B, Q = with_a_mode(generator, pole, reached=False, seen=seen)
        found = lqr.infinite(A, B, Q, np.eye(B.shape[1]))
        assert found.status == Status.NOT_STABILISABLE
        assert np.isfinite(found.K).all() and found.radius > 1 - 1e-9


@pytest.mark.parametrize("pole", [0.5, 1.0, -1.0])
@pytest.mark.parametrize("reached", [True, False])
def test_on_the_unit_circle_the_cost_must_see(generator, pole, reached):
    for seen in (True, False):
        A, B, Q = with_a_mode(generator, pole, reached, seen)
        found = lqr.infinite(A, B, Q, np.eye(B.shape[1]))
        if abs(pole) < 1 or (reached and seen):
            told(found, A, B)
        else:
            assert found.status == (Status.NO_STABILISING_SOLUTION if reached else Status.NOT_STABILISABLE)


def stiff(generator):
    """Units of states that are far apart."""
    n = int(generator.integers(2, 7))
    unit = np.diag(10.0 ** generator.uniform(-4, 4, n))
    A, B = generator.standard_normal((n, n)), unit @ generator.standard_normal((n, 2))
    back = np.linalg.inv(unit)
    return unit @ A @ back, B, back @ definite(generator, n) @ back, definite(generator, 2)


def many_unstable_modes(generator):
    """One weak control for all of them."""
    n = int(generator.integers(3, 6))
    B = generator.standard_normal((n, 1)) * 10.0 ** generator.uniform(-3, 0)
    return np.diag(generator.uniform(1.01, 4, n)), B, definite(generator, n), np.array([[1.0]])


def chain(generator):
    n = int(generator.integers(2, 9))
    return 2.0 * np.triu(np.ones((n, n))), np.full((n, 1), 10.0 ** generator.uniform(-4, 0)), np.eye(n), np.eye(1)


@pytest.mark.parametrize("system", [stiff, many_unstable_modes, chain])
def test_where_scipys_gains_stabilise_there_are_some(generator, system):
    for _ in range(80):
        A, B, Q, R = system(generator)
        found = lqr.infinite(A, B, Q, R)
        try:
            P = solve_discrete_are(A, B, Q, R)
        except np.linalg.LinAlgError:
            continue
        K = -np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        size = np.abs(Q + A.T @ P @ A).max() + np.abs(A.T @ P @ B).max() * np.abs(K).max()
        good = np.abs(Q + A.T @ P @ A + A.T @ P @ B @ K - P).max() < 1e-8 * size
        if good and np.abs(np.linalg.eigvals(A + B @ K)).max() < 1:
            told(found, A, B)
        elif found.status != Status.DONE:
            assert found.status == Status.ILL_CONDITIONED  # each of these systems has a solution


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    ("A", "Q", "discount", "status"),
    [
        (rotation(0.3), np.zeros((2, 2)), 1.0, Status.NO_STABILISING_SOLUTION),
        (rotation(0.3), np.diag([1.0, 0.0]), 1.0, Status.DONE),
        (rotation(0.3), np.zeros((2, 2)), 0.9, Status.DONE),
        (rotation(0.3) / 0.9**0.5, np.zeros((2, 2)), 0.9, Status.NO_STABILISING_SOLUTION),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), np.zeros((2, 2)), 1.0, Status.NO_STABILISING_SOLUTION),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([0.0, 1.0]), 1.0, Status.NO_STABILISING_SOLUTION),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([1.0, 0.0]), 1.0, Status.DONE),
        (0.5 * np.eye(2), np.diag([-9.0, 1.0]), 1.0, Status.NOT_POSITIVE_DEFINITE),  # the more, the cheaper
        (np.full((2, 2), np.nan), np.eye(2), 1.0, Status.NONFINITE_MODEL),
    ],
)
def test_a_marginal_system_gets_its_status(A, Q, discount, status):
    found = lqr.infinite(A, np.array([[0.5], [1.0]]), Q, np.eye(1), discount=discount)
    assert found.status == status


def test_costs_that_are_not_convex_in_the_controls_are_told(generator):
    A, B = 0.5 * np.eye(2), np.eye(2)
    assert lqr.infinite(A, B, np.eye(2), -5.0 * np.eye(2)).status == Status.NOT_POSITIVE_DEFINITE
    told(lqr.infinite(A, B, np.eye(2), np.zeros((2, 2))), A, B)  # no price on controls: dead beat
    twice = np.hstack([B, B])  # and two controls that do the same: none of their sums is best
    assert lqr.infinite(A, twice, np.eye(2), np.zeros((4, 4))).status == Status.NOT_POSITIVE_DEFINITE


def test_all_steps_at_once_as_one_quadratic_program(generator):
    n, m, T = 3, 2, 8
    dynamics, cost = random_lqr(generator, n, m, T)
    x0 = generator.standard_normal(n)
    steer, drift = np.zeros((n, T * m)), x0  # x_t = steer U + drift
    H, g = np.zeros((T * m, T * m)), np.zeros(T * m)
    for t in range(T):
        y = np.vstack([steer, np.eye(T * m)[t * m : (t + 1) * m]])
        at = np.concatenate([drift, np.zeros(m)])
        H, g = H + y.T @ cost.C[t] @ y, g + y.T @ (cost.C[t] @ at + cost.c[t])
        steer, drift = dynamics.F[t] @ y, dynamics.F[t] @ at + dynamics.f[t]
    H, g = H + steer.T @ cost.V @ steer, g + steer.T @ (cost.V @ drift + cost.v)
    _, U, _ = rolled(dynamics, cost, feedback(lqr.solve(dynamics, cost)), x0)
    np.testing.assert_allclose(U.ravel(), -np.linalg.solve(H, g), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("regularisation", [0.0, 0.7])
def test_the_value_is_the_cost_of_following_the_gains(generator, regularisation):
    dynamics, cost = random_lqr(generator, 3, 2, 12)
    found = lqr.solve(dynamics, cost, regularisation)
    X, _, to_go = rolled(dynamics, cost, feedback(found), generator.standard_normal(3))
    predicted = [0.5 * x @ V @ x + v @ x + v0 for x, V, v, v0 in zip(X, found.V, found.v, found.v0, strict=True)]
    np.testing.assert_allclose(predicted, to_go, **CLOSE)


def test_the_value_with_noise_is_the_mean_of_many_episodes(generator):
    dynamics, cost = random_lqr(generator, 3, 2, 6, noise=0.2)
    found = lqr.solve(dynamics, cost)
    x0, roots = generator.standard_normal(3), np.linalg.cholesky(dynamics.covariance)
    costs = []
    for _ in range(2000):
        noise = (roots @ generator.standard_normal((6, 3, 1)))[..., 0]
        costs.append(rolled(dynamics, cost, feedback(found), x0, noise)[2][0])
    predicted = 0.5 * x0 @ found.V[0] @ x0 + found.v[0] @ x0 + found.v0[0]
    assert abs(np.mean(costs) - predicted) < 3 * np.std(costs) / np.sqrt(len(costs))
    quiet = lqr.solve(dynamics._replace(covariance=0 * dynamics.covariance), cost).v0[0]
    noisy = quiet + 0.5 * np.sum(found.V[1:] * dynamics.covariance)
    np.testing.assert_allclose(found.v0[0], noisy, **CLOSE)


def test_expected_cost_is_the_value_where_actions_have_no_noise(generator):
    dynamics, cost = random_lqr(generator, 3, 2, 6, noise=0.2)
    found = lqr.solve(dynamics, cost)
    x0, spread = generator.standard_normal(3), definite(generator, 3)
    predicted = 0.5 * x0 @ found.V[0] @ x0 + found.v[0] @ x0 + found.v0[0] + 0.5 * np.sum(found.V[0] * spread)
    with jax.enable_x64(True):
        silent = Controller(found.K, found.k, np.zeros((6, 2, 2)))
        expected = lqr.expected_cost(dynamics, cost, silent, x0, spread)
    np.testing.assert_allclose(expected, predicted, **CLOSE)


def test_no_covariance_is_one_of_zeros(generator):
    dynamics, cost = random_lqr(generator, 3, 2, 6, noise=0.2)
    silent = [dynamics._replace(covariance=part) for part in (None, np.zeros((6, 3, 3)))]
    one, other = (lqr.solve(model, cost) for model in silent)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    controller, spread = Controller(one.K, one.k, np.zeros((6, 2, 2))), definite(generator, 3)
    costs = [float(lqr.expected_cost(model, cost, controller, np.ones(3), spread)) for model in silent]
    assert costs[0] == costs[1]


def test_moments_are_those_of_many_episodes(generator):
    dynamics, cost = random_lqr(generator, 2, 1, 5, noise=0.3)
    found = lqr.solve(dynamics, cost)
    controller = Controller(found.K, found.k, np.full((5, 1, 1), 0.5))
    x0, spread, N = np.ones(2), definite(generator, 2), 100_000
    with jax.enable_x64(True):
        means, spreads, y, yy = map(np.asarray, lqr.moments(dynamics, controller, x0, spread))
    X = x0 + generator.standard_normal((N, 2)) @ np.linalg.cholesky(spread).T
    for t in range(5):
        U = X @ found.K[t].T + found.k[t] + 0.5 * generator.standard_normal((N, 1))
        Y = np.hstack([X, U])
        np.testing.assert_allclose(Y.mean(0), y[t], atol=0.03)
        np.testing.assert_allclose(np.cov(Y.T), yy[t], atol=0.05 * np.abs(yy[t]).max())
        noise = generator.standard_normal((N, 2)) @ np.linalg.cholesky(dynamics.covariance[t]).T
        X = Y @ dynamics.F[t].T + dynamics.f[t] + noise
    np.testing.assert_allclose(np.cov(X.T), spreads[-1], atol=0.05 * np.abs(spreads[-1]).max())
    np.testing.assert_allclose(X.mean(0), means[-1], atol=0.03)


def test_many_problems_side_by_side_are_each_alone(generator):
    problems = [random_lqr(generator, 3, 2, 8, noise=0.1) for _ in range(8)]
    together = jax.tree.map(lambda *parts: np.stack(parts), *problems)
    with jax.enable_x64(True):
        found = jax.vmap(lqr.backward)(*together)
    for number, (dynamics, cost) in enumerate(problems):
        alone = lqr.solve(dynamics, cost)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[number], **CLOSE), alone, found)  # noqa: B023


def test_single_precision_is_close(generator):
    dynamics, cost = random_lqr(generator, 12, 3, 20)
    narrow = jax.tree.map(lambda part: np.asarray(part, np.float32), (dynamics, cost))
    found, exact = jax.jit(lqr.backward)(*narrow), lqr.solve(dynamics, cost)
    assert found.K.dtype == np.float32
    for a, b in zip(found[:3], exact[:3], strict=True):
        assert np.abs(a - b).max() < 1e-3 * np.abs(b).max()


def test_bad_input_ends_with_a_status(generator):
    dynamics, cost = random_lqr(generator, 3, 2, 8)
    broken = dynamics.F.copy()
    broken[2, 0, 0] = np.nan
    assert lqr.solve(dynamics._replace(F=broken), cost).status == Status.NONFINITE_MODEL
    concave = cost._replace(C=-cost.C, V=-cost.V)
    found = lqr.solve(dynamics, concave)
    assert found.status == Status.NOT_POSITIVE_DEFINITE
    assert np.isfinite(found.K).all()
    assert lqr.solve(dynamics, concave, 1e4).status == Status.DONE
