"""NAF's update rule against NumPy float64, for every option that changes it."""

import jax
import numpy as np
import pytest
from transcription import Adam, as_float64, gradient, hidden_layer, mlp

from reverie.algorithms import ALGORITHMS
from reverie.core.types import EnvSpec, Transition

N, M, B, I = 3, 2, 4, 3
SETTINGS = {
    "paper": {"normalisation": "batch", "target_rate": 0.001},
    "plain": {},
    "shared": {"trunk": "shared"},
    "layer": {"normalisation": "layer"},
    "clip": {"mean_bound": "clip"},
    "scaled": {"reward_scale": 0.1, "observation_normalisation": True},
    "bounded": {"value_bound": True, "reward_scale": 0.001, "discount": 0.05},  # small enough to bound a new network
}


def batches(generator):
    draw = generator.standard_normal
    return Transition(
        draw((I, B, N)),
        generator.uniform(-1, 1, (I, B, M)),
        draw((I, B)),
        np.array([[1, 0, 1, 1]] * I),
        draw((I, B, N)),
    )


def network(params, moments, x, names, normalisation, training):
    used = {"trunk": []}
    for layer, running in zip(params["trunk"], moments["trunk"], strict=True):
        x, now = hidden_layer(layer, running, x, normalisation, training)
        used["trunk"].append(now)
    out = {}
    for name in names:
        out[name], used[name] = mlp(params[name], moments[name], x, normalisation, training)
    return out, used


def q_value(out, action, bound):
    """Q(x, u) = V(x) - ½ (u - μ)ᵀ L Lᵀ (u - μ), entry by entry."""
    mean = np.tanh(out["mean"]) if bound == "tanh" else out["mean"]
    values = np.zeros(len(action))
    for b in range(len(action)):
        lower, k = np.zeros((M, M)), 0
        for i in range(M):
            for j in range(i + 1):
                lower[i, j] = np.exp(out["lower"][b, k]) if i == j else out["lower"][b, k]
                k += 1
        d = action[b] - mean[b]
        values[b] = out["value"][b, 0] - 0.5 * d @ (lower @ lower.T) @ d
    return values


@pytest.mark.parametrize("name", SETTINGS)
def test_three_updates_equal_the_equations(name, generator):
    config = ALGORITHMS["naf"](hidden=(4, 3), learning_rate=1e-2, **({"target_rate": 0.1} | SETTINGS[name]))
    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    state = agent.init(jax.random.key(1))
    batch = batches(generator)
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, batch), jax.random.key(2))

    params, moments, target = as_float64(state.params), as_float64(state.moments), as_float64(state.target)
    adam, losses, qs = Adam(config.learning_rate), [], []
    mean, var = np.zeros(N), np.ones(N)
    lowest = highest = clipped = 0.0
    for i in range(I):
        x, u, r, alive, x_next = (field[i] for field in batch)
        if config.observation_normalisation:
            mean = mean + (x.mean(0) - mean) / (i + 1)
            var = var + (((x - mean) ** 2).mean(0) - var) / (i + 1)
            x, x_next = ((o - mean) / np.sqrt(var + 1e-8) for o in (x, x_next))
            x, x_next = np.clip(x, -10, 10), np.clip(x_next, -10, 10)
        v_next, _ = network(target, moments, x_next, ["value"], config.normalisation, training=True)
        best = v_next["value"][:, 0]
        if config.value_bound:
            lowest, highest = min(lowest, config.reward_scale * r.min()), max(highest, config.reward_scale * r.max())
            limits = lowest / (1 - config.discount), highest / (1 - config.discount)
            clipped += np.mean((best < limits[0]) | (best > limits[1])) / I
            best = np.minimum(np.maximum(best, limits[0]), limits[1])
        y = config.reward_scale * r + config.discount * alive * best

        def forward(p, x=x, u=u, moments=moments):
            out, used = network(p, moments, x, ["value", "mean", "lower"], config.normalisation, training=True)
            return q_value(out, u, config.mean_bound), used

        q, used = forward(params)
        losses.append(np.mean((y - q) ** 2))
        qs.append(np.mean(q))
        params = adam.step(params, gradient(lambda p, y=y, forward=forward: np.mean((y - forward(p)[0]) ** 2), params))
        moments = jax.tree.map(lambda old, new: old + 0.01 * (new - old), moments, used)
        online = {k: params[k] for k in ("trunk", "value")}
        target = jax.tree.map(lambda t, o: config.target_rate * o + (1 - config.target_rate) * t, target, online)

    if config.value_bound:
        assert 0 < clipped < 1  # some values, not all
        np.testing.assert_allclose(found.rewards, [lowest, highest], rtol=1e-6)
    assert float(metrics["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(metrics["q_mean"]) == pytest.approx(np.mean(qs), rel=1e-4, abs=1e-6)
    for ours, theirs in ((found.params, params), (found.moments, moments), (found.target, target)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=3e-5), ours, theirs)
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), found.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-6  # every parameter took part: the comparison above could have failed
