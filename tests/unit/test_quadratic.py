"""The quadratic advantage and the noise shaped by it, against numbers worked out by hand and plain linear algebra."""

import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from reverie.maths import quadratic

numbers = st.floats(-2.0, 2.0, width=32)


@pytest.mark.parametrize("xp", [np, jnp])
def test_lower_triangle_by_hand(xp):
    found = quadratic.lower_triangle(xp.asarray([0.0, 2.0, np.log(3.0)], dtype=xp.float32), 2)
    np.testing.assert_allclose(np.asarray(found), [[1.0, 0.0], [2.0, 3.0]], rtol=1e-6)


def test_off_diagonal_entries_may_be_large():
    found = quadratic.lower_triangle(np.asarray([0.0, 200.0, 0.0], np.float32), 2)
    np.testing.assert_array_equal(found, [[1.0, 0.0], [200.0, 1.0]])


def test_advantage_by_hand():
    lower = jnp.asarray([[1.0, 0.0], [2.0, 3.0]])  # P = [[1, 2], [2, 13]]
    found = quadratic.advantage(jnp.asarray([0.5, -0.5]), jnp.asarray([0.0, 0.5]), lower)
    assert found == pytest.approx(-0.5 * (0.25 * 1 + 2 * 0.5 * -1.0 * 2 + 13 * 1.0))


@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=4, max_size=4))
def test_advantage_is_negative_and_zero_only_at_the_mean(entries, points):
    lower = quadratic.lower_triangle(np.asarray(entries, np.float64), 2)
    action, mean = np.asarray(points[:2]), np.asarray(points[2:])
    assert quadratic.advantage(mean, mean, lower) == 0.0
    value = quadratic.advantage(action, mean, lower)
    assert value <= 0.0
    assert value == pytest.approx(-0.5 * (action - mean) @ (lower @ lower.T) @ (action - mean), abs=1e-9)


def test_precision_noise_has_covariance_c_times_inverse_precision(generator):
    lower = np.asarray([[0.3, 0.0], [1.0, 2.0]])
    draws = np.array([quadratic.precision_noise(lower, z) for z in generator.standard_normal((40_000, 2))])
    inverse = np.linalg.inv(lower @ lower.T)
    np.testing.assert_allclose(np.cov(draws.T), inverse * 2 / np.trace(inverse), atol=0.03)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_precision_noise_keeps_its_size(scale, generator):
    lower = (np.asarray([[0.3, 0.0], [1.0, 2.0]]) * scale).astype(np.float32)
    draws = np.array(
        [quadratic.precision_noise(lower, z) for z in generator.standard_normal((20_000, 2)).astype(np.float32)]
    )
    assert np.mean((draws**2).sum(1)) == pytest.approx(2.0, rel=0.03)
