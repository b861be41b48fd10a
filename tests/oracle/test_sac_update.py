"""SAC's update rule against NumPy float64, with the same normal draws."""

import jax
import numpy as np
import optax
import pytest
from scipy import stats

from reverie.algorithms import ALGORITHMS, sac
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from transcription import Adam, as_float32, as_float64, assert_close, gradient, mlp, perturbed

N, M, B, I = 3, 2, 4, 3


def draws(key):
    """Return the standard normal draws [I, B, M] at successors and at states."""
    with jax.debug_key_reuse(False):
        pairs = [jax.random.split(k) for k in jax.random.split(key, I)]
        both = [[np.asarray(jax.random.normal(k, (B, M)), float) for k in pair] for pair in pairs]
    return zip(*both, strict=True)


@pytest.mark.parametrize(
    ("normalisation", "learn_temperature"), [("none", True), ("layer", True), ("batch", True), ("none", False)]
)
def test_three_updates_equal_the_equations(normalisation, learn_temperature, generator):
    config = ALGORITHMS["sac"](
        hidden=(8, 6),
        learning_rate=1e-2,
        target_rate=0.1,
        normalisation=normalisation,
        reward_scale=0.5,
        temperature=0.3,
        target_entropy=-0.7,
        learn_temperature=learn_temperature,
    )
    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    draw = generator.standard_normal

    def apart(critics):
        """Heads unlike each other and balanced, so that now the one is less, now the other."""
        heads = [(w := draw((6, 1))) - w.mean() for _ in critics]
        return [
            [*critic[:-1], {"w": np.float32(w), "b": np.zeros(1, np.float32)}]
            for critic, w in zip(critics, heads, strict=True)
        ]

    state = agent.init(jax.random.key(1))
    state = state._replace(critics=apart(state.critics), target=apart(state.target))
    batch = Transition(
        draw((I, B, N)),
        generator.uniform(-1, 1, (I, B, M)),
        draw((I, B)),
        np.array([[1, 0, 1, 1]] * I),
        draw((I, B, N)),
    )
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, batch), jax.random.key(2))

    parts = (state.actor, state.critics, state.moments, state.target)
    actor, critics, moments, target = map(as_float64, parts)
    log_alpha = np.array(np.log(0.3))
    actor_adam, critic_adam, alpha_adam, losses, entropies, lesser = *(Adam(1e-2) for _ in range(3)), [], [], ([], [])

    def policy(actor, moments, x, noise, training=False):
        """u = tanh z and log π(u|x) = log N(z) - Σ log (1 - tanh² z)."""
        out, used = mlp(actor, moments, x, normalisation, training)
        mean, std = out[:, :M], np.exp(out[:, M:])  # log σ stays within its bounds here
        z = mean + std * noise
        return np.tanh(z), (stats.norm.logpdf(z, mean, std) - np.log(1 - np.tanh(z) ** 2)).sum(1), used

    def q(critics, moments, x, u, training=False):
        found = [
            mlp(c, m, np.concatenate([x, u], 1), normalisation, training) for c, m in zip(critics, moments, strict=True)
        ]
        return [values[:, 0] for values, _ in found], [used for _, used in found]

    for i, (at_next, at_now) in enumerate(zip(*draws(jax.random.key(2)), strict=True)):
        x, u, r, alive, x_next = (field[i] for field in batch)
        alpha = np.exp(log_alpha)
        u_next, log_next, _ = policy(actor, moments["actor"], x_next, at_next)
        later, _ = q(target, moments["critics"], x_next, u_next, training=True)
        y = 0.5 * r + 0.99 * alive * (np.minimum(*later) - alpha * log_next)

        def critic_loss(p, x=x, u=u, y=y, moments=moments):
            one, two = q(p, moments["critics"], x, u, training=True)[0]
            return 0.5 * np.mean((one - y) ** 2) + 0.5 * np.mean((two - y) ** 2)

        losses.append(critic_loss(critics))
        used_critics = q(critics, moments["critics"], x, u, training=True)[1]
        critics = critic_adam.step(critics, gradient(critic_loss, critics))

        def actor_loss(p, x=x, critics=critics, moments=moments, alpha=alpha, at_now=at_now):
            mine, log_density, _ = policy(p, moments["actor"], x, at_now, training=True)
            return np.mean(alpha * log_density - np.minimum(*q(critics, moments["critics"], x, mine)[0]))

        mine, log_density, used_actor = policy(actor, moments["actor"], x, at_now, training=True)
        entropies.append(-log_density.mean())
        for seen, both in zip(lesser, (later, q(critics, moments["critics"], x, mine)[0]), strict=True):
            seen.extend(np.argmin(both, axis=0))
        actor = actor_adam.step(actor, gradient(actor_loss, actor))
        if learn_temperature:  # J = E [-log α (log π + target entropy)], the entropy that of all actuators together
            log_alpha = alpha_adam.step(log_alpha, -np.mean(log_density + M * -0.7))

        used = {"actor": used_actor, "critics": used_critics}
        moments = jax.tree.map(lambda old, new: old + 0.01 * (new - old), moments, used)
        target = jax.tree.map(lambda t, o: 0.1 * o + 0.9 * t, target, critics)

    assert all(0 < sum(seen) < len(seen) for seen in lesser), lesser  # else the minimum would not be seen
    assert float(metrics["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(metrics["entropy"]) == pytest.approx(np.mean(entropies), rel=1e-4)
    assert float(found.log_temperature) == pytest.approx(float(log_alpha), rel=1e-4)
    assert learn_temperature == (abs(float(found.log_temperature) - np.log(0.3)) > 1e-3)
    pairs = ((found.actor, actor), (found.critics, critics), (found.moments, moments), (found.target, target))
    for ours, theirs in pairs:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-3, atol=5e-5), ours, theirs)
    for ours, before in ((found.actor, state.actor), (found.critics, state.critics)):
        moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), ours, before)
        assert min(jax.tree.leaves(moved)) > 1e-6


def test_the_temperature_falls_where_entropy_is_above_its_target_and_rises_below(generator):
    batch = Transition(
        *(generator.uniform(-1, 1, shape).astype(np.float32) for shape in ((1, 64, N), (1, 64, M), (1, 64))),
        np.ones((1, 64), np.float32),
        generator.uniform(-1, 1, (1, 64, N)).astype(np.float32),
    )
    for target, sign in ((-20.0, -1), (20.0, 1)):
        agent = ALGORITHMS["sac"](hidden=(8,), target_entropy=target).build(EnvSpec(N, [-1] * M, [1] * M))
        after, _ = agent.update(agent.init(jax.random.key(0)), batch, jax.random.key(1))
        assert np.sign(float(after.log_temperature)) == sign


# ---- each equation alone

each_normalisation = pytest.mark.parametrize("normalisation", ["none", "layer", "batch", "batch_inputs"])
FAR = ("actor", "critics", "moments", "target")
ALPHA = 0.3


def down(params, slope):
    """One step of plain gradient descent at .01: Adam's first one would show no more than the gradient's sign."""
    return jax.tree.map(lambda p, g: p - 1e-2 * g, params, slope)


def made(normalisation, generator):
    """A state far from the first one, its parts in float64, and a minibatch's x, u and y in float64."""
    config = ALGORITHMS["sac"](hidden=(4, 3), normalisation=normalisation, temperature=ALPHA)
    state = config.build(EnvSpec(N, [-1] * M, [1] * M)).init(jax.random.key(0))
    state = state._replace(**{part: perturbed(getattr(state, part), generator) for part in FAR})
    draw = generator.standard_normal
    batch = as_float64(as_float32((draw((B, N)), generator.uniform(-1, 1, (B, M)), draw(B))))
    return state, as_float64({part: getattr(state, part) for part in FAR}), *batch


def exact_sample(actor, moments, x, noise, normalisation, training):
    out, used = mlp(actor, moments, x, normalisation, training)
    mean, std = out[:, :M], np.exp(out[:, M:])
    z = mean + std * noise
    return np.tanh(z), (stats.norm.logpdf(z, mean, std) - np.log(1 - np.tanh(z) ** 2)).sum(1), used


def exact_q(critics, moments, x, u, normalisation, training):
    both = np.concatenate([x, u], 1)
    found = [mlp(c, m, both, normalisation, training) for c, m in zip(critics, moments, strict=True)]
    return [out[:, 0] for out, _ in found], [used for _, used in found]


def noise_of(key):
    with jax.debug_key_reuse(False):
        return np.float64(jax.random.normal(key, (B, M)))


@each_normalisation
def test_policy_critics_and_soft_value_equal_the_networks(normalisation, generator):
    state, exact, x, u, _ = made(normalisation, generator)
    key = jax.random.key(7)
    for training in (False, True):
        found = sac.sample_action(
            state.actor, state.moments["actor"], as_float32(x), jax.random.clone(key), normalisation, training
        )
        given = exact["actor"], exact["moments"]["actor"], x, noise_of(key), normalisation, training
        assert_close(found, exact_sample(*given))
        found = sac.q_values(state.critics, state.moments["critics"], *as_float32((x, u)), normalisation, training)
        assert_close(found, exact_q(exact["critics"], exact["moments"]["critics"], x, u, normalisation, training))
    mine, log_density, _ = exact_sample(
        exact["actor"], exact["moments"]["actor"], x, noise_of(key), normalisation, False
    )
    both, _ = exact_q(exact["target"], exact["moments"]["critics"], x, mine, normalisation, True)
    assert 0 < np.sum(both[0] < both[1]) < B or normalisation != "none"  # now the one is less, now the other
    found = sac.soft_value(
        state.actor, state.target, state.moments, ALPHA, as_float32(x), jax.random.clone(key), normalisation
    )
    assert_close(found, np.minimum(*both) - ALPHA * log_density)


def test_log_std_is_clipped():
    layers = [{"w": np.zeros((1, 4), np.float32), "b": np.float32([0.1, 0.2, 50.0, -50.0])}]
    mean, log_std, _ = sac.gaussian(layers, [], np.zeros((1, 1), np.float32), "none")
    np.testing.assert_allclose(mean[0], [0.1, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(log_std[0], [2.0, -20.0])


@each_normalisation
def test_the_critics_step_goes_down_half_their_squared_errors(normalisation, generator):
    state, exact, x, u, y = made(normalisation, generator)

    def loss(critics):
        one, two = exact_q(critics, exact["moments"]["critics"], x, u, normalisation, True)[0]
        return 0.5 * np.mean((one - y) ** 2) + 0.5 * np.mean((two - y) ** 2)

    before, slope = loss(exact["critics"]), gradient(loss, exact["critics"])
    values, used = exact_q(exact["critics"], exact["moments"]["critics"], x, u, normalisation, True)
    critics, _, error, besides = sac.update_critics(
        optax.sgd(1e-2), _plain(state), *as_float32((x, u, y)), normalisation
    )
    assert_close((error, besides), (before, (used, values[0].mean())))
    assert_close(critics, down(exact["critics"], slope))


@each_normalisation
def test_the_actors_step_goes_down_equation_9(normalisation, generator):
    state, exact, x, _, _ = made(normalisation, generator)
    key = jax.random.key(7)
    noise = noise_of(key)

    def loss(actor):
        u, log_density, _ = exact_sample(actor, exact["moments"]["actor"], x, noise, normalisation, True)
        both, _ = exact_q(exact["critics"], exact["moments"]["critics"], x, u, normalisation, False)
        return np.mean(ALPHA * log_density - np.minimum(*both))

    before, slope = loss(exact["actor"]), gradient(loss, exact["actor"])
    _, log_density, used = exact_sample(exact["actor"], exact["moments"]["actor"], x, noise, normalisation, True)
    given = (_plain(state), state.critics, as_float32(x), key, normalisation)
    actor, _, error, besides = sac.update_actor(optax.sgd(1e-2), *given)
    assert_close((error, besides), (before, (used, log_density.mean())))
    assert_close(actor, down(exact["actor"], slope))


def _plain(state):
    """The state with optimiser states of gradient descent."""
    return state._replace(optimisers=(optax.sgd(1e-2).init(state.actor), optax.sgd(1e-2).init(state.critics), None))


def test_the_temperatures_step_by_hand():
    """Log α falls by rate · (entropy - target entropy): 2 nats against a target of -1, at .1."""
    optimiser = optax.sgd(0.1)
    log_alpha = np.float32(0.5)
    found, _ = sac.update_temperature(optimiser, log_alpha, optimiser.init(log_alpha), np.float32(-2.0), -1.0)
    assert float(found) == pytest.approx(0.5 - 0.1 * (2.0 - -1.0))
