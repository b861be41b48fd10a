"""Worlds so small that value and policy are known by heart, in rising difficulty, learnt through the real Learner."""

import numpy as np
import pytest

import reverie as rv
from cases import CASES
from reverie.algorithms import ALGORITHMS
from reverie.core.types import Transition
from worlds import Probe

pytestmark = pytest.mark.parametrize("name", CASES)


def learn(name, steps=500, discount=0.5, **world):
    case = CASES[name]
    config = ALGORITHMS[case.algorithm](
        hidden=(32, 32), learning_rate=3e-3, batch_size=64, discount=discount, **case.probing
    )
    learner = rv.Learner(config, lambda: Probe(discrete=bool(case.spec.actions), **world), seed=0)
    return learner.learn(steps * case.patience)


def value(learner, sign=0.0, step=0):
    """V(x), or Q(x, greedy) of those that learn no V."""
    trainer, x, zero = learner.trainer, np.float32([[sign, step]]), np.zeros(1, np.float32)
    row = Transition(x, zero[None], zero, zero, x)
    return float(trainer.agent.diagnose(trainer.state, row)["value_mean"])


def test_one_state_one_step(name):
    with learn(name, steps=300) as learner:
        assert value(learner) == pytest.approx(1.0, abs=0.1)


def test_one_step_and_a_reward_that_is_seen(name):
    with learn(name, random_observation=True, reward=lambda step, o, u: o) as learner:
        assert value(learner, -1.0) == pytest.approx(-1.0, abs=0.1)
        assert value(learner, 1.0) == pytest.approx(1.0, abs=0.1)


def test_a_reward_at_the_end_is_discounted_to_the_start(name):
    with learn(name, length=2, reward=lambda step, o, u: float(step == 1)) as learner:
        assert value(learner, step=0) == pytest.approx(0.5, abs=0.1)
        assert value(learner, step=1) == pytest.approx(1.0, abs=0.1)


def test_a_reward_that_depends_on_the_action(name):
    with learn(name, reward=lambda step, o, u: -((u - 0.5) ** 2)) as learner:
        assert CASES[name].pushed(learner.predict(np.zeros(2))) == pytest.approx(0.5, abs=0.1)
        assert value(learner) == pytest.approx(0.0, abs=0.1)


def test_a_reward_that_depends_on_action_and_observation(name):
    with learn(name, random_observation=True, reward=lambda step, o, u: -((u - 0.5 * o) ** 2)) as learner:
        for sign in (-1.0, 1.0):
            push = CASES[name].pushed(learner.predict(np.float32([sign, 0])))
            assert push == pytest.approx(0.5 * sign, abs=0.1)
            assert value(learner, sign) == pytest.approx(0.0, abs=0.1)


def test_a_time_limit_cuts_no_value(name):
    """Reward 1 for ever in one state, cut after 5 steps: 1 + γ + γ² + …, as if it went on."""
    with learn(name, discount=0.8, length=5, truncates=True, counts=False) as learner:
        assert value(learner) == pytest.approx(1 / (1 - 0.8), abs=0.15)


def test_a_death_cuts_all_value_beyond_it(name):
    """Reward 1 for five steps that are seen to pass: 1 + γ + … + γ^(steps left - 1)."""
    with learn(name, steps=700, discount=0.8, length=5) as learner:
        for step in range(5):
            assert value(learner, step=step) == pytest.approx((1 - 0.8 ** (5 - step)) / (1 - 0.8), abs=0.15)
