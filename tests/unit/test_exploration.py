import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import reverie as rv
from reverie.maths.exploration import Process
from reverie.maths.noises import NOISES

NAMES = pytest.mark.parametrize("name", NOISES)


def run(name, generator, steps=40_000, **settings):
    process = NOISES[name](**settings).process()
    memory, out = process.begin(1), []
    for z in generator.standard_normal((steps, 1)):
        added, memory = process.step(memory, z)
        out.append(added[0])
    return np.array(out)


@pytest.mark.parametrize("theta", [0.15, 0.5])
def test_ornstein_uhlenbeck_has_the_stated_size_and_memory(theta, generator):
    added = run("ou", generator, scale=0.3, theta=theta)
    assert np.std(added) == pytest.approx(0.3 / np.sqrt(1 - (1 - theta) ** 2), rel=0.05)
    assert np.corrcoef(added[:-1], added[1:])[0, 1] == pytest.approx(1 - theta, abs=0.02)


def test_gaussian_has_the_stated_size_and_no_memory(generator):
    added = run("gaussian", generator, scale=0.3)
    assert np.std(added) == pytest.approx(0.3, rel=0.03)
    assert abs(np.corrcoef(added[:-1], added[1:])[0, 1]) < 0.02


def test_ornstein_uhlenbeck_with_a_theta_of_1_is_gaussian():
    ou = run("ou", np.random.default_rng(0), 50, theta=1.0)
    np.testing.assert_array_equal(ou, run("gaussian", np.random.default_rng(0), 50))


def test_first_step_from_rest_by_hand():
    process = NOISES["precision"](scale=0.5).process()
    added, memory = process.step(process.begin(2), np.array([1.0, -2.0]))
    np.testing.assert_allclose(added, [0.5, -1.0])
    added, _ = process.step(memory, np.array([0.0, 1.0]))
    np.testing.assert_allclose(added, [0.425, -0.35])


@NAMES
def test_processes_run_side_by_side_and_on_jax_too(name, generator):
    process = NOISES[name]().process()
    noise = generator.standard_normal((5, 3), np.float32)
    memory = np.repeat(process.begin(3)[None], 5, axis=0) + 0.5
    added, moved = process.step(memory, noise)
    assert added.dtype == moved.dtype == np.float32 and added.shape == (5, 3)
    for row in range(5):
        np.testing.assert_array_equal(process.step(memory[row], noise[row])[0], added[row])
    np.testing.assert_allclose(process.step(jnp.asarray(memory), jnp.asarray(noise))[0], added, rtol=1e-6)


# ---- as agents choose it


@NAMES
def test_an_agents_defaults_are_its_noises(name):
    assert rv.NAF(noise=name).exploration == NOISES[name]()
    assert rv.NAF(noise=name).shapes_noise == (name == "precision")


def test_settings_of_a_noise_are_the_agents_that_begin_with_its_name():
    assert rv.DDPG(noise_scale=0.2, noise_theta=0.4).exploration == NOISES["ou"](scale=0.2, theta=0.4)
    assert rv.NAF(noise="gaussian", noise_scale=0.2, noise_theta=0.4).exploration == NOISES["gaussian"](scale=0.2)


@dataclasses.dataclass(frozen=True)
class Held:
    """A noise of the user's own: one draw is held for some steps."""

    scale: float
    steps: int = 3

    def process(self):
        def begin(action_dim):
            return np.zeros((2, action_dim), np.float32)

        def step(memory, noise):
            raise NotImplementedError

        return Process(begin, step)


@dataclasses.dataclass(frozen=True)
class Greedy:
    """A noise that asks for a setting which no agent has."""

    appetite: float

    def process(self):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Shapely(Held):
    """A noise of the user's own that wants a precision matrix."""

    shaped = True


def test_a_noise_of_ones_own_gets_the_settings_that_it_has_fields_for():
    assert rv.NAF(noise="test_exploration:Held", noise_scale=0.7).exploration == Held(scale=0.7)
    assert rv.NAF(noise="test_exploration:Shapely").shapes_noise


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ("pink", f"noise is 'pink'; it must be one of {', '.join(map(repr, NOISES))}, or package.module:Class"),
        (3, "noise is 3; it must be one of 'ou'"),
        ([":"], "it must be one of 'ou'"),
        ("test_exploration:Nobody", "cannot import noise 'test_exploration:Nobody'"),
        ("test_exploration:run", "noise 'test_exploration:run' is no dataclass of settings with a method `process()`"),
        ("test_exploration:Process", "is no dataclass of settings with a method `process()`"),
        ("test_exploration:Greedy", "needs appetite, but ddpg has no noise_appetite; give a default"),
        ("test_exploration:Shapely", "noise is 'test_exploration:Shapely'; DDPG has no precision matrix"),
    ],
)
def test_what_is_no_noise_is_refused(noise, said):
    with pytest.raises(rv.ConfigError) as caught:
        rv.DDPG(noise=noise)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("theta", [-0.1, 1.1])
def test_theta_is_a_share(theta):
    with pytest.raises(rv.ConfigError, match=rf"noise_theta is {theta}; it must lie in \[0, 1\]"):
        rv.NAF(noise_theta=theta)
