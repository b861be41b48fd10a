"""Networks with batch normalisation of the input and of each hidden layer, and weights of unit norm.

Palenicek et al. 2026 (XQC, arXiv 2509.25174).  A network is a list of layers as in `networks`:

| layer | computes | has |
|---|---|---|
| first | norm(x) gain | `gain` [i] |
| hidden | relu(norm(x w) gain + shift) | `w` [i, o]; `gain`, `shift` [o] |
| last | x w + b | `w` [i, o]; `b` [o] |

The first has no shift, since the next normalisation would cancel it.

Batch normalisation cancels the length of the columns of w, but the longer they are, the less a gradient step turns
them.  With `with_unit_columns` after each step, the steps stay as effective as they were at first.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, Real

from reverie.maths import networks
from reverie.maths.array_arguments import array
from reverie.maths.array_types import Array, Numbers
from reverie.maths.networks import Layer, Layers, Moments

EPSILON = 1e-3  # added to variances, as in the authors' code


def init(key: PRNGKeyArray, sizes: tuple[int, ...]) -> list[Layer]:
    """Return the layers of a network with orthogonal weights, whose columns are then scaled to unit norm.

    sizes: number of units of input, hidden layers and output.
    """
    *inner, head = networks.init_orthogonal(key, sizes, 1.0)
    ones = [jnp.ones(size, jnp.float32) for size in sizes[:-1]]
    hidden = [{"w": layer["w"], "gain": gain, "shift": 0.0 * gain} for layer, gain in zip(inner, ones[1:], strict=True)]
    return with_unit_columns([{"gain": ones[0]}, *hidden, head])


def forward(
    layers: Layers, x: Numbers, moments: Sequence[Moments] | None = None
) -> tuple[Real[Array, "... o"], list[Moments]]:
    """Return (output, moments used of each layer but the last).

    x: [..., i].  moments: running moments to normalise by; None: those of the minibatch, over all leading axes of x.
    """
    features = array("unit_networks.forward: x", x)
    used: list[Moments] = []
    for number, layer in enumerate(layers[:-1]):
        out = networks.linear(layer, features) if "w" in layer else features
        by = networks.minibatch_moments(out) if moments is None else moments[number]
        used.append(by)
        features = networks.standardise(out, by["mean"], by["var"], EPSILON) * layer["gain"]
        if "shift" in layer:
            features = features + layer["shift"]
            features = features.__array_namespace__().maximum(features, 0.0)
    return networks.linear(layers[-1], features), used


def with_unit_columns(layers: Layers) -> list[Layer]:
    """Return the layers with each column of their weights divided by its norm.  Biases, gains and shifts stay."""
    return [
        layer | {"w": layer["w"] / jnp.linalg.norm(layer["w"], axis=0, keepdims=True)} if "w" in layer else layer
        for layer in layers
    ]
