"""Gaussians by hand and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from reverie.maths import gaussian
from reverie.maths.gaussian import Joint, Prior


@pytest.fixture
def joint(generator):
    root = generator.standard_normal((3, 5, 5))
    return Joint(generator.standard_normal((3, 5)), root @ root.swapaxes(1, 2) + 0.1 * np.eye(5))


def test_posterior_of_two_samples_and_a_prior_by_hand():
    """z = 1, 3: N S = 2.  μ0 = 0, Φ = 4, m0 = 1, n0 = 2: Σ = (2 + 4 + ⅔·4)/4 = 13/6, mean 2·2/3."""
    found = gaussian.posterior(
        np.array(2.0), np.array([2.0]), np.array([[2.0]]), Prior(np.zeros(1), np.array([[4.0]]), 1.0, 2.0)
    )
    assert found.mean[0] == pytest.approx(4 / 3)
    assert found.covariance[0, 0] == pytest.approx(13 / 6)


def test_without_samples_the_prior_is_left_and_without_prior_the_samples(joint):
    prior = Prior(joint.mean, 5.0 * joint.covariance, 2.0, 5.0)
    alone = gaussian.posterior(np.zeros(3), np.full((3, 5), 9.0), np.zeros((3, 5, 5)), prior)
    np.testing.assert_allclose(alone.mean, joint.mean)
    np.testing.assert_allclose(alone.covariance, joint.covariance)
    none = Prior(np.zeros((3, 5)), np.zeros((3, 5, 5)), 0.0, 0.0)
    samples = gaussian.posterior(np.full(3, 7.0), joint.mean, 7.0 * joint.covariance, none)
    np.testing.assert_allclose(samples.mean, joint.mean)
    np.testing.assert_allclose(samples.covariance, joint.covariance)


def test_conditional_and_marginal_make_the_joint(joint):
    given = gaussian.condition(joint, 3)
    for k in range(3):
        z = joint.mean[k] + np.arange(5) / 3
        whole = stats.multivariate_normal(joint.mean[k], joint.covariance[k]).logpdf(z)
        margin = stats.multivariate_normal(joint.mean[k, :3], joint.covariance[k, :3, :3]).logpdf(z[:3])
        rest = stats.multivariate_normal(given.F[k] @ z[:3] + given.f[k], given.covariance[k]).logpdf(z[3:])
        assert margin + rest == pytest.approx(whole)


def test_singular_is_an_error(joint):
    with pytest.raises(np.linalg.LinAlgError):
        gaussian.condition(Joint(joint.mean, np.zeros((3, 5, 5))), 3)


def test_factors_are_lower_and_mend_what_rounding_broke(joint):
    lower = gaussian.factor(joint.covariance)
    np.testing.assert_allclose(lower @ lower.swapaxes(1, 2), joint.covariance, atol=1e-9)
    np.testing.assert_array_equal(lower, np.tril(lower))
    broken = np.diag([1.0, -1e-3])
    mended = gaussian.factor(broken)
    np.testing.assert_allclose(mended @ mended.T, np.diag([1.0, 0.0]), atol=1e-8)


def test_log_density_is_scipys(joint):
    x = joint.mean + 0.3
    found = gaussian.log_density(x, joint.mean, np.linalg.cholesky(joint.covariance))
    wanted = [stats.multivariate_normal(*part).logpdf(row) for *part, row in zip(*joint, x, strict=True)]
    np.testing.assert_allclose(found, wanted)
