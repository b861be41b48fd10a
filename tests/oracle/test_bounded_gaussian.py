"""Densities of bounded actions against SciPy, quadrature and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from reverie.maths import bounded_gaussian

SETTINGS = [(0.0, 0.5), (0.8, 0.3), (-1.5, 1.0), (0.2, 2.0)]  # mean, σ


def integral(values, points):
    return np.trapezoid(values, points)


@pytest.mark.parametrize(("mean", "std"), SETTINGS)
def test_a_squashed_density_is_that_of_tanh_and_integrates_to_one(mean, std):
    """p(u) = p(z) / (1 - u²) at z = artanh u: the change of variables, and a draw is tanh of one."""
    z = np.linspace(mean - 8 * std, mean + 8 * std, 40_001)
    u, log_density = bounded_gaussian.sample(
        jnp.full((len(z), 1), mean), jnp.full((len(z), 1), np.log(std)), jnp.asarray((z - mean) / std)[:, None]
    )
    np.testing.assert_allclose(u[:, 0], np.tanh(z), atol=1e-6)
    inner = np.abs(z) < 3  # 1 - u² loses digits beyond, which is why the code does not form it
    expected = stats.norm.logpdf(z, mean, std) - np.log1p(-(np.tanh(z) ** 2))
    np.testing.assert_allclose(log_density[inner], expected[inner], rtol=1e-4, atol=1e-4)
    exact = np.cosh(z) ** -2  # du/dz
    assert integral(np.exp(np.asarray(log_density, float)) * exact, z) == pytest.approx(1.0, abs=1e-3)


def test_a_squashed_density_sums_over_actuators_and_holds_where_tanh_is_flat():
    mean, log_std, noise = jnp.array([20.0, -25.0]), jnp.array([0.0, -1.0]), jnp.array([0.5, -0.3])
    _, log_density = bounded_gaussian.sample(mean, log_std, noise)
    z = np.array([20.5, -25.0 - 0.3 * np.exp(-1)])
    slope = np.log(4.0) - 2 * np.abs(z)  # log (1 - tanh² z) for large |z|
    expected = (stats.norm.logpdf([0.5, -0.3]) - np.array([0.0, -1.0]) - slope).sum()
    assert float(log_density) == pytest.approx(expected, rel=1e-6)
    slopes = jax.grad(lambda mean: bounded_gaussian.sample(mean, log_std, noise)[1])(mean)
    np.testing.assert_allclose(slopes, [2.0, -2.0], rtol=1e-5)  # - d/dz log (1 - tanh² z)


@pytest.mark.parametrize(("mean", "std"), SETTINGS)
def test_a_clipped_density_is_a_gaussian_within_and_the_mass_beyond_at_the_bounds(mean, std):
    log_std = jnp.array([np.log(std)])
    u = np.linspace(-1, 1, 20_001)
    logs = bounded_gaussian.clipped_log_density(jnp.full((len(u), 1), mean), log_std[None], jnp.asarray(u)[:, None])
    density = np.exp(np.asarray(logs, float))
    np.testing.assert_allclose(logs[1:-1], stats.norm.logpdf(u[1:-1], mean, std), rtol=1e-4, atol=1e-4)
    assert density[0] == pytest.approx(stats.norm.cdf(-1, mean, std), rel=1e-4)
    assert density[-1] == pytest.approx(stats.norm.sf(1, mean, std), rel=1e-4)
    within = stats.norm.cdf(1, mean, std) - stats.norm.cdf(-1, mean, std)
    inner = np.concatenate([[density[1]], density[1:-1], [density[-2]]])
    assert integral(inner, u) == pytest.approx(within, abs=1e-4)
    assert density[0] + density[-1] + integral(inner, u) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("mean", "std"), SETTINGS)
def test_the_gradient_of_clipped_actions_is_unbiased(mean, std):
    """E [f(u) ∇ log π(u)] over all that u can be equals ∇ E f(clip(z)), for mean and log σ alike."""

    def f(u):
        return 1.0 + 2.0 * u - 3.0 * u**3

    z = np.linspace(-16, 16, 400_001)

    def expected(mean, log_std):
        return integral(f(np.clip(z, -1, 1)) * stats.norm.pdf(z, mean, np.exp(log_std)), z)

    log_std, h = np.log(std), 1e-4
    truth = [
        (expected(mean + h, log_std) - expected(mean - h, log_std)) / (2 * h),
        (expected(mean, log_std + h) - expected(mean, log_std - h)) / (2 * h),
    ]
    u = np.linspace(-1, 1, 20_001)
    score = jax.vmap(
        jax.grad(lambda p, u: bounded_gaussian.clipped_log_density(p[:1], p[1:], u[None])), in_axes=(None, 0)
    )(jnp.array([mean, log_std]), jnp.asarray(u))
    score = np.asarray(score, float)
    masses = np.array([stats.norm.cdf(-1, mean, std), stats.norm.sf(1, mean, std)])
    found = masses @ (f(u[[0, -1]])[:, None] * score[[0, -1]])
    inner = f(u)[:, None] * score * stats.norm.pdf(u, mean, std)[:, None]
    inner[0], inner[-1] = inner[1], inner[-2]
    found += np.trapezoid(inner, u, axis=0)
    np.testing.assert_allclose(found, truth, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("action", [-1.0, 0.3, 1.0])
def test_a_clipped_gradient_is_finite_far_from_the_action(action):
    slopes = jax.grad(bounded_gaussian.clipped_log_density, argnums=(0, 1))(
        jnp.array([-60.0, 60.0]), jnp.array([-2.0, -2.0]), jnp.array([action, action])
    )
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_entropy_is_the_gaussians():
    log_std = np.array([0.3, -1.2])
    assert float(bounded_gaussian.entropy(jnp.asarray(log_std))) == pytest.approx(
        sum(stats.norm.entropy(0, np.exp(log_std))), rel=1e-6
    )
