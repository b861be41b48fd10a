"""The running scale of rewards, against NumPy, and what learning with it does not depend on."""

import json

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
import worlds
from cases import CASES, those
from reverie.data.outliers import FAR_REWARD
from reverie.data.return_scale import MOST, ReturnScale
from reverie.data.running_returns import MOST_OPEN

DISCOUNT = 0.9
every_one_in_one_world = pytest.mark.parametrize("name", those(worlds=1))


def returns_of(rewards, ends, discount=DISCOUNT):
    """G of each step, by its sum."""
    found, first = [], 0
    for i, last in enumerate(ends):
        own = np.asarray(rewards[first : i + 1], float)
        found.append(float(own @ discount ** np.arange(len(own))[::-1]))
        first = i + 1 if last else first
    return np.array(found)


def scale_after(rewards, ends, episodes=None):
    scale = ReturnScale(DISCOUNT)
    for i, (reward, last) in enumerate(zip(rewards, ends, strict=True)):
        scale.see(reward, last, 0 if episodes is None else episodes[i])
    return scale


def test_the_scale_is_one_over_the_standard_deviation_of_discounted_returns(generator):
    rewards, ends = 50 + 3 * generator.standard_normal(400), generator.uniform(size=400) < 0.1
    assert scale_after(rewards, ends).value == pytest.approx(1 / returns_of(rewards, ends).std(), rel=1e-12)


def test_episodes_of_several_machines_may_mix(generator):
    rewards, ends = generator.standard_normal((2, 30)), np.arange(30) % 10 == 9
    one = scale_after(rewards.ravel(), np.tile(ends, 2))
    episodes = [2 * (i // 10) + machine for i in range(30) for machine in (0, 1)]
    mixed = scale_after(rewards.T.ravel(), np.repeat(ends, 2), episodes)
    assert mixed.value == pytest.approx(one.value, rel=1e-12)
    assert not mixed.facts()["open"]


@pytest.mark.parametrize("rewards", [[], [0.0], [0.0] * 5, [7.0]])
def test_equal_returns_have_no_spread_and_rewards_stay_as_they_are(rewards):
    assert scale_after(rewards, [True] * len(rewards)).value == 1.0


def test_a_spread_next_to_nothing_scales_by_no_more_than_the_most():
    assert scale_after([0.0, 1e-30], [True, True]).value == MOST


def test_outliers_do_not_count(generator):
    rewards, ends = generator.standard_normal(50).tolist(), [False] * 50
    rewards[20] = 0.0
    usual = scale_after(rewards, ends)
    rewards[20] = -2 * FAR_REWARD
    assert scale_after(rewards, ends).value == usual.value
    assert scale_after([*rewards, np.inf, np.nan], [False] * 52).value < np.inf


def test_aborted_episodes_are_forgotten_in_the_end():
    scale = scale_after(np.ones(3 * MOST_OPEN), [False] * 3 * MOST_OPEN, range(3 * MOST_OPEN))
    assert [episode for episode, _ in scale.facts()["open"]] == list(range(2 * MOST_OPEN, 3 * MOST_OPEN))


def test_facts_give_the_same_scale_back(generator):
    rewards = generator.standard_normal(20)
    whole, half = scale_after(rewards, [False] * 20, [3] * 20), scale_after(rewards[:9], [False] * 9, [3] * 9)
    other = ReturnScale(DISCOUNT)
    other.restore(json.loads(json.dumps(half.facts())))
    for reward in rewards[9:]:
        other.see(reward, False, 3)
    assert other.facts() == whole.facts()


# ---- learning with it


def in_unit(case, factor):
    """Return a maker of a case's world, with rewards in another unit."""
    kind = getattr(worlds, case.line.partition(":")[2])
    return lambda: gym.wrappers.TransformReward(kind(), lambda reward: factor * reward)


def learnt(name, factor, **changes):
    case = CASES[name]
    with rv.Learner(case.make(**changes), in_unit(case, factor), seed=3) as learner:
        learner.learn(60)
        return learner.trainer.policy, learner.trainer.reward_scaling.value


@every_one_in_one_world
@pytest.mark.parametrize("factor", [2.0**10, 2.0**-10])
def test_learning_does_not_depend_on_the_unit_of_rewards(name, factor):
    """Powers of two, so that not even rounding differs."""
    one, scale = learnt(name, 1.0, reward_scale="auto")
    other, other_scale = learnt(name, factor, reward_scale="auto")
    assert other_scale * factor == scale != 1.0
    np.testing.assert_equal(other, one)


def test_with_a_number_it_does():
    one, other = learnt("naf", 1.0)[0], learnt("naf", 2.0**10)[0]
    with pytest.raises(AssertionError):
        np.testing.assert_equal(other, one)
