"""Networks as dynamics: they learn, differentiate, go on from where they were, and compile once."""

import dataclasses

import numpy as np
import pytest

from compilations import COMPILED
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.models import neural, samples
from reverie.models.neural import Neural
from reverie.models.prediction_errors import report
from systems import swinging_episodes

MODEL = Neural(members=2, hidden=(64, 64), updates=300)


@pytest.fixture(scope="module")
def swings():
    return swinging_episodes(np.random.default_rng(0), 12)


@pytest.fixture(scope="module")
def dynamics(swings):
    fit = MODEL.fit(swings[:8], swings[:8], None, 0)
    assert fit.status is Status.DONE
    return fit.dynamics


def test_it_beats_constant_velocity_at_every_length(swings, dynamics):
    """Measured: .09 after one step where constant velocity scores .7."""
    found = report(dynamics, swings[8:])
    for length in (1, 5, 10):
        assert found[f"nrmse_{length}"] < 0.5 * found[f"constant_velocity_{length}"]


def test_jacobians_are_those_of_finite_differences(swings, dynamics):
    wide = dynamics._replace(
        weights=tuple(w.astype(float) for w in dynamics.weights)
    )  # float32 would drown differences
    states, u = swings[9].states[:31], swings[9].actions[:30]
    found = wide.linearize(states, u)
    x, t, step = states[:-1], np.arange(30), 1e-4

    def at(move):
        return wide.mean(x + move[:4], u + move[4:], t)

    columns = [(at(step * e) - at(-step * e)) / (2 * step) for e in np.eye(5)]
    np.testing.assert_allclose(np.median(np.abs(np.stack(columns, -1) - found.F)), 0, atol=1e-3)
    y = np.concatenate([x, u], axis=1)
    np.testing.assert_allclose((found.F @ y[:, :, None])[:, :, 0] + found.f, dynamics.mean(x, u, t), atol=1e-5)


def test_a_new_scale_leaves_the_function(swings, dynamics):
    z = samples.pool(swings[8:]) * 1.3 + 0.2
    moved = neural._rescaled(dynamics, samples.scale_of(z), 5)
    assert not np.allclose(moved.std_in, dynamics.std_in)
    x, u, t = swings[9].states[:-1], swings[9].actions, np.arange(150)
    np.testing.assert_allclose(moved.mean(x, u, t), dynamics.mean(x, u, t), atol=1e-4)


def test_refits_go_on_from_the_last_and_never_compile_again(swings, dynamics):
    COMPILED.clear()
    quick = dataclasses.replace(MODEL, updates=neural.CHUNK)
    warm = quick.fit(swings[:9], swings[:9], dynamics, 1).dynamics
    cold = quick.fit(swings[:9], swings[:9], None, 1).dynamics
    assert report(warm, swings[9:])["nrmse_1"] < 0.5 * report(cold, swings[9:])["nrmse_1"]
    assert not COMPILED


def test_networks_of_other_sizes_are_no_start(swings, dynamics):
    other = Neural(members=1, hidden=(32,), updates=neural.CHUNK).fit(swings[:2], swings[:2], dynamics, 0)
    assert [w.shape for w in other.dynamics.weights] == [(1, 5, 32), (1, 32, 4)]


def test_members_differ_and_disagree_more_where_there_were_no_data(swings, dynamics):
    x, u = swings[9].states[:-1], swings[9].actions
    assert not np.array_equal(*dynamics.members(x, u))
    assert dynamics.disagreement(x + 20 * x.std(0), u).mean() > 2 * dynamics.disagreement(x, u).mean()


def test_noise_has_the_size_of_residuals(swings, dynamics):
    found = report(dynamics, swings[8:])
    assert 0.5 < found["within_1"] < 0.9
    assert 0.85 < found["within_2"] <= 1.0


@pytest.mark.parametrize("wrong", [{"learning_rate": 0}, {"hidden": (0,)}, {"members": 0}, {"updates": "many"}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Neural(**wrong)
