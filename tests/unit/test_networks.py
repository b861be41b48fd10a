"""Layers against NumPy written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reverie.maths import networks, normalise


def parts(normalisation, key=0):
    layers = networks.init_layers(jax.random.key(key), (3, 5, 4), normalisation)
    layers = jax.tree.map(lambda p: p + 0.1 * jnp.arange(p.size, dtype=jnp.float32).reshape(p.shape), layers)
    return layers, networks.init_moments(layers)


@pytest.mark.parametrize("normalisation", ["none", "layer", "batch"])
def test_hidden_equals_numpy(normalisation, generator):
    layers, moments = parts(normalisation)
    x = generator.standard_normal((6, 3)).astype(np.float32)
    found, used = networks.hidden(layers, moments, jnp.asarray(x), normalisation, training=True)
    y = x.astype(np.float64)
    for layer, moment in zip(layers, used, strict=True):
        w = {name: np.asarray(value, np.float64) for name, value in layer.items()}
        y = y @ w["w"] + w.get("b", 0.0)
        if normalisation != "none":
            axis = -1 if normalisation == "layer" else 0
            mean, var = y.mean(axis, keepdims=True), y.var(axis, keepdims=True)
            if normalisation == "batch":
                np.testing.assert_allclose(moment["mean"], mean[0], rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(moment["var"], var[0], rtol=1e-4, atol=1e-6)
            y = (y - mean) / np.sqrt(var + 1e-5) * w["gain"] + w["shift"]
        y = np.maximum(y, 0)
    np.testing.assert_allclose(found, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalisation", ["none", "layer", "batch", "batch_inputs"])
def test_numpy_and_jax_agree_when_acting(normalisation, generator):
    layers, moments = parts(normalisation)
    x = generator.standard_normal((6, 3)).astype(np.float32)
    here, _ = networks.hidden(*jax.tree.map(np.asarray, (layers, moments)), x, normalisation)
    there, _ = networks.hidden(layers, moments, jnp.asarray(x), normalisation)
    assert here.dtype == np.float32
    np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6)


def test_inputs_are_normalised_before_the_matrix(generator):
    layers, moments = parts("batch_inputs")
    assert [moment["mean"].shape for moment in moments] == [(3,), (5,)]
    x = generator.standard_normal((6, 3)).astype(np.float32)
    found, used = networks.hidden(layers, moments, jnp.asarray(x), "batch_inputs", training=True)
    y = x.astype(np.float64)
    for layer, moment in zip(layers, used, strict=True):
        w = {name: np.asarray(value, np.float64) for name, value in layer.items()}
        np.testing.assert_allclose(moment["mean"], y.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(moment["var"], y.var(0), rtol=1e-4, atol=1e-6)
        y = (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-5) * w["gain"] + w["shift"]
        y = np.maximum(y @ w["w"] + w["b"], 0)
    np.testing.assert_allclose(found, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalisation", ["batch", "batch_inputs"])
def test_batch_normalisation_acts_by_running_moments(normalisation):
    layers, moments = parts(normalisation)
    one = jnp.ones((1, 3), jnp.float32)
    alone, _ = networks.hidden(layers, moments, one, normalisation)
    among, _ = networks.hidden(layers, moments, jnp.concatenate([one, 5 * one]), normalisation)
    np.testing.assert_allclose(alone[0], among[0], rtol=1e-6)


def test_standardised_values_have_mean_0_and_variance_1(generator):
    x = 3 + 2 * generator.standard_normal((4, 500, 3))
    moments = networks.minibatch_moments(x)
    found = networks.standardise(x, **moments, epsilon=0.0)
    np.testing.assert_allclose(moments["mean"], x.reshape(-1, 3).mean(0))
    np.testing.assert_allclose(found.reshape(-1, 3).mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.reshape(-1, 3).std(0), 1.0)
    np.testing.assert_allclose(networks.standardise([1.0, 9.0], np.ones(2), np.full(2, 12.0), 4.0), [0.0, 2.0])


def test_move_towards_takes_the_share_of_the_online_network():
    found = networks.move_towards({"a": jnp.asarray(1.0)}, {"a": jnp.asarray(3.0)}, 0.25)
    assert float(found["a"]) == 1.5


def test_normaliser_learns_the_moments_of_what_it_sees(generator):
    moments = normalise.init(2)
    data = (generator.standard_normal((200, 50, 2)) * [3.0, 0.1] + [5.0, -1.0]).astype(np.float32)
    for batch in data:
        moments = normalise.update(moments, jnp.asarray(batch))
    np.testing.assert_allclose(moments["mean"], [5.0, -1.0], atol=0.1)
    np.testing.assert_allclose(np.sqrt(moments["var"]), [3.0, 0.1], rtol=0.05)
    np.testing.assert_allclose(normalise.apply(moments, np.asarray([8.0, -1.0])), [1.0, 0.0], atol=0.1)
    assert normalise.apply(normalise.init(2), np.asarray([0.5, -3.0])).tolist() == pytest.approx([0.5, -3.0])
