"""The steps that every algorithm's update is made of, against NumPy float64 and numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from reverie.algorithms import updates
from reverie.core.types import Transition
from transcription import Adam, as_float32, as_float64, assert_close

N, B = 3, 4
MOMENTS = {"mean": np.float32([1, 2, 3]), "var": np.float32([4, 1, 0.25]), "count": np.float32(1)}


def minibatch(generator):
    draw = generator.standard_normal
    return Transition(draw((B, N)), draw((B, 1)), draw(B), np.array([1.0, 0.0, 1.0, 1.0]), draw((B, N)))


def test_observations_are_standardised_and_clipped_or_left_alone():
    x = np.float32([5, 2, -50])
    np.testing.assert_allclose(updates.normalise_observation(MOMENTS, x), [2, 0, -10], rtol=1e-6)
    assert updates.normalise_observation(None, x) is x
    assert updates.moments_in_use(MOMENTS, 1.0) is MOMENTS
    assert updates.moments_in_use(MOMENTS, None) is None


def test_a_minibatch_moves_the_moments_first_and_is_standardised_by_them(generator):
    batch = minibatch(generator)
    moments, x, x_next = updates.normalise_batch(MOMENTS, as_float32(batch), 1.0)
    mean = MOMENTS["mean"] + (batch.observation.mean(0) - MOMENTS["mean"]) / 2
    var = MOMENTS["var"] + (((batch.observation - mean) ** 2).mean(0) - MOMENTS["var"]) / 2
    assert_close(moments, {"mean": mean, "var": var, "count": 2.0})
    assert_close(x, (batch.observation - mean) / np.sqrt(var + 1e-8))
    assert_close(x_next, (batch.next_observation - mean) / np.sqrt(var + 1e-8))


@pytest.mark.parametrize("size", [0.25, 3.0])
def test_standardised_observations_get_the_size_that_is_asked_for(generator, size):
    batch = minibatch(generator)
    moments, x, x_next = updates.normalise_batch(MOMENTS, as_float32(batch), size)
    kept, plain, plain_next = updates.normalise_batch(MOMENTS, as_float32(batch), 1.0)
    assert_close(moments, kept)  # the running moments stay those of the observations
    assert_close(x, np.clip(size * as_float64(plain), -10, 10))
    assert_close(x_next, np.clip(size * as_float64(plain_next), -10, 10))


def test_a_minibatch_is_left_alone_where_observations_are_not_normalised(generator):
    batch = as_float32(minibatch(generator))
    moments, x, x_next = updates.normalise_batch(MOMENTS, batch, None)
    assert moments is MOMENTS and x is batch.observation and x_next is batch.next_observation


def test_a_target_bootstraps_unless_the_episode_died(generator):
    batch, after = minibatch(generator), generator.standard_normal(B)
    found = updates.td_target(as_float32(batch), as_float32(after), 0.9, 0.5)
    expected = 0.5 * batch.reward + 0.9 * batch.discount * after
    assert_close(found, expected)
    assert float(found[1]) == pytest.approx(0.5 * batch.reward[1], rel=1e-6)


def test_two_gradient_steps_are_adams(generator):
    """Of ½ |w - a|², whose gradient is w - a."""
    w, a = as_float64(as_float32((generator.standard_normal(3), generator.standard_normal(3))))
    optimiser, adam = optax.adam(0.1), Adam(0.1)
    params = {"w": jnp.asarray(w, jnp.float32)}
    state, exact = optimiser.init(params), {"w": w}

    def loss(params, a, power):
        return 0.5 * jnp.sum(jnp.abs(params["w"] - a) ** power), power

    for _ in range(2):
        value = 0.5 * np.sum((exact["w"] - a) ** 2)
        exact = adam.step(exact, {"w": exact["w"] - a})
        params, state, found, besides = updates.gradient_step(loss, optimiser, params, state, as_float32(a), 2)
        assert float(found) == pytest.approx(value, rel=1e-5) and besides == 2
    assert_close(params, exact)


def test_a_target_network_starts_as_a_copy_in_arrays_of_its_own():
    params = {"w": jnp.ones(2)}
    copy = updates.target_copy(params)
    np.testing.assert_array_equal(copy["w"], params["w"])
    assert copy["w"] is not params["w"]


def test_minibatches_follow_each_other_and_metrics_are_averaged():
    def halve_and_add(state, minibatch):
        return 0.5 * state + minibatch, {"before": state}

    state, metrics = updates.over_minibatches(halve_and_add, jnp.float32(8), jnp.float32([1, 2]))
    assert float(state) == 0.5 * (0.5 * 8 + 1) + 2
    assert float(metrics["before"]) == (8 + 5) / 2


def test_the_saturated_share_counts_where_tanh_is_flat():
    assert float(updates.saturated_share(jnp.float32([[0.98, -0.98], [0.5, -0.96]]))) == 0.5
    assert float(jax.grad(jnp.tanh)(jnp.arctanh(updates.SATURATED))) < 0.06
