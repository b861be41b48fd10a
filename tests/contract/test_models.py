"""What every dynamics model owes to whoever imagines or plans with it."""

from dataclasses import replace

import numpy as np
import pytest

from reverie.core.dynamics import Episode, Linear
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.models import MODELS as REGISTRY
from reverie.models import samples
from reverie.models.exact import Exact
from reverie.models.linear_gaussian import LinearGaussian
from reverie.models.neural import Neural
from reverie.models.samples import explodes
from systems import cartpole, swinging_episodes

STEPS = 40


def derivatives(x, u, step=1e-6):
    columns = [(cartpole(x + e[:4], u + e[4:]) - cartpole(x - e[:4], u - e[4:])) / (2 * step) for e in step * np.eye(5)]
    return np.stack(columns, 1)[:, :4], np.stack(columns, 1)[:, 4:]


FITTED = {
    "window": LinearGaussian(prior="window"),
    "pooled": LinearGaussian(prior="pooled"),
    "mixture": LinearGaussian(prior="mixture"),
    "map": LinearGaussian(prior="pooled", mean="map"),
    "none": LinearGaussian(prior="none"),
    "one": LinearGaussian(time_varying=False),
    "modes": LinearGaussian(prior="pooled", modes=2),
    "neural": Neural(members=2, hidden=(16, 16), updates=50),
    "single": Neural(members=1, hidden=(16,), updates=25),
}
MODELS = FITTED | {"exact": Exact(step=cartpole, derivatives=derivatives)}
TIMED = ("window", "pooled", "mixture", "map", "none", "modes")


@pytest.fixture(scope="module")
def episodes():
    return swinging_episodes(np.random.default_rng(0), 12, STEPS)


@pytest.fixture(scope="module")
def fits(episodes):
    return {name: model.fit(episodes[-8:], episodes, None, 0) for name, model in MODELS.items()}


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def dynamics(fits, name):
    assert fits[name].status is Status.DONE
    return fits[name].dynamics


def rows(episode):
    return episode.states[:-1], episode.actions, np.arange(len(episode))


def test_batches_are_rows_side_by_side(episodes, dynamics):
    x, u, t = rows(episodes[0])
    together = dynamics.mean(x, u, t)
    assert together.shape == x.shape
    assert together.dtype == np.float64
    alone = np.concatenate([dynamics.mean(x[i : i + 1], u[i : i + 1], t[i : i + 1]) for i in range(len(t))])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert dynamics.mean(x[:0], u[:0], t[:0]).shape == (0, 4)


def test_samples_are_the_generators(episodes, dynamics):
    x, u, t = rows(episodes[0])
    first, again, other = (dynamics.sample(x, u, t, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.shape == x.shape
    np.testing.assert_array_equal(first, again)
    certain = isinstance(MODELS["exact"].restore({}), type(dynamics))
    assert np.array_equal(first, other) == certain


def test_linear_model_is_the_tangent(episodes, dynamics):
    episode = episodes[0]
    found = dynamics.linearize(episode.states, episode.actions)
    assert isinstance(found, Linear)
    assert [a.shape for a in found] == [(STEPS, 4, 5), (STEPS, 4), (STEPS, 4, 4)]
    x, u, t = rows(episode)
    y = np.concatenate([x, u], axis=1)
    np.testing.assert_allclose((found.F @ y[:, :, None])[:, :, 0] + found.f, dynamics.mean(x, u, t), atol=1e-5)
    assert (np.linalg.eigvalsh(found.covariance) > -1e-15).all()


def test_arrays_bring_it_back_to_the_bit(episodes, name, dynamics):
    arrays = {key: np.array(value) for key, value in dynamics.arrays().items()}
    again = MODELS[name].restore(arrays)
    assert again.horizon == dynamics.horizon
    x, u, t = rows(episodes[0])
    np.testing.assert_array_equal(again.mean(x, u, t), dynamics.mean(x, u, t))
    draws = (d.sample(x, u, t, np.random.default_rng(3)) for d in (again, dynamics))
    np.testing.assert_array_equal(*draws)
    for a, b in zip(
        again.linearize(episodes[0].states, episodes[0].actions),
        dynamics.linearize(episodes[0].states, episodes[0].actions),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_fits_repeat_to_the_bit(episodes, fits, name):
    again = MODELS[name].fit(episodes[-8:], episodes, None, 0)
    for key, value in fits[name].dynamics.arrays().items():
        np.testing.assert_array_equal(value, again.dynamics.arrays()[key])


def test_a_restored_model_is_as_good_a_start(episodes, name, dynamics):
    restored = MODELS[name].restore(dynamics.arrays())
    first, second = (MODELS[name].fit(episodes[:8], episodes, p, 1).dynamics.arrays() for p in (dynamics, restored))
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key])


def test_fits_leave_episodes_alone(episodes, name):
    copies = [replace(e, states=e.states.copy(), actions=e.actions.copy()) for e in episodes]
    MODELS[name].fit(copies[-8:], copies, None, 0)
    for before, after in zip(episodes, copies, strict=True):
        np.testing.assert_array_equal(before.states, after.states)
        np.testing.assert_array_equal(before.actions, after.actions)


def test_time_has_an_end_or_no_meaning(episodes, name, dynamics):
    x, u, t = rows(episodes[0])
    assert dynamics.horizon == (STEPS if name in TIMED else None)
    if name in TIMED:
        for wrong in (t + 1, t - 1):
            with pytest.raises(IndexError, match="the model knows of 0 to 39"):
                dynamics.mean(x, u, wrong)
        with pytest.raises(IndexError):
            dynamics.linearize(np.zeros((STEPS + 2, 4)), np.zeros((STEPS + 1, 1)))
    else:
        np.testing.assert_array_equal(dynamics.mean(x, u, t + 1000), dynamics.mean(x, u, t))


def test_settings_have_a_name_and_a_number_of_episodes(name):
    assert MODELS[name].episodes >= 1
    assert REGISTRY[MODELS[name].name] is type(MODELS[name])
    assert MODELS[name].replace() == MODELS[name]


@pytest.mark.parametrize("model", FITTED.values(), ids=FITTED)
def test_bad_data_have_a_status(episodes, model):
    assert model.fit([], [], None, 0) == (None, Status.TOO_FEW_SAMPLES)
    assert model.fit([], episodes[:1], None, 0).dynamics is None or model.name == "neural"  # which learns from history
    stub = [Episode(e.states[:2], e.actions[:1], e.rewards[:1]) for e in episodes[:2]]
    assert model.fit(stub, stub, None, 0) == (None, Status.TOO_FEW_SAMPLES)
    holed = [replace(e, states=np.where(e.states == e.states[3], np.nan, e.states)) for e in episodes]
    assert model.fit(holed, holed, None, 0) == (None, Status.NONFINITE_MODEL)


@pytest.mark.parametrize("model", FITTED.values(), ids=FITTED)
def test_constant_coordinates_stay(episodes, model):
    wider = [replace(e, states=np.hstack([e.states, np.full((STEPS + 1, 1), 7.0)])) for e in episodes]
    fit = model.fit(wider[-8:], wider, None, 0)
    assert fit.status is Status.DONE
    x, u, t = rows(wider[0])
    np.testing.assert_allclose(fit.dynamics.mean(x, u, t)[:, 4], 7.0, atol=1e-4)


def test_too_few_for_no_prior(episodes):
    for number in (1, 5):  # n + m = 5 directions
        assert LinearGaussian(prior="none").fit(episodes[:number], episodes, None, 0).status is Status.TOO_FEW_SAMPLES
    assert LinearGaussian(prior="pooled").fit(episodes[:1], episodes, None, 0).status is Status.DONE


@pytest.mark.parametrize("prior", ["none", "window", "pooled", "mixture"])
def test_actions_that_follow_from_the_state_are_singular(episodes, prior):
    idle = [replace(e, actions=np.zeros_like(e.actions)) for e in episodes]
    fed_back = [replace(e, actions=e.states[:-1, :1] * 0.5 - e.states[:-1, 2:3]) for e in episodes]
    for batch in (idle, fed_back):
        fit = LinearGaussian(prior=prior).fit(batch[-8:], batch, None, 0)
        assert fit.status is Status.SINGULAR
        assert all(np.isfinite(a).all() for a in fit.dynamics.arrays().values())


@pytest.mark.parametrize("ridge", [0.0, 1e-6])
def test_identical_episodes_are_singular(episodes, ridge):
    assert LinearGaussian(prior="window", ridge=ridge).fit(episodes[:1] * 8, [], None, 0).status is Status.SINGULAR


def grown(generator, rate, limit):
    """Return 12 episodes of x' = rate x + 0.1 u within ± limit, 20 steps from 1."""
    episodes = []
    for _ in range(12):
        states, actions = [np.ones(2)], generator.uniform(-1, 1, (20, 2))
        for u in actions:
            states.append(np.clip(rate * states[-1] + 0.1 * u, -limit, limit))
        episodes.append(Episode(np.array(states), actions, np.zeros(20)))
    return episodes


@pytest.mark.parametrize(("rate", "limit", "wild"), [(1.5, 4.0, True), (1.05, np.inf, False)])
def test_growth_beyond_what_was_seen_is_noticed_and_an_unstable_plant_alone_is_not(generator, rate, limit, wild):
    episodes = grown(generator, rate, limit)
    first = [Episode(e.states[:4], e.actions[:3], e.rewards[:3]) for e in episodes]  # before the limit
    dynamics = LinearGaussian(time_varying=False).fit(first, [], None, 0).dynamics
    assert explodes(dynamics, episodes) == wild
    assert explodes(dynamics._replace(f=dynamics.f * np.nan), episodes)


@pytest.mark.parametrize("model", FITTED.values(), ids=FITTED)
def test_what_explodes_is_flagged_and_given(episodes, model, monkeypatch):
    monkeypatch.setattr(samples, "BOUND", 0.1)  # now everything does
    fit = model.fit(episodes[-8:], episodes, None, 0)
    assert fit.status is Status.UNSTABLE
    assert fit.dynamics is not None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prior": "gmm"}, "prior is 'gmm'; it must be one of"),
        ({"episodes": 0}, "episodes is 0; it must be at least 1"),
        ({"ridge": -1.0}, "ridge is -1.0; it must be at least 0"),
        ({"modes": 1.5}, "modes is 1.5; it must be a whole number"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        LinearGaussian(**wrong)
