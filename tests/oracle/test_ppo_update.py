"""PPO's update rule against NumPy float64, with the same order of minibatches."""

import jax
import numpy as np
import pytest
from scipy import stats

from reverie.algorithms import ALGORITHMS, ppo
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from transcription import Adam, as_float32, as_float64, assert_close, gradient, perturbed

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


# ---- each equation alone


def made(generator):
    """Parameters far from the first ones, float32 and float64."""
    agent = ALGORITHMS["ppo"](hidden=(4, 3), rollout=T, batch_size=T).build(EnvSpec(N, [-1] * M, [1] * M))
    params = perturbed(agent.init(jax.random.key(1)).params, generator)
    return params, as_float64(params)


def exact_log_density(p, x, u):
    mean, std = network(p["mean"], x), np.exp(p["log_std"])
    logs = np.where(u <= -1, stats.norm.logcdf(-1, mean, std), stats.norm.logpdf(u, mean, std))
    return np.where(u >= 1, stats.norm.logsf(1, mean, std), logs).sum(-1)


def test_a_trajectory_goes_on_until_a_death_a_time_out_or_the_end(generator):
    expected = np.ones((T, E), bool)
    expected[2, 0] = expected[3, 1] = expected[-1] = False
    np.testing.assert_array_equal(ppo.goes_on(as_float32(rollout(generator))), expected)


def test_samples_of_a_rollout_equal_the_definitions(generator):
    params, exact = made(generator)
    given = rollout(generator)
    config = ALGORITHMS["ppo"](rollout=T, worlds=E, batch_size=T, discount=0.9, trace=0.8, reward_scale=0.5)
    found = ppo.rollout_samples(config, params, None, as_float32(given))
    values, after = (network(exact["value"], x)[..., 0] for x in (given.observation, given.next_observation))
    expected = advantages(0.5 * given.reward, 0.9 * given.discount, values, after, 0.8)
    flat = {
        "x": given.observation,
        "action": given.action,
        "log_density": exact_log_density(exact, given.observation, given.action),
        "advantage": expected,
        "returns": expected + values,
    }
    for name, part in flat.items():
        assert_close(getattr(found, name), part.reshape(T * E, *part.shape[2:]))


def test_standardised_advantages_have_mean_0_and_deviation_1():
    np.testing.assert_allclose(ppo.standardised(np.float32([1, 3])), [-1, 1], rtol=1e-6)
    np.testing.assert_array_equal(ppo.standardised(np.float32([2, 2])), [0, 0])


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "slope"),
    [
        (1.1, 2.0, 2.2, 2.0),  # within 1 ± .2: ρ A
        (1.5, 2.0, 2.4, 0.0),  # a good action made likelier than 1.2: nothing gained
        (0.5, -2.0, -1.6, 0.0),  # a bad one made less likely than .8: nothing gained
        (0.5, 2.0, 1.0, 2.0),  # the wrong way: the slope leads back
        (1.5, -2.0, -3.0, -2.0),
    ],
)
def test_the_clipped_surrogate_by_hand(ratio, advantage, expected, slope):
    given = np.float32([advantage]), 0.2
    found, gradient = jax.value_and_grad(ppo.clipped_surrogate)(jax.numpy.float32([ratio]), *given)
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert float(gradient[0]) == pytest.approx(slope, rel=1e-6)


def test_the_loss_and_its_gradient_equal_equation_9(generator):
    params, exact = made(generator)
    x, old, advantage, goal = (generator.standard_normal(shape) for shape in ((5, N), 5, 5, 5))
    u = np.clip(1.2 * generator.standard_normal((5, M)), -1, 1)
    old = exact_log_density(exact, x, u) + 0.2 * old
    x, u, old, advantage, goal = as_float64(as_float32((x, u, old, advantage, goal)))
    scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)

    def parts(p):
        ratio = np.exp(exact_log_density(p, x, u) - old)
        surrogate = np.minimum(ratio * scaled, np.clip(ratio, 0.9, 1.1) * scaled).mean()
        error = np.mean((network(p["value"], x)[:, 0] - goal) ** 2)
        return ratio, surrogate, error, stats.norm.entropy(0, np.exp(p["log_std"])).sum()

    def loss(p):
        _, surrogate, error, entropy = parts(p)
        return -(surrogate - 0.4 * error + 0.05 * entropy)

    samples = ppo.RolloutSamples(*as_float32((x, u, old, advantage, goal)))
    (found, metrics), slope = jax.value_and_grad(ppo.loss, has_aux=True)(params, samples, 0.1, 0.4, 0.05)
    ratio, surrogate, error, entropy = parts(exact)
    assert 0 < np.mean(np.abs(ratio - 1) > 0.1) < 1
    expected = {
        "loss": error,
        "surrogate": surrogate,
        "entropy": entropy,
        "clipped": np.mean(np.abs(ratio - 1) > 0.1),
        "kl": np.mean(ratio - 1 - np.log(ratio)),
    }
    assert_close((found, metrics), (loss(exact), expected))
    assert_close(slope, gradient(loss, exact), rtol=1e-3, atol=1e-4)
    assert_close(ppo.value_loss(params, *as_float32((x, goal))), error)


def test_every_pass_sees_each_row_once_in_an_order_of_its_own():
    order = np.asarray(ppo.minibatch_order(jax.random.key(0), 12, 4, 3))
    assert order.shape == (9, 4)
    passes = order.reshape(3, 12)
    np.testing.assert_array_equal(np.sort(passes), np.tile(np.arange(12), (3, 1)))
    assert len({tuple(rows) for rows in passes.tolist()}) == 3
