"""NAF's update rule against NumPy float64, for every option that changes it."""

import jax
import numpy as np
import pytest

from reverie.algorithms import ALGORITHMS, naf
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from reverie.maths import networks
from transcription import Adam, as_float32, as_float64, assert_close, gradient, hidden_layer, mlp, perturbed

N, M, B, I = 3, 2, 4, 3
BOUNDS = -0.002, 0.001  # of values; among those of a new network
SETTINGS = {
    "paper": {"normalisation": "batch", "target_rate": 0.001},
    "normalised inputs": {"normalisation": "batch_inputs", "target_rate": 0.02},
    "plain": {},
    "shared": {"trunk": "shared"},
    "layer": {"normalisation": "layer"},
    "clip": {"mean_bound": "clip"},
    "scaled": {"reward_scale": 0.1, "observation_normalisation": True},
    "bounded": {"value_bound": True},
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
    config = ALGORITHMS["naf"](learning_rate=1e-2, **({"hidden": (4, 3), "target_rate": 0.1} | SETTINGS[name]))
    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    # With normalised inputs the bias of a unit that is active in a whole minibatch cancels, and rounding decides Adam's
    # step.  With this key there is none.
    state = agent.init(jax.random.key(4 if config.normalisation == "batch_inputs" else 1))
    if config.value_bound:
        state = agent.bound_values(state, *BOUNDS)
    batch = batches(generator)
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, batch), jax.random.key(2))

    params, moments, target = as_float64(state.params), as_float64(state.moments), as_float64(state.target)
    adam, losses, qs = Adam(config.learning_rate), [], []
    mean, var = np.zeros(N), np.ones(N)
    clipped = 0.0
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
            clipped += np.mean((best < BOUNDS[0]) | (best > BOUNDS[1])) / I
            best = np.clip(best, *BOUNDS)
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
        np.testing.assert_array_equal(found.bounds, np.float32(BOUNDS))
    assert float(metrics["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(metrics["q_mean"]) == pytest.approx(np.mean(qs), rel=1e-4, abs=1e-6)
    for ours, theirs in ((found.params, params), (found.moments, moments), (found.target, target)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=3e-5), ours, theirs)
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), found.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-6  # every parameter took part: the comparison above could have failed


# ---- each equation alone

ONE = [
    ("none", "separate", "tanh"),
    ("layer", "shared", "clip"),
    ("batch", "separate", "tanh"),
    ("batch", "shared", "clip"),
    ("batch_inputs", "separate", "tanh"),
    ("batch_inputs", "shared", "tanh"),
]
each_network = pytest.mark.parametrize(("normalisation", "trunk", "bound"), ONE)


def parts(normalisation, trunk, generator):
    """Parameters and running moments far from their first values, float32 and float64."""
    params = naf.init_params(jax.random.key(0), N, M, (4, 3), trunk, normalisation)
    assert bool(params["trunk"]) == (trunk == "shared")
    moments = {
        name: networks.init_moments(layers if name == "trunk" else layers[:-1]) for name, layers in params.items()
    }
    params, moments = perturbed(params, generator), perturbed(moments, generator)
    return params, moments, as_float64(params), as_float64(moments)


def drawn(generator):
    return as_float32(generator.standard_normal((B, N))), as_float32(generator.uniform(-1, 1, (B, M)))


@each_network
@pytest.mark.parametrize("training", [False, True])
def test_value_and_heads_equal_the_networks(normalisation, trunk, bound, training, generator):
    params, moments, exact, exact_moments = parts(normalisation, trunk, generator)
    x, u = drawn(generator)
    out, used = network(exact, exact_moments, x, naf.HEADS, normalisation, training)
    of_v = naf.value_part(params), naf.value_part(moments)
    assert_close(naf.value(*of_v, x, normalisation, training), out["value"][:, 0])
    v, mean, lower, found = naf.heads(params, moments, x, normalisation, bound, training)
    assert_close((v, found), (out["value"][:, 0], used))
    assert_close(mean, np.tanh(out["mean"]) if bound == "tanh" else out["mean"])
    assert_close(naf.q_value(v, mean, lower, u), q_value(out, u, bound))
    assert (np.asarray(lower)[:, 0, 1] == 0).all() and lower.shape == (B, M, M)


def test_q_is_the_value_at_the_mean_and_less_elsewhere(generator):
    lower = np.float32([[[1.0, 0.0], [0.5, 2.0]]])
    mean, v = np.float32([[0.2, -0.1]]), np.float32([3.0])
    assert float(naf.q_value(v, mean, lower, mean)[0]) == 3.0
    u = mean + np.float32([[1.0, 0.0]])  # ½ (u - μ)ᵀ L Lᵀ (u - μ) = ½ · 1
    assert float(naf.q_value(v, mean, lower, u)[0]) == pytest.approx(2.5)


@each_network
def test_the_loss_and_its_gradient_equal_the_equation(normalisation, trunk, bound, generator):
    params, moments, exact, exact_moments = parts(normalisation, trunk, generator)
    x, u, y = as_float64((*drawn(generator), generator.standard_normal(B)))

    def loss(p):
        out, _ = network(p, exact_moments, x, naf.HEADS, normalisation, True)
        return np.mean((y - q_value(out, u, bound)) ** 2)

    out, used = network(exact, exact_moments, x, naf.HEADS, normalisation, True)
    given = (moments, *as_float32((x, u, y)), normalisation, bound)
    (found, besides), slope = jax.value_and_grad(naf.q_loss, has_aux=True)(params, *given)
    assert_close((found, besides), (loss(exact), (used, q_value(out, u, bound).mean())), rtol=1e-3)
    scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(slope))
    assert_close(slope, gradient(loss, exact), rtol=2e-3, atol=1e-4 * scale)


def test_no_gradient_passes_the_target():
    params, moments, _, _ = parts("none", "separate", np.random.default_rng(1))
    x, u = drawn(np.random.default_rng(2))
    slope = jax.grad(lambda y: naf.q_loss(params, moments, x, u, y, "none", "tanh")[0])(np.zeros(B, np.float32))
    assert not np.any(slope)


def test_shaped_noise_has_the_covariance_of_the_inverse_precision(generator):
    """ε = √c L⁻ᵀ z with c = m / tr P⁻¹ and P = L Lᵀ, so that E|ε|² = m."""
    agent = ALGORITHMS["naf"](hidden=(4, 3), noise="precision").build(EnvSpec(N, [-1] * M, [1] * M))
    state = agent.init(jax.random.key(0))
    policy = agent.policy(state._replace(params=perturbed(state.params, generator)))
    x, z = np.float32(generator.standard_normal(N)), np.float32(generator.standard_normal(M))
    a, b, c = np.float64(naf.read(policy, policy.lower, x, "layer"))
    lower = np.array([[np.exp(a), 0], [b, np.exp(c)]])
    inverse = np.linalg.inv(lower @ lower.T)
    expected = np.sqrt(M / np.trace(inverse)) * np.linalg.inv(lower).T @ z
    assert_close(naf.shape_noise(policy, x, z, "layer"), expected)


def test_diagnosis_equals_its_definitions(generator):
    config = ALGORITHMS["naf"](hidden=(4, 3), normalisation="none")
    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    state = agent.init(jax.random.key(0))
    params = {
        name: perturbed(layers, generator, 1.5 if name == "mean" else 0.3) for name, layers in state.params.items()
    }
    state = state._replace(params=params)
    batch = Transition(*(field[0] for field in batches(generator)))
    found = agent.diagnose(state, as_float32(batch))
    v, mean, lower, _ = naf.heads(state.params, state.moments, np.float32(batch.observation), "none", "tanh")
    lower = np.float64(lower)
    assert float(found["value_mean"]) == pytest.approx(float(np.mean(v)), rel=1e-5)
    assert float(found["p_condition"]) == pytest.approx(
        np.median(np.linalg.cond(lower @ lower.swapaxes(1, 2))), rel=1e-3
    )
    assert 0 < float(found["mean_saturated"]) == pytest.approx(np.mean(np.abs(mean) > 0.97))
