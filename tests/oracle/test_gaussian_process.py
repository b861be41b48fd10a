"""Gaussian process regression, against the equations of Rasmussen & Williams written out, and SciPy's density."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from reverie.models import gaussian_process
from reverie.models.gaussian_process import LENGTHS, MOST, NOISES, QUADRATICS


def covariance(a, b, length, rho):
    """k of standardised rows."""
    return np.array([[np.exp(-0.5 * np.sum((p - q) ** 2) / length**2) + rho * (1 + p @ q) ** 2 for q in b] for p in a])


def by_the_book(y, values, new):
    """The posterior mean at new rows, and the log density per point, of the best point of the grid."""
    mean, std = y.mean(0), y.std(0)
    s, at, best = (y - mean) / std, (new - mean) / std, None
    for length, rho, noise in itertools.product(LENGTHS, QUADRATICS, NOISES):
        length = length * np.sqrt(y.shape[1])
        whole = covariance(s, s, length, rho) + noise * np.eye(len(s))
        rest = values - values.mean()
        amplitude = rest @ np.linalg.solve(whole, rest) / len(s)
        density = multivariate_normal(np.zeros(len(s)), amplitude * whole).logpdf(rest) / len(s)
        if best is None or density > best[1]:
            best = values.mean() + covariance(at, s, length, rho) @ np.linalg.solve(whole, rest), density
    return best


FUNCTIONS = {
    "a peak": lambda y: np.exp(-2 * (y**2).sum(1)),
    "a bowl": lambda y: 3.0 - (y**2).sum(1) + y[:, 0] * y[:, 1],
    "a plane": lambda y: 1e3 * y[:, 0] - 5.0,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_it_equals_the_equations(generator, name, noise):
    y, new = generator.standard_normal((25, 2)) * [1.0, 5.0] + [0.0, 3.0], generator.standard_normal((7, 2))
    values = FUNCTIONS[name](y) + noise * generator.standard_normal(25)
    found, (expected, density) = gaussian_process.fit(y, values), by_the_book(y, values, new)
    np.testing.assert_allclose(found.function.value(new), expected, rtol=1e-6, atol=1e-6)
    constant = -0.5 * (1 + np.log(2 * np.pi))  # per point, of a normal density whose amplitude is at its maximum
    assert found.evidence + constant == pytest.approx(density, abs=1e-6)


def test_a_narrow_peak_is_found_where_a_quadratic_finds_none(generator):
    y, new = generator.uniform(-2, 2, (300, 2)), generator.uniform(-2, 2, (200, 2))
    found = gaussian_process.fit(y, FUNCTIONS["a peak"](y)).function
    assert np.abs(found.value(new) - FUNCTIONS["a peak"](new)).max() < 0.1


def test_a_quadratic_goes_on_beyond_the_points(generator):
    y, far = generator.uniform(-1, 1, (60, 3)), 3 * generator.uniform(-1, 1, (50, 3))
    found = gaussian_process.fit(y, FUNCTIONS["a bowl"](y)).function
    np.testing.assert_allclose(found.value(far), FUNCTIONS["a bowl"](far), atol=0.3)


def test_the_inputs_that_explain_values_have_more_evidence(generator):
    one, other = generator.standard_normal((2, 80, 2))
    values = FUNCTIONS["a peak"](one) + 0.02 * generator.standard_normal(80)
    evidence = [gaussian_process.fit(y, values).evidence for y in (one, np.hstack([one, other]), other)]
    assert evidence == sorted(evidence, reverse=True)


@pytest.mark.parametrize("points", [1, 5, MOST + 50])
def test_any_number_of_points_will_do(generator, points):
    y = generator.standard_normal((points, 2))
    found = gaussian_process.fit(y, y[:, 0]).function
    assert len(found.points) == min(points, MOST)
    np.testing.assert_allclose(found.value(y), y[:, 0], atol=0.2)


def test_equal_values_are_a_constant(generator):
    found = gaussian_process.fit(generator.standard_normal((20, 2)), np.full(20, -3.0))
    np.testing.assert_array_equal(found.function.value(100 * generator.standard_normal((5, 2))), -3.0)
    assert np.isfinite(found.evidence)


def test_coordinates_that_never_change_do_no_harm(generator):
    y = np.hstack([generator.standard_normal((30, 1)), np.full((30, 1), 7.0)])
    np.testing.assert_allclose(gaussian_process.fit(y, y[:, 0]).function.value(y), y[:, 0], atol=1e-2)
