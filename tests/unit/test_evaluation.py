import numpy as np
import pytest
from scipy import stats

from reverie.loops.evaluation import summary


@pytest.mark.parametrize("count", [2, 5, 20, 31])
def test_interval_is_students(count, generator):
    values = generator.normal(size=count).tolist()
    found = summary(values)
    low, high = stats.t.interval(0.95, count - 1, np.mean(values), stats.sem(values))
    assert found["interval_95"] == pytest.approx([low, high], rel=1e-3)


def test_the_normal_is_near_enough_for_many(generator):
    values = generator.normal(size=40).tolist()
    half = stats.t.ppf(0.975, 39) * stats.sem(values)
    found = summary(values)
    assert found["interval_95"][1] - found["mean"] == pytest.approx(half, rel=0.04)


def test_one_episode_says_nothing_of_its_spread():
    assert summary([3.0]) == {"mean": 3.0, "std": 0.0, "interval_95": [None, None], "episodes": 1, "returns": [3.0]}
