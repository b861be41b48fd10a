"""What the papers' algorithms share, in NumPy float64 and written out from them; gradients by central differences."""

import numpy as np

EPS = 1e-5


def as_float64(tree):
    import jax

    return jax.tree.map(lambda leaf: np.array(leaf, np.float64), tree)


def as_float32(tree):
    import jax

    return jax.tree.map(lambda leaf: jax.numpy.asarray(leaf, np.float32), tree)


def perturbed(tree, generator, size=0.3):
    """First weights far from zero and unlike one another, float32; variances of running moments stay positive."""
    import jax

    def moved(path, leaf):
        change = size * generator.standard_normal(np.shape(leaf))
        positive = str(getattr(path[-1], "key", "")) == "var"
        return np.float32(np.exp(change) if positive else np.asarray(leaf) + change)

    return jax.tree_util.tree_map_with_path(moved, tree)


def assert_close(ours, theirs, rtol=2e-4, atol=2e-5):
    """Leaf by leaf, float32 against float64."""
    import jax

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), ours, theirs)


def mlp(layers, moments, x, normalisation, training):
    """All layers but the last are hidden; a trunk is given with last=None appended by the caller."""
    used = []
    for layer, running in zip(layers[:-1], moments, strict=True):
        x, now = hidden_layer(layer, running, x, normalisation, training)
        used.append(now)
    return x @ layers[-1]["w"] + layers[-1]["b"], used


def hidden_layer(layer, running, x, normalisation, training):
    if normalisation == "batch_inputs":
        x, running = over_minibatch(layer, running, x, training)
    x = x @ layer["w"] + layer.get("b", 0.0)
    if normalisation == "layer":
        mu, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        x = (x - mu) / np.sqrt(var + EPS) * layer["gain"] + layer["shift"]
    if normalisation == "batch":
        x, running = over_minibatch(layer, running, x, training)
    return np.maximum(x, 0), running


def over_minibatch(layer, running, x, training):
    if training:
        running = {"mean": x.mean(0), "var": x.var(0)}
    return (x - running["mean"]) / np.sqrt(running["var"] + EPS) * layer["gain"] + layer["shift"], running


def gradient(loss, params, h=1e-6):
    """Return d loss / d params for a pytree of float64 arrays, entry by entry."""
    import jax

    leaves, structure = jax.tree.flatten(params)
    out = []
    for leaf in leaves:
        g = np.zeros_like(leaf)
        for i in np.ndindex(*leaf.shape):
            kept = leaf[i]
            leaf[i] = kept + h
            up = loss(params)
            leaf[i] = kept - h
            down = loss(params)
            leaf[i] = kept
            g[i] = (up - down) / (2 * h)
        out.append(g)
    return jax.tree.unflatten(structure, out)


class Adam:
    """Kingma & Ba 2015, Alg. 1."""

    def __init__(self, rate, epsilon=1e-8):
        self.rate, self.epsilon, self.t, self.m, self.v = rate, epsilon, 0, None, None

    def step(self, params, g):
        import jax

        zeros = jax.tree.map(np.zeros_like, params)
        self.m, self.v = (zeros, zeros) if self.m is None else (self.m, self.v)
        self.t += 1
        self.m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, self.m, g)
        self.v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, self.v, g)
        return jax.tree.map(
            lambda p, m, v: p - self.rate * (m / (1 - 0.9**self.t)) / (np.sqrt(v / (1 - 0.999**self.t)) + self.epsilon),
            params, self.m, self.v,
        )  # fmt: skip
