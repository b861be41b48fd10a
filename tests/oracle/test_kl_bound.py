"""The step under a KL bound: its KL by sampling, its limits, and what happens where the bound cannot be met."""

import jax
import numpy as np
import pytest

from plants import definite, random_lqr
from reverie.control import controller, kl_step, lqr
from reverie.control.controller import Controller
from reverie.core.status import Status
from reverie.maths.precision import double

N, M, T = 3, 2, 10
MEAN, SPREAD = np.ones(N), 0.2 * np.eye(N)
moments, divergence = double(lqr.moments), double(kl_step.divergence)
augmented, backward = double(kl_step.augmented), double(lqr.backward)


@pytest.fixture
def task(generator):
    """Return dynamics, cost and an old controller."""
    dynamics, cost = random_lqr(generator, N, M, T, noise=0.05)
    chol = 0.3 * np.linalg.cholesky(definite(generator, M, T))
    return dynamics, cost, Controller(0.2 * generator.standard_normal((T, M, N)), np.zeros((T, M)), chol)


def at(task, eta):
    """Return the controller of multiplier η, and its KL to the old one [T]."""
    dynamics, cost, old = task
    found = backward(dynamics, augmented(cost, old, eta))
    new = Controller(found.K, found.k, double(controller.factor)(found.Quu))
    means, spreads, *_ = moments(dynamics, new, MEAN, SPREAD)
    return new, divergence(new, old, means[:-1], spreads[:-1])


def step(task, bound, **rest):
    return kl_step.bounded_step(*task, bound, MEAN, SPREAD, **rest)


def test_kl_is_that_of_samples(task, generator):
    dynamics, _, old = task
    new, kl = at(task, 5.0)
    X = MEAN + np.sqrt(0.2) * generator.standard_normal((50_000, N))
    log_ratio = []
    for t in range(T):
        U = X @ new.K[t].T + new.k[t] + generator.standard_normal((len(X), M)) @ new.chol[t].T
        logs = []
        for c in (new, old):
            z = np.linalg.solve(c.chol[t], (U - X @ c.K[t].T - c.k[t]).T)
            logs.append(-0.5 * (z**2).sum(0) - np.log(np.diag(c.chol[t])).sum())
        log_ratio.append(np.mean(logs[0] - logs[1]))
        noise = generator.standard_normal((len(X), N)) @ np.linalg.cholesky(dynamics.covariance[t]).T
        X = np.hstack([X, U]) @ dynamics.F[t].T + dynamics.f[t] + noise
    np.testing.assert_allclose(kl, log_ratio, rtol=0.03, atol=0.01)


def test_kl_is_zero_only_at_the_old_controller_and_falls_with_eta(task):
    dynamics, _, old = task
    means, spreads, *_ = moments(dynamics, old, MEAN, SPREAD)
    np.testing.assert_allclose(divergence(old, old, means[:-1], spreads[:-1]), 0.0, atol=1e-12)
    totals = [at(task, eta)[1].sum() for eta in 10.0 ** np.arange(-3, 6)]
    assert (np.diff(totals) < 0).all()
    assert min(totals) > 0


def test_the_ends_are_the_regulator_and_the_old_controller(task):
    dynamics, cost, old = task
    free, best = at(task, 1e-9)[0], lqr.solve(dynamics, cost)
    np.testing.assert_allclose(free.K, best.K, atol=1e-7)
    np.testing.assert_allclose(free.k, best.k, atol=1e-7)
    tied = at(task, 1e10)[0]
    for a, b in zip(tied, old, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


@pytest.mark.parametrize("bound", [0.05, 0.2, 1.0])
def test_the_step_meets_its_bound(task, bound):
    found = step(task, bound, tolerance=1e-3)
    assert found.status == Status.DONE
    assert abs(found.kl.mean() / bound - 1) < 1e-3
    assert found.trials < 30
    assert found.expected_new < found.expected_old
    np.testing.assert_allclose(found.controller.K, at(task, found.eta)[0].K, rtol=1e-12)
    rough = step(task, bound, eta=found.eta)
    assert rough.status == Status.DONE
    assert rough.kl.mean() < 1.1 * bound
    assert rough.trials == 2  # the unbounded one, then the multiplier that is known to be right


def test_it_is_the_best_of_all_steps_within_the_bound(task, generator):
    dynamics, cost, old = task
    found, expected = step(task, 0.2, tolerance=1e-3), double(lqr.expected_cost)
    best = found.controller
    objective = lambda c, kl: expected(dynamics, cost, c, MEAN, SPREAD) + found.eta * kl.sum()  # noqa: E731
    least = objective(best, found.kl)
    for _ in range(10):
        near = best._replace(
            K=best.K + 1e-2 * generator.standard_normal(best.K.shape),
            k=best.k + 1e-2 * generator.standard_normal(best.k.shape),
            chol=best.chol * (1 + 1e-2 * generator.standard_normal(best.chol.shape)),
        )
        means, spreads, *_ = moments(dynamics, near, MEAN, SPREAD)
        assert objective(near, divergence(near, old, means[:-1], spreads[:-1])) > least


def test_a_loose_bound_is_inactive_at_the_first_trial(task):
    found = step(task, 1e6)
    assert (found.status, found.trials) == (Status.INACTIVE, 1)
    np.testing.assert_allclose(found.controller.K, lqr.solve(*task[:2]).K, atol=1e-6)


def test_the_step_does_not_hang_on_the_unit_of_cost(task):
    dynamics, cost, old = task
    scaled = jax.tree.map(lambda part: 1e4 * part, cost)
    found, other = (step((dynamics, c, old), 0.2, eta=eta, tolerance=1e-8) for c, eta in ((cost, 1.0), (scaled, 1e4)))
    np.testing.assert_allclose(other.eta, 1e4 * found.eta, rtol=1e-6)
    np.testing.assert_allclose(other.controller.K, found.controller.K, rtol=1e-6, atol=1e-7)
    assert np.isclose(kl_step.adapted(1.0, 5.0, 3.0, 3.4), kl_step.adapted(1.0, 5e-4, 3e-4, 3.4e-4), rtol=1e-9)


@pytest.mark.parametrize("where", [0, T // 2])  # a failure at step 0 is a failure too
def test_a_cost_that_is_not_convex_raises_eta(task, where):
    dynamics, cost, old = task
    C = cost.C.copy()
    C[where, N:, N:] = -50.0 * np.eye(M)
    found = step((dynamics, cost._replace(C=C), old), 0.2)
    assert found.status == Status.DONE
    assert found.raised > 0
    assert found.kl.mean() < 1.1 * 0.2
    assert (np.linalg.eigvalsh(found.controller.covariance) > 0).all()


def test_where_nothing_is_within_the_bound_the_old_controller_stays(task):
    dynamics, cost, old = task
    for concave, status in ((-1e60, Status.BOUND_UNMET), (np.nan, Status.NONFINITE_MODEL)):
        found = step((dynamics, cost._replace(C=cost.C * 0 + concave * np.eye(N + M)), old), 0.2)
        assert found.status == status
        np.testing.assert_array_equal(found.controller.K, old.K)
        np.testing.assert_array_equal(found.kl, 0.0)


def test_the_bound_follows_how_well_the_model_told():
    assert kl_step.adapted(1.0, 5.0, 3.0, 3.0) == 5.0  # exactly as told
    assert kl_step.adapted(1.0, 5.0, 3.0, 4.0) == 1.0  # half of it came
    assert kl_step.adapted(1.0, 5.0, 3.0, 43.0) == 0.1
    assert kl_step.adapted(1.0, 5.0, 6.0, 4.0) == 0.1  # a rise was foretold
    assert kl_step.adapted(5.0, 5.0, 3.0, 3.0) == 10.0
    assert kl_step.adapted(0.05, 5.0, 6.0, 4.0) == 0.01
    assert np.isfinite(kl_step.adapted(1.0, 0.0, 0.0, 0.0))


def test_one_step_is_plain_or_bounded(task):
    dynamics, cost, old = task
    plain = kl_step.one_step(dynamics, cost, None, "plain", MEAN, SPREAD, sigma=(0.2, 0.01, 0.5))
    best = lqr.solve(dynamics, cost)
    assert (plain.status, plain.repairs, plain.kl, plain.expected_old) == (Status.DONE, 0, None, None)
    np.testing.assert_allclose(plain.controller.K, best.K, rtol=1e-12)
    np.testing.assert_allclose(plain.controller.k, best.k, rtol=1e-12)
    np.testing.assert_allclose(np.trace(plain.controller.covariance, axis1=1, axis2=2).mean() / M, 0.04, rtol=1e-9)
    bounded = kl_step.one_step(dynamics, cost, old, "kl", MEAN, SPREAD, bound=0.2)
    np.testing.assert_array_equal(bounded.controller.K, step(task, 0.2).controller.K)
    assert bounded.expected_old > bounded.expected_new > plain.expected_new
    with pytest.raises(ValueError, match="an old controller"):
        kl_step.one_step(dynamics, cost, None, "kl", MEAN, SPREAD)


def test_a_plain_step_that_is_not_convex_is_regularised_and_counted(task):
    dynamics, cost, _ = task
    C = cost.C.copy()
    C[3, N:, N:] -= 30.0 * np.eye(M)
    found = kl_step.one_step(dynamics, cost._replace(C=C), None, "plain", MEAN, SPREAD)
    assert found.status == Status.DONE
    assert found.repairs > 0
    assert np.isfinite(found.controller.K).all()
    hopeless = kl_step.one_step(dynamics, cost._replace(C=-1e20 * cost.C), None, "plain", MEAN, SPREAD)
    assert hopeless.status == Status.NOT_POSITIVE_DEFINITE
    broken = kl_step.one_step(dynamics, cost._replace(c=np.nan * cost.c), None, "plain", MEAN, SPREAD)
    assert broken.status == Status.NONFINITE_MODEL


@pytest.mark.parametrize("unit", [1e-12, 1e-8, 1e14, 1e20])
def test_the_step_is_the_same_in_any_unit_of_cost(task, unit):
    dynamics, cost, old = task
    found, other = (
        step((dynamics, c, old), 0.1, tolerance=1e-6) for c in (cost, jax.tree.map(lambda p: unit * p, cost))
    )
    assert found.status == other.status == Status.DONE
    np.testing.assert_allclose(other.eta, unit * found.eta, rtol=1e-4)
    np.testing.assert_allclose(other.controller.k, found.controller.k, rtol=1e-4, atol=1e-6)
