"""What curves say, worked out by hand."""

import math

import numpy as np
import pytest

from result_folders import filled, outcome
from reverie.experiments.analysis.statistics import (
    Curve,
    Estimate,
    curves,
    difference,
    improvement,
    mean_improvement,
    mean_score,
    number,
    pooled,
    times_fewer,
    times_sooner,
    times_to_common_goal,
)

INF = np.inf


def curve(*scores, every=10, still=None):
    """Return a curve of some seeds' scores, one tested every 10 episodes."""
    scores = np.array(scores, float)
    stills = np.ones_like(scores) if still is None else np.array(still, float)
    return Curve(every * np.arange(1, scores.shape[1] + 1), scores, stills, tuple(range(len(scores))))


def test_best_is_each_seeds_highest():
    assert curve([-9, -2, -5], [-INF, -7, -INF], [-INF] * 3).best.tolist() == [-2.0, -7.0, -INF]


def test_last_is_the_mean_of_the_last_tenth():
    rising = list(range(20))
    assert curve(rising, rising[::-1]).last.tolist() == [18.5, 0.5]
    assert curve([1, 2, 3, 4]).last.tolist() == [4.0]  # one score at least
    assert curve([*rising[:-1], -INF]).last.tolist() == [-INF]


def test_how_many_come_to_rest_is_that_of_the_last_tenth():
    stills = [0.0] * 18 + [0.5, 1.0]
    assert curve([0.0] * 20, still=[stills]).still.tolist() == [0.75]


@pytest.mark.parametrize(
    ("scores", "episodes"),
    [
        ([-10.0, -2.05, -2.0, -3.0], 20),  # within 5 % of -2 is -2.1 and above
        ([-10.0, -2.11, -2.0, -3.0], 30),
        ([1.0, 9.5, 10.0, 4.0], 20),  # and of 10, 9.5
        ([1.0, 9.49, 10.0, 4.0], 30),
        ([5.0, 1.0, 5.0, 1.0], 10),  # the first time, not the last
        ([-1.0, 0.0, 0.0, -1.0], 20),
        ([-INF, -INF, -4.0, -INF], 30),
        ([-4.0, -INF, -INF, -INF], 10),
    ],
)
def test_episodes_to_within_5_percent_of_the_best(scores, episodes):
    assert curve(scores).to_best.tolist() == [episodes]
    assert curve([0.0, -50.0, 0.0, 0.0], scores).to_best.tolist() == [10, episodes]


def test_who_never_scored_never_came_to_a_best():
    assert curve([-INF] * 4).to_best.tolist() == [INF]


def test_episodes_to_a_score():
    found = curve([-10, -2, -1, -5], [-3, -2.5, -2.5, -2.5], [3, 4, 5, 6], [-INF, -INF, -INF, -2])
    assert found.to(-2.0).tolist() == [20, INF, 10, 40]
    assert found.to(6.0).tolist() == [INF, INF, 40, INF]


# ---- estimates


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.1, 2.0, True, False),
        (-2.0, -0.1, False, True),
        (-1.0, 1.0, False, False),
        (0.0, 1.0, False, False),
        (-1.0, 0.0, False, False),
        (math.nan, math.nan, False, False),
        (-INF, INF, False, False),
    ],
)
def test_an_estimate_is_above_or_below_with_all_of_its_interval(low, high, above, below):
    found = Estimate(0.5, low, high, 5)
    assert (found.above, found.below) == (above, below)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.60451, "-0.605"),
        (12.345, "12.3"),
        (99.96, "100"),
        (1234.5, "1234"),
        (-1234.5, "-1234"),
        (0.0, "0"),
        (INF, "never"),
        (-INF, "diverged"),
        (math.nan, "–"),
    ],
)
def test_a_number_has_three_digits(value, text):
    assert number(value) == text


def test_an_estimate_is_written_with_its_interval():
    assert str(Estimate(1.5, -1.0, 260.4, 5)) == "1.5 [-1, 260]"
    assert str(Estimate(-2.0, -INF, -1.0, 5)) == "-2 [diverged, -1]"
    assert str(Estimate(1.5, math.nan, math.nan, 1)) == "1.5"


def test_an_infinite_ratio_is_not_never():
    assert "never" not in str(times_fewer(np.full(3, INF), np.full(3, 50.0)))


def test_scores_and_their_differences_by_hand():
    found = mean_score(np.array([2.0, 2.0, 2.0]))
    assert found == (2.0, 2.0, 2.0, 3)
    assert difference(np.full(3, 5.0), np.full(4, 7.0)) == (-2.0, -2.0, -2.0, 3)
    found = difference(np.array([4.0, 0.0, 5.0, 100.0]), np.array([1.0, 1.0]))
    assert found.value == 3.5 and found.low < 3.5 < found.high and found.seeds == 2
    assert improvement(np.array([2.0, 2.0]), np.array([1.0, 2.0])).value == 0.75
    alone = mean_score(np.array([2.0]))
    assert alone.value == 2.0 and math.isnan(alone.low) and math.isnan(alone.high) and alone.seeds == 1


def test_scores_are_pooled_over_domains_each_resampled_within_itself():
    found = pooled([np.array([0.0, 0.0]), np.array([1.0, 1.0, 1.0, 4.0, 4.0, 4.0])])
    assert found.value == 1.75 and found.seeds == 8  # of 0 0 1 1 1 4 4 4 the middle four
    # Without a spread of their own domains leave none, however far apart they are: 0 0 1 of 0 0 0 1 1.
    assert pooled([np.zeros(3), np.ones(2)]) == pytest.approx((1 / 3, 1 / 3, 1 / 3, 5))
    assert math.isnan(pooled([np.zeros(3), np.ones(1)]).low)


def test_improvements_are_averaged_over_domains():
    one, other = (np.array([2.0, 2.0]), np.array([1.0, 2.0])), (np.array([0.0, 0.0]), np.array([1.0, 1.0]))
    assert mean_improvement([one, other]).value == 0.375
    assert mean_improvement([other[::-1], other]) == (0.5, 0.5, 0.5, 2)


def test_the_same_seeds_get_the_same_interval_whatever_came_before(generator):
    x, y = generator.standard_normal(5), generator.standard_normal(5)
    first = difference(x, y)
    mean_score(x)
    assert difference(x.copy(), y.copy()) == first


def test_who_diverged_has_the_lowest_score_there_is():
    found = difference(np.array([-INF] * 3), np.array([-1.0, -2.0, -3.0]))
    assert (found.value, found.low, found.high) == (-INF, -INF, -INF) and found.below
    assert difference(np.array([-1.0, -2.0]), np.array([-INF, -INF])).above


def test_a_diverged_seed_on_either_side_leaves_an_interval():
    found = difference(np.array([-INF, 11.0, 12.0, 13.0, 14.0]), np.array([-INF, 1.0, 2.0, 3.0, 4.0]))
    assert found.value == 10.0 and not math.isnan(found.low) and not math.isnan(found.high)


def test_times_fewer_by_hand():
    found = times_fewer(np.array([100.0, 200.0, 300.0]), np.array([50.0, 50.0, 50.0]))
    assert found == (4.0, 2.0, 6.0, 3)  # a median of three that are drawn is 100 in 7 of 27 draws
    assert times_fewer(np.array([60.0, 60.0]), np.array([30.0, 90.0, 30.0])).value == 2.0


def test_times_fewer_where_somebody_never_arrives():
    never, soon, mixed = np.full(3, INF), np.full(3, 50.0), np.array([50.0, 50.0, INF])
    assert times_fewer(soon, never) == (0.0, 0.0, 0.0, 3)
    assert times_fewer(never, soon) == (INF, INF, INF, 3)
    found = times_fewer(never, never)
    assert math.isnan(found.value) and found[1:] == (0.0, INF, 3)  # nobody knows who would have come first
    assert times_fewer(soon, mixed) == (1.0, 0.0, 1.0, 3)
    found = times_fewer(mixed, mixed)  # both are never in 49 of 729 draws
    assert found == (1.0, 0.0, INF, 3)
    assert times_fewer(mixed, soon) == (1.0, 1.0, INF, 3)


# A plain contender that comes to where it ends at its end alone: -1 after 100 episodes.
RISING = list(range(-10, 0))


def test_times_sooner_by_hand():
    quick, slow = [-5, -1] + [-1] * 8, [-5] * 4 + [-1] * 6
    assert times_sooner(curve(RISING, RISING), curve(quick, quick)) == (5.0, 5.0, 5.0, 2)
    found = times_sooner(curve(RISING, RISING), curve(quick, slow, slow))
    assert found == (2.0, 2.0, 5.0, 2)  # medians of three seeds drawn: 20 or 50
    assert times_sooner(curve(RISING, RISING), curve(RISING, RISING, RISING)).value == 1.0
    assert times_sooner(curve(RISING, RISING), curve([-5] * 10, [-1.01] * 10)) == (0.0, 0.0, 0.0, 2)


def test_the_goal_of_times_sooner_is_drawn_too():
    """Plain seeds come to -1 or to -3 at their end: the other is at -3 after 20 episodes, at -2 and -1 after 80."""
    plain = curve([-10] * 9 + [-1], [-10] * 9 + [-3])
    found = times_sooner(plain, curve(*[[-9, -3, -3, -3, -3, -3, -3, -1, -1, -1]] * 2))
    # Drawn twice, either comes to where it ends; of both, one never comes to -2, so the middle of both is never.
    assert found == (INF, 1.25, INF, 2)


def test_a_goal_that_diverged_is_reached_at_once():
    plain, other = curve([-3, -INF], [-3, -INF]), curve([-9, -9], [-9, -9])
    assert times_sooner(plain, other) == times_sooner(plain, other, 0.05) == (1.0, 1.0, 1.0, 2)


def test_a_score_may_count_as_reached_within_a_share_of_it():
    plain = curve([-10] * 9 + [-2], [-10] * 9 + [-2])
    other = curve(*[[-9, -2.1, -2.1, -2, -2, -2, -2, -2, -2, -2]] * 2)
    assert times_sooner(plain, other) == (2.5, 2.5, 2.5, 2)
    assert times_sooner(plain, other, 0.05) == (5.0, 5.0, 5.0, 2)
    assert times_sooner(curve([1, 2, 2]), curve([1.9, 2, 2]), 0.05).value == 2.0  # also above 0


def test_the_common_goal_is_near_the_lower_of_both_bests():
    low, high = curve(*[[-9, -4, -4, -4]] * 2), curve(*[[-4.2, -2, -1, -1]] * 2)
    assert times_to_common_goal(low, high) == (-4.2, (2.0, 2.0, 2.0, 2))
    goal, found = times_to_common_goal(high, low)
    assert goal == -4.2 and found == (0.5, 0.5, 0.5, 2)
    both = times_to_common_goal(curve([-INF] * 3), curve([-INF] * 3))
    assert math.isnan(both[1].value) or both[1].value == 1.0


def test_one_seed_has_no_interval():
    found = times_sooner(curve(RISING), curve(RISING, RISING))
    assert found.value == 1.0 and math.isnan(found.low) and found.seeds == 1


def test_nobody_is_sooner_than_himself():
    plain = curve([-5, -2, -1, -1, -1, -1, -1, -1, -1, -1], [-5, -2, -1, -1, -1, -1, -1, -1, -1, -1])
    assert times_sooner(plain, plain) == (1.0, 1.0, 1.0, 2)


def test_one_plain_seed_that_diverged_does_not_make_the_goal_easy():
    plain = curve(*[RISING] * 5, [-5] * 5 + [-INF] * 5)
    assert times_sooner(plain, curve(*[[-20] * 10] * 5)).value == 0.0


# ---- a folder's curves


def test_curves_are_those_of_finished_cells(tmp_path):
    cells = {
        ("reacher", "naf", 2): outcome([-3.0, -2.0]),
        ("reacher", "naf", 0): outcome([-5.0, -4.0]),
        ("reacher", "naf", 1): outcome([-9.0], error="it broke"),
        ("peg", "naf", 0): outcome([-1.0], error="it broke"),
        ("peg", "ddpg", 10): outcome([-float("inf")], every=5),
    }
    found = curves(filled(tmp_path, cells))
    assert sorted(found) == [("peg", "ddpg"), ("reacher", "naf")]
    naf = found["reacher", "naf"]
    assert naf.seeds == (0, 2) and naf.episodes.tolist() == [10, 20]
    assert naf.scores.tolist() == [[-5.0, -4.0], [-3.0, -2.0]] and naf.stills.tolist() == [[0.5] * 2] * 2
    assert found["peg", "ddpg"].episodes.tolist() == [5] and found["peg", "ddpg"].best.tolist() == [-INF]
