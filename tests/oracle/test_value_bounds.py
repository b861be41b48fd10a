"""What states may be worth, by the rewards seen: against the returns of all episodes that such rewards allow."""

import itertools

import jax
import numpy as np
import pytest

import reverie as rv
import worlds
from reverie.core.types import Transition
from reverie.data.outliers import FAR_REWARD
from reverie.data.value_bounds import ValueBounds

DISCOUNT = 0.9
EMPTY = np.zeros(0), np.zeros(0, bool)


def seen(others, ends):
    """Return the bounds after rewards of steps that go on, and of terminal ones."""
    bounds = ValueBounds(*EMPTY)
    for reward, terminated in [(r, False) for r in others] + [(r, True) for r in ends]:
        bounds.see(reward, terminated)
    return bounds


def returns(others, ends, steps=7):
    """Return those of every episode of at most so many steps, and of the endless ones with one reward."""
    found = [reward / (1 - DISCOUNT) for reward in others]
    for length in range(steps):
        for rewards in itertools.product(others, repeat=length):
            gained = float(np.array(rewards) @ DISCOUNT ** np.arange(length))
            found += [gained + DISCOUNT**length * end for end in ends]
    return found


@pytest.mark.parametrize(
    ("others", "ends", "low", "high"),
    [
        ((-0.1, 0.0), (100.0,), -1.0, 100.0),  # a goal is reached once
        ((1.0,), (1.0,), 0.0, 10.0),  # survival pays at each step
        ((-1.0, 0.5), (-30.0, 2.0), -30.0, 5.0),
        ((-3.0, -1.0), (), -30.0, 0.0),
    ],
)
def test_no_return_lies_outside(others, ends, low, high):
    bounds = seen(others, ends)
    assert bounds.values(DISCOUNT) == pytest.approx((low, high))
    assert bounds.rewards == (min(*others, *ends, 0.0), max(*others, *ends, 0.0))
    found = returns(others, ends)
    assert low - 1e-9 <= min(found) and max(found) <= high + 1e-9
    assert max(*found, 0.0) == pytest.approx(high)  # and they are as narrow as that


def test_one_by_one_as_all_at_once(generator):
    rewards, terminated = generator.standard_normal(50), generator.uniform(size=50) < 0.3
    rewards[3] = rewards[30] = FAR_REWARD
    bounds = ValueBounds(*EMPTY)
    for reward, end in zip(rewards.tolist(), terminated.tolist(), strict=True):
        bounds.see(reward, end)
    whole = ValueBounds(rewards, terminated)
    assert bounds.values(DISCOUNT) == whole.values(DISCOUNT)
    assert bounds.rewards == whole.rewards


@pytest.mark.parametrize("reward", [FAR_REWARD, -FAR_REWARD, np.nan, np.inf])
def test_outliers_bound_nothing(reward):
    assert seen([reward], [reward]).values(DISCOUNT) == (0.0, 0.0)


# ---- learning with them


@pytest.mark.parametrize("scale", [1.0, 0.5, "auto"])
def test_values_are_bounded_in_the_scale_of_the_rewards_of_updates(scale, tmp_path):
    settings = {"discount": DISCOUNT, "warmup_steps": 20, "hidden": (8,), "batch_size": 16, "reward_scale": scale}
    config = rv.NAF(value_bound=True, **settings)
    with rv.Learner(config, worlds.Line, seed=0, out=tmp_path) as learner:
        learner.learn(100)
        trainer = learner.trainer
        rows = trainer.replay.rows[:100]
        bounds = ValueBounds(rows[:, 3].astype(float), rows[:, 4] == 0)
        expected = np.multiply(bounds.values(DISCOUNT), trainer.reward_scaling.value)
        np.testing.assert_allclose(trainer.state.bounds, expected, rtol=1e-6)
        assert expected[0] < 0 == expected[1]
    with rv.Learner.load(tmp_path) as learner:
        assert learner.trainer.health.bounds.values(DISCOUNT) == pytest.approx(bounds.values(DISCOUNT))


def without_rewards(generator):
    """Return five minibatches."""
    x, x_next = generator.standard_normal((2, 5, 32, 2)).astype(np.float32)
    u, zeros = generator.uniform(-1, 1, (5, 32, 1)).astype(np.float32), np.zeros((5, 32), np.float32)
    return Transition(x, u, zeros, zeros + 1, x_next)


def value_after(bound, updates=30):
    """Return the mean V after updates of a network that begins far above what rewards of 0 allow."""
    agent = rv.NAF(value_bound=bound, hidden=(16,), learning_rate=1e-2, target_rate=1.0).build(
        rv.EnvSpec(2, [-1.0], [1.0])
    )
    generator, state = np.random.default_rng(0), agent.init(jax.random.key(0))
    *hidden, last = state.params["value"]
    value = [*hidden, last | {"b": last["b"] + 100.0}]
    state = state._replace(params={**state.params, "value": value}, target={**state.target, "value": value})
    for _ in range(updates):
        batches = without_rewards(generator)
        state = state if agent.bound_values is None else agent.bound_values(state, 0.0, 0.0)
        state, _ = agent.update(state, batches, jax.random.key(0))
    return float(agent.diagnose(state, jax.tree.map(lambda field: field[0], batches))["value_mean"])


def test_values_above_the_bound_come_down_sooner():
    """Bootstrapping alone takes 1/(1 - γ) steps of the target for that."""
    assert value_after(True) < value_after(False) - 0.5


def test_a_bound_beyond_float32_is_none():
    agent = rv.NAF(value_bound=True).build(rv.EnvSpec(1, [-1.0], [1.0]))
    assert np.isfinite(agent.bound_values(agent.init(jax.random.key(0)), -1e300, 1e300).bounds).all()
