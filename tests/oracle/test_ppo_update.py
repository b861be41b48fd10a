"""PPO's update rule against NumPy float64, with the same order of minibatches."""

import jax
import numpy as np
import pytest
from scipy import stats
from transcription import Adam, as_float64, gradient

from reverie.algorithms import ALGORITHMS
from reverie.core.types import EnvSpec, Transition

N, M, T, E, BATCH, EPOCHS = 3, 2, 6, 2, 4, 3


def network(layers, x):
    for layer in layers[:-1]:
        x = np.tanh(x @ layer["w"] + layer["b"])
    return x @ layers[-1]["w"] + layers[-1]["b"]


def rollout(generator):
    """Two worlds: a death in one, a time-out in the other; actions at and within the bounds."""
    x = generator.standard_normal((T, E, N))
    x_next = np.concatenate([x[1:], generator.standard_normal((1, E, N))])
    x_next[2, 0], x_next[3, 1] = generator.standard_normal((2, N))  # the next row is another episode's first
    alive = np.ones((T, E))
    alive[2, 0] = 0.0
    u = np.clip(1.2 * generator.standard_normal((T, E, M)), -1, 1)
    assert (np.abs(u) == 1).any()
    return Transition(x, u, generator.standard_normal((T, E)), alive, x_next)


def advantages(rewards, discounts, values, next_values, trace):
    """Σ_k of discounted TD errors until death, time-out or the rollout's end, as a double loop."""
    errors = rewards + discounts * next_values - values
    ends = np.zeros((T, E), bool)
    ends[2, 0] = ends[3, 1] = True
    ends[-1] = True
    found = np.zeros((T, E))
    for world in range(E):
        for t in range(T):
            factor = 1.0
            for k in range(t, T):
                found[t, world] += factor * errors[k, world]
                factor *= trace * discounts[k, world]
                if ends[k, world]:
                    break
    return found


@pytest.mark.parametrize("seen", [False, True], ids=["plain", "standardised"])
def test_an_update_equals_the_equations(seen, generator):
    config = ALGORITHMS["ppo"](
        hidden=(4, 3),
        learning_rate=3e-2,
        rollout=T,
        worlds=E,
        epochs=EPOCHS,
        batch_size=BATCH,
        discount=0.9,
        trace=0.8,
        clip=0.1,
        value_weight=0.4,
        entropy_weight=0.05,
        gradient_norm=0.7,
        reward_scale=0.5,
        std=0.8,
        observation_normalisation=seen,
    )
    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    state, told = agent.init(jax.random.key(1)), rollout(generator)
    observations = {"mean": np.full(N, 0.3), "var": np.full(N, 2.0), "count": np.array(1.0)}
    state = state._replace(observations=jax.tree.map(np.float32, observations))
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, told), jax.random.key(2))

    params = as_float64(state.params)
    see = lambda x: (x - 0.3) / np.sqrt(2.0) if seen else x  # noqa: E731
    x, x_next = see(told.observation), see(told.next_observation)

    def log_density(p, x, u):
        mean, std = network(p["mean"], x), np.exp(p["log_std"])
        logs = np.where(u <= -1, stats.norm.logcdf(-1, mean, std), stats.norm.logpdf(u, mean, std))
        return np.where(u >= 1, stats.norm.logsf(1, mean, std), logs).sum(-1)

    values = network(params["value"], x)[..., 0]
    found_advantages = advantages(
        0.5 * told.reward, 0.9 * told.discount, values, network(params["value"], x_next)[..., 0], 0.8
    )
    rows = {
        "x": x,
        "u": told.action,
        "old": log_density(params, x, told.action),
        "advantage": found_advantages,
        "goal": found_advantages + values,
    }
    rows = {name: part.reshape(T * E, *part.shape[2:]) for name, part in rows.items()}
    with jax.debug_key_reuse(False):
        keys = jax.random.split(jax.random.key(2), EPOCHS)
        orders = np.concatenate([np.asarray(jax.random.permutation(k, T * E)).reshape(-1, BATCH) for k in keys])
    adam, beyond, shortened, errors = Adam(3e-2, 1e-5), [], 0, []
    for order in orders:
        part = {name: rows[name][order] for name in rows}
        advantage = (part["advantage"] - part["advantage"].mean()) / (part["advantage"].std() + 1e-8)

        def loss(p, part=part, advantage=advantage):
            """- (L_CLIP - c_1 L_VF + c_2 S).  Schulman et al. 2017, eqs 7 and 9."""
            ratio = np.exp(log_density(p, part["x"], part["u"]) - part["old"])
            surrogate = np.minimum(ratio * advantage, np.clip(ratio, 0.9, 1.1) * advantage).mean()
            error = np.mean((network(p["value"], part["x"])[:, 0] - part["goal"]) ** 2)
            return -(surrogate - 0.4 * error + 0.05 * stats.norm.entropy(0, np.exp(p["log_std"])).sum())

        ratio = np.exp(log_density(params, part["x"], part["u"]) - part["old"])
        beyond.append(np.mean(np.abs(ratio - 1) > 0.1))
        errors.append(np.mean((network(params["value"], part["x"])[:, 0] - part["goal"]) ** 2))
        slope = gradient(loss, params)
        norm = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(slope)))
        shortened += norm > 0.7
        params = adam.step(params, jax.tree.map(lambda leaf, norm=norm: leaf * min(1.0, 0.7 / norm), slope))

    assert np.mean(beyond) > 0.2 and 0 < shortened  # else neither clip would be seen
    assert float(metrics["clipped"]) == pytest.approx(np.mean(beyond), abs=1e-6)
    assert float(metrics["loss"]) == pytest.approx(np.mean(errors), rel=1e-4)
    assert int(found.updates) == len(orders) == EPOCHS * T * E // BATCH
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-3, atol=1e-4), found.params, params)
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), found.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-4
    expected = 0.3 + (told.observation.reshape(-1, N).mean(0) - 0.3) / 2.0 if seen else np.full(N, 0.3)
    np.testing.assert_allclose(found.observations["mean"], expected, rtol=1e-4, atol=1e-5)
