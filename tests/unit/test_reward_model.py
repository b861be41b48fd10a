"""Fitted reward and death: exact where the truth is quadratic, and never where nobody died."""

from dataclasses import replace

import numpy as np
import pytest

from reverie.core.dynamics import Episode
from reverie.core.status import Status
from reverie.models import reward
from reverie.models.reward import RewardModel
from systems import linear_episodes


@pytest.fixture
def episodes(generator):
    return linear_episodes(generator, 10)[0]


@pytest.fixture
def model(episodes):
    fit = reward.fit(episodes)
    assert fit.status is Status.DONE
    return fit.dynamics


def test_a_quadratic_reward_is_found(generator, model):
    assert model.gain.r2 == pytest.approx(1.0, abs=1e-6)
    x, u = generator.standard_normal((50, 4)), generator.uniform(-1, 1, (50, 2))
    truth = 1.0 - (x**2).sum(1) - 0.1 * (u**2).sum(1)
    np.testing.assert_allclose(model.gain.value(np.hstack([x, u])), truth, atol=1e-3)


REWARDS = {
    "of where a step leads": lambda e: np.exp(-((e.states[1:, :2]) ** 2).sum(1)),
    "of where it leads and of the action": lambda e: np.exp(-((e.states[1:, :2]) ** 2).sum(1)) - e.actions[:, 0] ** 2,
    "of where it begins and of the action": lambda e: np.cos(e.states[:-1, 0]) - 2.0 * np.tanh(e.actions[:, 1]),
}


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_that_is_no_quadratic_is_found_from_few_episodes(generator, name):
    """In states that jump, so that x, x' and u tell nothing of each other."""
    episodes = [
        Episode(generator.uniform(-2, 2, (41, 2)), generator.uniform(-1, 1, (40, 2)), np.zeros(40)) for _ in range(10)
    ]
    episodes = [replace(e, rewards=REWARDS[name](e)) for e in episodes]
    model = reward.fit(episodes[:5]).dynamics
    assert model.error(episodes[5:]) < 0.3
    assert int(model.inputs) == list(REWARDS).index(name)


def test_few_steps_do_not_make_rewards_run_away(generator):
    """A quadratic of [x; u] has more coefficients than these samples; its predictions elsewhere were far off."""
    few = [Episode(e.states[:6], e.actions[:5], e.rewards[:5]) for e in linear_episodes(generator, 3)[0]]
    seen = np.concatenate([e.rewards for e in few])
    x = generator.standard_normal((200, 4))
    found = reward.fit(few).dynamics.reward(x, generator.uniform(-1, 1, (200, 2)), x)
    assert np.abs(found - seen.mean()).max() < 10 * np.abs(seen - seen.mean()).max()


def test_the_cost_of_a_concave_reward_is_its_negative(generator, model):
    C, c, c0 = model.cost(2)
    y = generator.uniform(-1, 1, (50, 6))
    np.testing.assert_allclose(0.5 * ((y @ C) * y).sum(1) + y @ c + c0, -model.gain.value(y), atol=1e-3)


def test_directions_that_reward_leaving_become_flat(episodes):
    saddle = [replace(e, rewards=e.states[:-1, 0] ** 2 - e.states[:-1, 1] ** 2) for e in episodes]
    C, *_ = reward.fit(saddle).dynamics.cost(2)
    assert C[0, 0] == pytest.approx(0.0, abs=1e-3)
    assert C[1, 1] == pytest.approx(2.0, abs=1e-3)


def test_the_cost_of_any_reward_is_convex_and_touches_it_at_the_mean(generator, episodes):
    bumpy = [replace(e, rewards=np.sin(3 * e.states[:-1, 0]) + e.states[:-1, 1] * e.actions[:, 0]) for e in episodes]
    model = reward.fit(bumpy).dynamics
    C, c, c0 = model.cost(2)
    assert np.linalg.eigvalsh(C).min() > -1e-9
    assert np.linalg.eigvalsh(C[4:, 4:]).min() > 0
    y = model.gain.mean
    assert 0.5 * y @ C @ y + c @ y + c0 == pytest.approx(-model.gain.value(y[None])[0])
    slope = [(model.gain.value((y + e)[None]) - model.gain.value((y - e)[None]))[0] / 2e-4 for e in 1e-4 * np.eye(6)]
    np.testing.assert_allclose(C @ y + c, -np.array(slope), atol=1e-6)


def test_few_samples_make_it_diagonal(episodes):
    few = reward.fit([Episode(e.states[:6], e.actions[:5], e.rewards[:5]) for e in episodes[:8]]).dynamics
    np.testing.assert_array_equal(few.gain.C, np.diag(np.diagonal(few.gain.C)))


def test_noise_has_no_r2(generator, episodes):
    noise = [replace(e, rewards=generator.standard_normal(len(e))) for e in episodes]
    assert reward.fit(noise).dynamics.gain.r2 < 0.3


def test_death_is_foretold_beyond_its_border_only(generator):
    episodes = []
    for _ in range(60):
        walk = np.cumsum(generator.standard_normal((40, 2)) * 0.5, axis=0)
        over = np.flatnonzero(walk[:, 0] > 2)
        last = over[0] if len(over) else len(walk) - 1
        if last > 0:
            episodes.append(Episode(walk[: last + 1], np.zeros((last, 1)), np.zeros(last), bool(len(over))))
    model = reward.fit(episodes).dynamics
    assert not model.terminated(np.array([[0.0, 0.0], [-1.0, 1.0], [1.4, 0.0]])).any()
    assert model.terminated(np.array([[2.6, 0.0], [4.0, 0.0], [5.0, -1.0]])).all()
    score = model.death.value(np.stack([np.linspace(1.0, 3.0, 201), np.zeros(201)], 1))
    assert np.linspace(1.0, 3.0, 201)[(score >= 0.5).argmax()] == pytest.approx(2.0, abs=0.25)


def test_nobody_dies_where_none_was_seen_to(generator, model):
    assert not model.terminated(generator.standard_normal((100, 4)) * 100).any()


def test_constant_coordinates_and_rewards_do_no_harm(episodes):
    still = [
        replace(e, states=np.hstack([e.states, np.full((len(e) + 1, 1), 7.0)]), rewards=np.full(len(e), -3.0))
        for e in episodes
    ]
    model = reward.fit(still).dynamics
    np.testing.assert_allclose(model.reward(still[0].states[:-1], still[0].actions, still[0].states[1:]), -3.0)
    assert model.gain.r2 == 0
    assert all(np.isfinite(a).all() for a in (*model.arrays().values(), *model.cost(2)))


def test_it_comes_back_from_its_arrays_to_the_bit(episodes, model):
    again = RewardModel.restore(model.arrays())
    x, u, after = episodes[0].states[:-1], episodes[0].actions, episodes[0].states[1:]
    np.testing.assert_array_equal(again.reward(x, u, after), model.reward(x, u, after))
    np.testing.assert_array_equal(again.terminated(x), model.terminated(x))


def test_bad_input_has_a_status(episodes):
    assert reward.fit([]) == (None, Status.TOO_FEW_SAMPLES)
    broken = [replace(e, rewards=np.full(len(e), np.nan)) for e in episodes]
    assert reward.fit(broken) == (None, Status.NONFINITE_MODEL)
