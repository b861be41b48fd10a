"""The box-constrained step against all 3^m ways of clamping its coordinates."""

import itertools

import jax
import numpy as np
import pytest

from plants import definite
from reverie.control import box_qp
from reverie.core.status import Status
from reverie.maths.precision import double

solve, feedback = double(box_qp.solve), double(box_qp.feedback)


def enumerated(H, g, low, high):
    """Return the best feasible point over all active sets, and which of its coordinates are free."""
    best, found = np.inf, None
    for sides in itertools.product((-1, 0, 1), repeat=len(g)):
        sides = np.array(sides)
        k, free = np.where(sides < 0, low, high), sides == 0
        if free.any():
            k[free] = np.linalg.solve(H[np.ix_(free, free)], -(g + H[:, ~free] @ k[~free])[free])
        value = 0.5 * k @ H @ k + g @ k
        if (k >= low - 1e-12).all() and (k <= high + 1e-12).all() and value < best - 1e-13:
            best, found = value, (k, free)
    return found


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_it_is_the_best_of_all_active_sets(generator, m):
    for _ in range(40):
        H, g = definite(generator, m), 2 * generator.standard_normal(m)
        low, high = -generator.uniform(0, 1, m), generator.uniform(0, 1, m)
        found = solve(H, g, low, high, generator.standard_normal(m))
        k, free = enumerated(H, g, low, high)
        assert found.status == Status.DONE
        np.testing.assert_allclose(found.k, k, atol=1e-9)
        np.testing.assert_array_equal(found.free, free)


def test_a_narrow_box_clamps_all_controls_and_a_wide_one_none(generator):
    H, g = definite(generator, 3), np.array([50.0, -50.0, 50.0])
    one = np.ones(3)
    clamped = solve(H, g, -one, one, 0 * one)
    np.testing.assert_array_equal(clamped.k, [-1, 1, -1])
    assert not clamped.free.any()
    wide = solve(H, g, -1e3 * one, 1e3 * one, 0 * one)
    np.testing.assert_allclose(wide.k, -np.linalg.solve(H, g), rtol=1e-10)
    assert wide.free.all()
    endless = solve(H, g, -np.inf * one, np.inf * one, 0 * one)
    np.testing.assert_allclose(endless.k, wide.k, rtol=1e-12)
    fixed = solve(H, 0 * g, np.array([0.3, -1, -1]), np.array([0.3, 1, 1]), 0 * one)
    assert fixed.k[0] == 0.3
    np.testing.assert_array_equal(fixed.free, [False, True, True])
    np.testing.assert_allclose(fixed.k[1:], -np.linalg.solve(H[1:, 1:], 0.3 * H[1:, 0]), rtol=1e-10)


def test_feedback_is_that_of_the_free_coordinates_alone(generator):
    H, Hux = definite(generator, 3), generator.standard_normal((3, 4))
    found = solve(H, np.array([50.0, 0.1, 0.1]), -np.ones(3), np.ones(3), np.zeros(3))
    K = feedback(H, found, Hux)
    np.testing.assert_array_equal(found.free, [False, True, True])
    np.testing.assert_array_equal(K[0], 0.0)
    np.testing.assert_allclose(K[1:], -np.linalg.solve(H[1:, 1:], Hux[1:]), rtol=1e-10)


def test_an_indefinite_matrix_is_told():
    found = solve(np.diag([1.0, -1.0]), np.ones(2), -np.ones(2), np.ones(2), np.zeros(2))
    assert found.status == Status.NOT_POSITIVE_DEFINITE
    assert np.isfinite(found.k).all()


def test_boxes_side_by_side_are_each_alone(generator):
    H, g, start = definite(generator, 3, 8), 3 * generator.standard_normal((8, 3)), np.zeros((8, 3))
    low, high = np.full((8, 3), -0.5), np.full((8, 3), 0.5)
    with jax.enable_x64(True):
        together = jax.vmap(box_qp.solve)(H, g, low, high, start)
    for i in range(8):
        np.testing.assert_allclose(together.k[i], solve(H[i], g[i], low[i], high[i], start[i]).k, atol=1e-10)


@pytest.mark.parametrize("m", [1, 3])
def test_done_is_claimed_of_a_minimum_alone(generator, m):
    H, g, one = definite(generator, m), generator.standard_normal(m), np.ones(m)
    broken = np.where(np.arange(m) == 0, np.nan, 1.0)
    for given in ((H * broken, g), (H, g * broken), (H * np.inf, g)):
        assert solve(*given, -one, one, 0 * one).status == Status.NONFINITE_MODEL
    assert solve(H, g, one * broken, one, 0 * one).status == Status.NONFINITE_MODEL
    assert solve(H, g, one, -one, 0 * one).status == Status.INFEASIBLE


def test_where_rounding_ends_the_search_it_says_whether_the_gradient_vanishes(generator):
    for _ in range(300):
        m = int(generator.choice([2, 3, 6]))
        vectors = np.linalg.qr(generator.standard_normal((m, m)))[0]
        H = (vectors * 10.0 ** generator.uniform(-8, 4, m)) @ vectors.T
        H, g = 0.5 * (H + H.T), 2 * generator.standard_normal(m)
        low, high = -generator.uniform(0, 1, m), generator.uniform(0, 1, m)
        found = solve(H, g, low, high, generator.standard_normal(m))
        left = np.abs(np.where(found.free, H @ found.k + g, 0.0)).max()
        flat = left <= 1e-6 * (np.abs(g) + np.abs(H) @ np.abs(found.k)).max()
        assert flat or found.status == Status.MAX_ITERATIONS
