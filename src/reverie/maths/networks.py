"""Multilayer perceptrons as plain lists of layers, with optional layer or batch normalisation.

A layer is a dict with weight `w` [i, o] and bias `b` [o]. Normalised layers also have `gain` and `shift` [o]. Before
batch normalisation there is no bias, because it would cancel. Running moments of batch normalisation are not
parameters: they are separate, in one dict (`mean`, `var`) per normalised layer. `hidden` and `linear` take arrays of
NumPy or JAX (array API standard).
"""

from typing import Literal

import jax
import jax.numpy as jnp

from reverie.maths.array_arguments import array

Normalisation = Literal["none", "layer", "batch"]
MOMENTS_RATE = 0.01  # rate at which running moments of batch normalisation follow those of minibatches
EPSILON = 1e-5  # added to variances, as in Ioffe & Szegedy 2015 and Ba et al. 2016


def init_layers(key, sizes: tuple[int, ...], normalisation: Normalisation = "none"):
    """Return hidden layers with weights uniform in ±1/√fan-in.  Lillicrap et al. 2016, section 7.

    key: a JAX key.  sizes: number of units of the input and of each layer.
    """
    layers = []
    for k, i, o in zip(jax.random.split(key, max(len(sizes) - 1, 1)), sizes[:-1], sizes[1:], strict=False):
        kw, kb = jax.random.split(k)
        bound = 1.0 / float(i) ** 0.5
        layer = {"w": jax.random.uniform(kw, (i, o), jnp.float32, -bound, bound)}
        if normalisation != "batch":
            layer["b"] = jax.random.uniform(kb, (o,), jnp.float32, -bound, bound)
        if normalisation != "none":
            layer |= {"gain": jnp.ones(o, jnp.float32), "shift": jnp.zeros(o, jnp.float32)}
        layers.append(layer)
    return layers


def init_head(key, i: int, o: int, bound: float = 3e-3):
    """Return an output layer with weights uniform in ±`bound`.  Lillicrap et al. 2016, section 7.

    key: a JAX key.  i, o: numbers of inputs and outputs. With a small bound first outputs are near 0.
    """
    kw, kb = jax.random.split(key)
    return {
        "w": jax.random.uniform(kw, (i, o), jnp.float32, -bound, bound),
        "b": jax.random.uniform(kb, (o,), jnp.float32, -bound, bound),
    }


def init_network(keys, sizes: tuple[int, ...], normalisation: Normalisation = "none", small: bool = True):
    """Return the layers of a network: hidden layers and an output layer.

    keys: two JAX keys, of the hidden layers and of the output layer.  sizes: number of units of input, hidden layers
    and output.  small: weights of the output layer are so small that first outputs are near 0; else uniform in
    ±1/√fan-in.
    """
    k_layers, k_out = keys
    *inner, i, o = sizes
    head = init_head(k_out, i, o) if small else init_head(k_out, i, o, 1.0 / float(i) ** 0.5)
    return [*init_layers(k_layers, (*inner, i), normalisation), head]


def init_orthogonal(key, sizes: tuple[int, ...], gain: float):
    """Return layers with orthogonal weights times `gain`, and biases 0.  Saxe et al. 2014.

    key: a JAX key.  sizes: number of units of the input and of each layer.
    """
    draw = jax.nn.initializers.orthogonal(gain)
    keys = jax.random.split(key, max(len(sizes) - 1, 1))
    pairs = zip(keys, sizes[:-1], sizes[1:], strict=False)
    return [{"w": draw(k, (i, o), jnp.float32), "b": jnp.zeros(o, jnp.float32)} for k, i, o in pairs]


def init_moments(layers):
    """Return the first running moments (mean 0, variance 1) of each of `layers`."""
    sizes = [layer["w"].shape[1] for layer in layers]
    return [{"mean": jnp.zeros(o, jnp.float32), "var": jnp.ones(o, jnp.float32)} for o in sizes]


def linear(layer, x):
    """Return x w + b [..., o].  x: [..., i]."""
    x = array("networks.linear: x", x)
    return x @ layer["w"] + layer["b"] if "b" in layer else x @ layer["w"]


def tanh_network(layers, x):
    """Return the output [..., o] of a network with tanh units and a linear last layer.  x: [..., i]."""
    for layer in layers[:-1]:
        x = linear(layer, x)
        x = x.__array_namespace__().tanh(x)
    return linear(layers[-1], x)


def hidden(layers, moments, x, normalisation: Normalisation = "none", training: bool = False):
    """Return (features [..., h], moments used). Each layer is x ← relu(norm(x w + b)).

    x: [..., i].  moments: running moments of each layer, which batch normalisation uses if not `training`. In training
    it uses the moments of the batch, over all leading axes, and they are returned.
    """
    x = array("networks.hidden: x", x)
    xp = x.__array_namespace__()
    used = []
    for layer, running in zip(layers, moments, strict=True):
        x = linear(layer, x)
        if normalisation == "layer":
            x = _standardise(x, x.mean(-1, keepdims=True), x.var(-1, keepdims=True), layer)
        elif normalisation == "batch":
            axes = tuple(range(x.ndim - 1))
            now = {"mean": x.mean(axes), "var": x.var(axes)} if training else running
            x = _standardise(x, now["mean"], now["var"], layer)
            running = now
        used.append(running)
        x = xp.maximum(x, 0.0)
    return x, used


def forward(layers, moments, x, normalisation: Normalisation = "none", training: bool = False):
    """Return (output [..., o], moments used). The last layer is linear; all others are as in `hidden`."""
    features, used = hidden(layers[:-1], moments, x, normalisation, training)
    return linear(layers[-1], features), used


def _standardise(x, mean, var, layer):
    return (x - mean) / (var + EPSILON) ** 0.5 * layer["gain"] + layer["shift"]


def move_towards(target, online, rate):
    """Return (1 - rate)·target + rate·online for each leaf: θ' ← τθ + (1 - τ)θ'.  Gu et al. 2016, Algorithm 1."""
    return jax.tree.map(lambda t, o: t + rate * (o - t), target, online)
