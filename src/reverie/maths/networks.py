"""Multilayer perceptrons as plain lists of layers, with optional layer or batch normalisation.

A layer is a dict with weight `w` [i, o] and bias `b` [o]. Normalised layers also have `gain` and `shift` [o].

| normalisation | where |
|---|---|
| "layer" | before each ReLU of a hidden layer, over its units |
| "batch" | before each ReLU of a hidden layer, over the minibatch; without the bias, which would cancel |
| "batch_inputs" | what enters each hidden layer, the observation included, over the minibatch; `gain` and `shift` are [i] |

The last is the place in Lillicrap et al. 2016, section 3, and in rllab++, later code of NAF's first author. Running
moments of batch normalisation are not parameters: they are separate, in one dict (`mean`, `var`, as wide as `gain`) per
normalised layer. `hidden` and `linear` take arrays of NumPy or JAX (array API standard).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray, Real

from reverie.maths.array_arguments import array
from reverie.maths.array_types import Array, Numbers

Normalisation = Literal["none", "layer", "batch", "batch_inputs"]
MOMENTS_RATE = 0.01  # rate at which running moments of batch normalisation follow those of minibatches
EPSILON = 1e-5  # added to variances, as in Ioffe & Szegedy 2015 and Ba et al. 2016

Layer: TypeAlias = dict[str, Float[Array, "..."]]
Layers: TypeAlias = Sequence[Layer]
Moments: TypeAlias = dict[str, Float[Array, "_"]]
Tree = TypeVar("Tree")
Running = TypeVar("Running", bound=Moments | None)  # None where a layer has no batch normalisation


def init_layers(key: PRNGKeyArray, sizes: tuple[int, ...], normalisation: Normalisation = "none") -> list[Layer]:
    """Return hidden layers with weights uniform in ±1/√fan-in.  Lillicrap et al. 2016, section 7.

    sizes: number of units of the input and of each layer.
    """
    layers: list[Layer] = []
    for k, i, o in zip(jax.random.split(key, max(len(sizes) - 1, 1)), sizes[:-1], sizes[1:], strict=False):
        kw, kb = jax.random.split(k)
        bound = 1.0 / float(i) ** 0.5
        layer: Layer = {"w": jax.random.uniform(kw, (i, o), jnp.float32, -bound, bound)}
        if normalisation != "batch":
            layer["b"] = jax.random.uniform(kb, (o,), jnp.float32, -bound, bound)
        if normalisation != "none":
            size = i if normalisation == "batch_inputs" else o
            layer |= {"gain": jnp.ones(size, jnp.float32), "shift": jnp.zeros(size, jnp.float32)}
        layers.append(layer)
    return layers


def init_head(key: PRNGKeyArray, i: int, o: int, bound: float = 3e-3) -> Layer:
    """Return an output layer with weights uniform in ±`bound`.  Lillicrap et al. 2016, section 7.

    i, o: numbers of inputs and outputs. With a small bound first outputs are near 0.
    """
    kw, kb = jax.random.split(key)
    return {
        "w": jax.random.uniform(kw, (i, o), jnp.float32, -bound, bound),
        "b": jax.random.uniform(kb, (o,), jnp.float32, -bound, bound),
    }


def init_network(
    keys: Iterable[PRNGKeyArray], sizes: tuple[int, ...], normalisation: Normalisation = "none", small: bool = True
) -> list[Layer]:
    """Return the layers of a network: hidden layers and an output layer.

    keys: two, of the hidden layers and of the output layer.  sizes: number of units of input, hidden layers
    and output.  small: weights of the output layer are so small that first outputs are near 0; else uniform in
    ±1/√fan-in.
    """
    k_layers, k_out = keys
    *inner, i, o = sizes
    head = init_head(k_out, i, o) if small else init_head(k_out, i, o, 1.0 / float(i) ** 0.5)
    return [*init_layers(k_layers, (*inner, i), normalisation), head]


def init_orthogonal(key: PRNGKeyArray, sizes: tuple[int, ...], gain: float) -> list[Layer]:
    """Return layers with orthogonal weights times `gain`, and biases 0.  Saxe et al. 2014.

    sizes: number of units of the input and of each layer.
    """
    draw = jax.nn.initializers.orthogonal(gain)
    keys = jax.random.split(key, max(len(sizes) - 1, 1))
    pairs = zip(keys, sizes[:-1], sizes[1:], strict=False)
    return [{"w": draw(k, (i, o), jnp.float32), "b": jnp.zeros(o, jnp.float32)} for k, i, o in pairs]


def init_moments(layers: Layers) -> list[Moments]:
    """Return the first running moments (mean 0, variance 1) of each of `layers`."""
    sizes = [layer["gain"].shape[0] if "gain" in layer else layer["w"].shape[1] for layer in layers]
    return [{"mean": jnp.zeros(o, jnp.float32), "var": jnp.ones(o, jnp.float32)} for o in sizes]


def linear(layer: Layer, x: Numbers) -> Real[Array, "... o"]:
    """Return x w + b.  x: [..., i]."""
    x = array("networks.linear: x", x)
    return x @ layer["w"] + layer["b"] if "b" in layer else x @ layer["w"]


def tanh_network(layers: Layers, x: Numbers) -> Real[Array, "... o"]:
    """Return the output of a network with tanh units and a linear last layer.  x: [..., i]."""
    for layer in layers[:-1]:
        x = linear(layer, x)
        x = x.__array_namespace__().tanh(x)
    return linear(layers[-1], x)


def hidden(
    layers: Layers,
    moments: Sequence[Running],
    x: Numbers,
    normalisation: Normalisation = "none",
    training: bool = False,
) -> tuple[Real[Array, "... h"], list[Running]]:
    """Return (features, moments used). Each layer is x ← relu(norm(x w + b)), or relu(norm(x) w + b) ("batch_inputs").

    x: [..., i].  moments: running moments of each layer, which batch normalisation uses if not `training`. In training
    it uses the moments of the batch, over all leading axes, and they are returned. Without batch normalisation they are
    not read, and may be None.
    """
    features = array("networks.hidden: x", x)
    xp = features.__array_namespace__()
    used: list[Any] = []
    for layer, running in zip(layers, moments, strict=True):
        if normalisation == "batch_inputs":
            running = _moments(features, running, training)
            features = _standardise(features, running["mean"], running["var"], layer)
        out = linear(layer, features)
        if normalisation == "layer":
            out = _standardise(out, out.mean(-1, keepdims=True), out.var(-1, keepdims=True), layer)
        elif normalisation == "batch":
            running = _moments(out, running, training)
            out = _standardise(out, running["mean"], running["var"], layer)
        used.append(running)
        features = xp.maximum(out, 0.0)
    return features, used


def forward(
    layers: Layers,
    moments: Sequence[Running],
    x: Numbers,
    normalisation: Normalisation = "none",
    training: bool = False,
) -> tuple[Real[Array, "... o"], list[Running]]:
    """Return (output, moments used). The last layer is linear; all others are as in `hidden`."""
    features, used = hidden(layers[:-1], moments, x, normalisation, training)
    return linear(layers[-1], features), used


def _moments(x: Array, running: Moments | None, training: bool) -> Moments:
    """Return the moments of x over all leading axes in training, else the running ones."""
    if training:
        return minibatch_moments(x)
    assert running is not None
    return running


def minibatch_moments(x: Numbers) -> Moments:
    """Return mean and variance of x [..., i] over all leading axes."""
    x = array("networks.minibatch_moments: x", x)
    axes = tuple(range(x.ndim - 1))
    return {"mean": x.mean(axes), "var": x.var(axes)}


def _standardise(x: Array, mean: Array, var: Array, layer: Layer) -> Array:
    return standardise(x, mean, var) * layer["gain"] + layer["shift"]


def standardise(
    x: Numbers, mean: Real[Array, "..."], var: Real[Array, "..."], epsilon: float = EPSILON
) -> Real[Array, "*b i"]:
    """Return (x - mean)/√(var + ε).  x: [..., i], of NumPy or JAX."""
    x = array("networks.standardise: x", x)
    return (x - mean) / (var + epsilon) ** 0.5


def move_towards(target: Tree, online: Tree, rate: Real[ArrayLike, ""]) -> Tree:
    """Return (1 - rate)·target + rate·online for each leaf: θ' ← τθ + (1 - τ)θ'.  Gu et al. 2016, Algorithm 1."""
    return jax.tree.map(lambda t, o: t + rate * (o - t), target, online)
