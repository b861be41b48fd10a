"""The made-up machines of the study `samples`: what can be solved by hand is, and their physics is what they say."""

import numpy as np
import pytest

from studies import alignment, plant

MIRRORS = [4, 8, 16]


def shots_to_light(mirrors, controller, noise=0.0):
    """Return after how many shots each of 20 episodes ended with light; inf: it did not."""
    env, found = alignment.make_env(mirrors, noise), []
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        ended, shots = False, 0
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(controller(observation))
            ended, shots = terminated or truncated, shots + 1
            assert -1.0 <= reward <= 0.0 and terminated == (reward >= alignment.ALIGNED - 1)
        found.append(shots if terminated else np.inf)
    return np.array(found)


@pytest.mark.parametrize("mirrors", MIRRORS)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_inverse_of_the_response_matrix_finds_the_light(mirrors, noise):
    inverse = np.linalg.inv(alignment.response(mirrors))
    shots = shots_to_light(mirrors, lambda seen: np.clip(-inverse @ seen, -alignment.STEP, alignment.STEP), noise)
    assert shots.max() <= 12  # half of the range at most, in steps of a twelfth; noise costs some shots


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_no_light_is_found_by_doing_nothing_or_by_going_the_wrong_way(mirrors):
    inverse = np.linalg.inv(alignment.response(mirrors))
    for gain in (0.0, 0.3):
        shots = shots_to_light(mirrors, lambda seen, gain=gain: gain * np.sign(inverse @ seen) * alignment.STEP)
        assert np.isinf(shots).sum() >= 19


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_the_response_matrix_has_the_condition_that_it_should(mirrors):
    assert np.linalg.cond(alignment.response(mirrors)) == pytest.approx(alignment.CONDITION)


def test_the_best_positions_are_others_in_each_episode_and_in_reach():
    env = alignment.make_env()
    env.reset(seed=0)
    places = []
    for _ in range(500):
        env.reset()
        places.append(env.unwrapped.best.copy())
    assert np.std(places) == pytest.approx(alignment.SPREAD, rel=0.1)
    assert np.min(places) >= 0.3 and np.max(places) <= 0.7


def test_a_seed_decides_an_episode_of_the_beam():
    env, starts = alignment.make_env(), []
    for _ in range(2):
        starts.append(env.reset(seed=3)[0])
        env.reset()
    np.testing.assert_array_equal(*starts)


def played(power, steps):
    env = plant.make_env()
    env.reset(seed=0)
    temperatures = []
    for _ in range(steps):
        env.step(np.array([power]))
        temperatures.append(env.unwrapped.celsius)
    return np.array(temperatures)


def test_a_constant_power_ends_at_its_temperature_as_a_first_order_lag_does():
    cold, warm = played(0.0, 60), played(0.5, 60)
    np.testing.assert_allclose(cold[: plant.DELAY], warm[: plant.DELAY])  # the effect comes late
    ahead = warm[plant.DELAY :] - cold[plant.DELAY :]  # both decay alike, so their distance is a step response
    seconds = plant.PERIOD * np.arange(1, len(ahead) + 1)
    np.testing.assert_allclose(ahead, 0.5 * plant.GAIN * (1 - np.exp(-seconds / plant.LAG)), rtol=1e-9)


def mean_return(controller):
    env = plant.make_env()
    return np.mean([controller.episode(env, seed) for seed in range(20)])


def test_the_tuned_controller_is_the_best_of_its_neighbours():
    best = mean_return(plant.TUNED)
    assert best == pytest.approx(plant.TUNED_RETURN, abs=0.1)
    for factors in ((0.8, 1.0), (1.25, 1.0), (1.0, 0.8), (1.0, 1.25)):
        gains = (gain * factor for gain, factor in zip(plant.TUNED, factors, strict=True))
        assert mean_return(plant.PI(*gains)) < best
