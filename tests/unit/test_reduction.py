"""Long curves with few points, worked out by hand."""

import math

import numpy as np

from reverie.report.reduction import Reduced, reduced, thinned


def test_few_points_stay_as_they_are():
    assert reduced(np.array([1, 2]), np.array([3.0, math.inf]), 2) == Reduced([1, 2], [3.0, math.inf])
    assert reduced(np.array([]), np.array([]), 2) == Reduced([], [])


def test_many_points_become_means_of_stretches_with_their_range():
    found = reduced(np.arange(1, 7), np.array([1.0, 3.0, 5.0, 7.0, -2.0, 6.0]), 3)
    assert found == Reduced([2, 4, 6], [2.0, 6.0, 2.0], [1.0, 5.0, -2.0], [3.0, 7.0, 6.0])


def test_what_is_not_finite_does_not_count_and_a_stretch_of_it_is_a_gap():
    found = reduced(np.arange(6), np.array([1.0, math.nan, math.inf, -math.inf, 4.0, 6.0]), 3)
    assert (found.y[0], found.y[2]) == (1.0, 5.0) and math.isnan(found.y[1]) and math.isnan(found.low[1])


def test_no_point_is_lost_or_counted_twice_where_stretches_differ_in_length():
    y = np.random.default_rng(0).standard_normal(1003)
    found = reduced(np.arange(1003), y, 400)
    assert len(found.x) == len(found.y) == 400 and found.x[-1] == 1002
    assert min(found.low) == y.min() and max(found.high) == y.max()
    sizes = np.diff([-1, *found.x])
    np.testing.assert_allclose(np.dot(sizes, found.y), y.sum())


def test_single_points_are_thinned_evenly():
    assert thinned(np.arange(5), np.arange(5) * 2.0, 3) == Reduced([0, 2, 4], [0.0, 4.0, 8.0])
    assert thinned(np.array([]), np.array([]), 3) == Reduced([], [])
    assert thinned(np.array([7]), np.array([8.0]), 3) == Reduced([7], [8.0])
