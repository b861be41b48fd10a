"""Linear-Gaussian controllers: their density, their two forms, and the noise of maximum entropy."""

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from plants import definite
from reverie.control import controller
from reverie.control.controller import Controller, maximum_entropy
from reverie.maths.precision import double

T, M, N = 5, 2, 3


def some(generator):
    chol = np.linalg.cholesky(definite(generator, M, T))
    return Controller(generator.standard_normal((T, M, N)), generator.standard_normal((T, M)), chol)


def test_density_and_precision(generator):
    c, X, U = some(generator), generator.standard_normal((T + 1, N)), generator.standard_normal((T, M))
    found = double(controller.log_density)(c, X, U)
    for t in range(T):
        exact = multivariate_normal(c.K[t] @ X[t] + c.k[t], c.covariance[t]).logpdf(U[t])
        np.testing.assert_allclose(found[t], exact, rtol=1e-10)
    np.testing.assert_allclose(double(controller.precision)(c), np.linalg.inv(c.covariance), rtol=1e-9)


def test_actions_have_the_covariance_that_is_said(generator):
    c, x = some(generator), generator.standard_normal(N)
    drawn = np.array([c.act(2, x, e) for e in generator.standard_normal((50_000, M))])
    np.testing.assert_allclose(drawn.mean(0), c.K[2] @ x + c.k[2], atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), c.covariance[2], atol=0.05 * c.covariance[2].max())


def test_both_forms_act_alike(generator):
    c, x_hat, u_hat = some(generator), generator.standard_normal((T + 1, N)), generator.standard_normal((T, M))
    k = controller.offsets(x_hat, u_hat, c.K, c.k, 0.3)
    x = generator.standard_normal(N)
    for t in range(T):
        np.testing.assert_allclose(c.K[t] @ x + k[t], u_hat[t] + 0.3 * c.k[t] + c.K[t] @ (x - x_hat[t]), rtol=1e-10)


def test_the_maximum_entropy_controller_minimises_its_objective_at_the_given_spread(generator):
    c, Quu = some(generator), definite(generator, M, T)
    found = maximum_entropy(c.K, c.k, Quu, 0.2, 1e-6, 1e6)
    np.testing.assert_allclose(np.trace(found.covariance, axis1=1, axis2=2).mean() / M, 0.04, rtol=1e-10)
    scale = found.covariance @ Quu  # c I at every step
    np.testing.assert_allclose(scale, scale[0, 0, 0] * np.tile(np.eye(M), (T, 1, 1)), atol=1e-10)

    def objective(spread):  # E ℓ - c entropy, the parts that depend on Σ
        return 0.5 * np.trace(Quu[1] @ spread) - 0.5 * scale[0, 0, 0] * np.linalg.slogdet(spread)[1]

    for _ in range(20):
        change = 1e-3 * generator.standard_normal((M, M)) * found.covariance[1].max()
        assert objective(found.covariance[1] + change + change.T) > objective(found.covariance[1])
    scaled = maximum_entropy(c.K, c.k, 7.0 * Quu, 0.2, 1e-6, 1e6)  # cost times 7: c times 7
    np.testing.assert_allclose(scaled.chol, found.chol, rtol=1e-9)
    assert np.allclose(found.chol, np.tril(found.chol))


def test_flat_and_steep_directions_keep_within_the_clips(generator):
    c, Quu = some(generator), np.tile(np.diag([1e-12, 1e12]), (T, 1, 1))
    found = maximum_entropy(c.K, c.k, Quu, 0.2, 0.1, 0.2)
    np.testing.assert_allclose(np.linalg.eigvalsh(found.covariance)[:, 1], 0.04, rtol=1e-9)
    mixed = np.where(np.arange(T)[:, None, None] < 4, np.eye(M), 1e-9 * np.eye(M))  # the last step is flat
    found = maximum_entropy(c.K, c.k, mixed, 0.2, 0.05, 0.3)
    np.testing.assert_allclose(np.trace(found.covariance, axis1=1, axis2=2).mean() / M, 0.04, rtol=1e-9)
    np.testing.assert_allclose(found.covariance[-1], 0.09 * np.eye(M), rtol=1e-9)
    with pytest.raises(ValueError, match="does not hold"):
        maximum_entropy(c.K, c.k, Quu, 0.2, 0.3, 0.5)


def test_controllers_side_by_side(generator):
    c, X, U = some(generator), generator.standard_normal((8, T + 1, N)), generator.standard_normal((8, T, M))
    with jax.enable_x64(True):
        together = jax.vmap(controller.log_density, (None, 0, 0))(c, X, U)
    np.testing.assert_allclose(together[3], double(controller.log_density)(c, X[3], U[3]), rtol=1e-10)
