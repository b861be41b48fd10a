"""The error report against models whose errors are known by hand."""

import numpy as np
import pytest

from reverie.core.dynamics import Episode
from reverie.models.exact import Exact
from reverie.models.linear_gaussian import LinearGaussian
from reverie.models.prediction_errors import CAP, report
from systems import cartpole, linear_episodes, swinging_episodes


def exact(step):
    return Exact(step=step).fit([], []).dynamics


@pytest.fixture
def swings(generator):
    return swinging_episodes(generator, 3)


def test_no_change_scores_one(swings):
    found = report(exact(lambda x, u: x), swings, (1, 2, 5, 10))
    for length in (1, 2, 5, 10):
        assert found[f"nrmse_{length}"] == pytest.approx(1.0)
        assert found[f"worst_{length}"] > 1.0
    assert found["capped"] == 0


def test_the_truth_scores_next_to_nothing_and_nothing_without_noise(swings):
    noisy = report(exact(cartpole), swings)
    assert 0 < noisy["nrmse_1"] < 0.1
    clean, x = [x := np.zeros(4) + 0.1], np.zeros(4) + 0.1
    for _ in range(20):
        clean.append(x := cartpole(x, [0.1]))
    still = Episode(np.array(clean), np.full((20, 1), 0.1), np.zeros(20))
    assert report(exact(cartpole), [still])["nrmse_10"] == 0


def test_constant_velocity_is_right_about_what_moves_so():
    line = Episode(np.arange(21.0)[:, None] * [1.0, -2.0], np.zeros((20, 1)), np.zeros(20))
    found = report(exact(lambda x, u: x), [line])
    assert found["constant_velocity_1"] == found["constant_velocity_10"] == 0
    assert found["nrmse_1"] == pytest.approx(1.0)


def test_a_constant_error_is_measured_in_steps():
    line = Episode(np.arange(21.0)[:, None] * [1.0, -2.0], np.zeros((20, 1)), np.zeros(20))
    found = report(exact(lambda x, u: x + np.array([1.5, -3.0])), [line])  # 1.5 times each step
    for length in (1, 5, 10):
        assert found[f"nrmse_{length}"] == pytest.approx(0.5)


def test_noise_of_the_right_size_is_calibrated(generator):
    episodes, *_ = linear_episodes(generator, 400, steps=6, noise=0.1)
    dynamics = LinearGaussian(prior="none").fit(episodes[:300], [], None, 0).dynamics
    found = report(dynamics, episodes[300:])
    assert found["within_1"] == pytest.approx(0.683, abs=0.04)
    assert found["within_2"] == pytest.approx(0.954, abs=0.02)
    assert found["nll"] == pytest.approx(np.log(0.1) + 0.5 * np.log(2 * np.pi * np.e), abs=0.05)
    assert found["radius"] == pytest.approx(0.9, abs=0.05)


def test_explosions_are_counted_and_cut(swings):
    found = report(exact(lambda x, u: x * 1e200), swings)
    assert all(np.isfinite(value) for value in found.values())
    assert found["nrmse_10"] == pytest.approx(CAP)
    assert found["capped"] == 1.0
    assert report(exact(lambda x, u: x * np.nan), swings)["nrmse_1"] == pytest.approx(CAP)


def test_what_lies_beyond_is_left_out(generator, swings):
    short = [Episode(e.states[:31], e.actions[:30], e.rewards[:30]) for e in swings]
    dynamics = LinearGaussian(prior="pooled").fit(short, []).dynamics
    assert report(dynamics, swings)["nrmse_10"] < 0.5
    stub = Episode(swings[0].states[:4], swings[0].actions[:3], swings[0].rewards[:3])
    assert {"nrmse_1"} == {name for name in report(dynamics, [stub]) if name.startswith("nrmse")}
    assert report(dynamics, []) == {}


def test_nothing_that_ever_changes_is_no_error():
    still = Episode(np.ones((11, 2)), np.zeros((10, 1)), np.zeros(10))
    assert report(exact(lambda x, u: x), [still])["nrmse_1"] == 0
