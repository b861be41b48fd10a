import math

import numpy as np
import pytest
from scipy import stats

from reverie.training.evaluation import summary


def test_one_episode_says_nothing_of_its_spread():
    assert summary([3.0]) == {"mean": 3.0, "std": 0.0, "interval_95": [None, None], "episodes": 1, "returns": [3.0]}


@pytest.mark.parametrize("n", [2, 3, 10, 31, 32, 45, 500])
def test_the_interval_is_students(n, generator):
    returns = generator.standard_normal(n)
    expected = stats.t.interval(0.95, n - 1, returns.mean(), stats.sem(returns))
    np.testing.assert_allclose(summary(returns.tolist())["interval_95"], expected, rtol=1e-9)


@pytest.mark.parametrize("returns", [[math.nan, 1.0], [math.inf, 1.0], [-math.inf, -math.inf], [math.nan]])
def test_returns_that_are_not_finite_leave_no_interval(returns):
    found = summary(returns)
    assert math.isnan(found["mean"]) and found["interval_95"] == [None, None]


def test_returns_near_the_largest_number_have_a_mean():
    found = summary([1e308, 1e308, 1e308])
    assert found["mean"] == pytest.approx(1e308) and found["std"] == pytest.approx(0.0, abs=1e293)
    assert summary([2.0, 2.0])["interval_95"] == [2.0, 2.0]
    assert summary([2.0])["interval_95"] == [None, None]
