"""DDPG's update rule against NumPy float64."""

import jax
import numpy as np
import optax
import pytest

from reverie.algorithms import ALGORITHMS, ddpg
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from transcription import Adam, as_float32, as_float64, assert_close, gradient, mlp, perturbed

N, M, B, I = 3, 2, 4, 3


@pytest.mark.parametrize("normalisation", ["none", "layer", "batch", "batch_inputs"])
def test_three_updates_equal_the_equations(normalisation, generator):
    config = ALGORITHMS["ddpg"](
        hidden=(4, 3), learning_rate=1e-2, target_rate=0.1, normalisation=normalisation, reward_scale=0.5
    )
    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    state = agent.init(jax.random.key(1))
    draw = generator.standard_normal
    batch = Transition(
        draw((I, B, N)),
        generator.uniform(-1, 1, (I, B, M)),
        draw((I, B)),
        np.array([[1, 0, 1, 1]] * I),
        draw((I, B, N)),
    )
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, batch), jax.random.key(2))

    actor, critic, moments, target = map(as_float64, (state.actor, state.critic, state.moments, state.target))
    actor_adam, critic_adam, losses = Adam(1e-2), Adam(1e-2), []

    def mu(actor, moments, x, training=False):
        out, used = mlp(actor, moments, x, normalisation, training)
        return np.tanh(out), used

    def q(critic, x, u):
        # Every layer of the critic is behind the action, where batch normalisation has ended.
        behind = "none" if normalisation.startswith("batch") else normalisation
        return mlp(critic, [None] * 2, np.concatenate([x, u], 1), behind, False)[0][:, 0]

    for i in range(I):
        x, u, r, alive, x_next = (field[i] for field in batch)
        u_next, _ = mu(target["actor"], moments, x_next, training=True)
        y = 0.5 * r + 0.99 * alive * q(target["critic"], x_next, u_next)

        def critic_loss(p, x=x, u=u, y=y):
            return np.mean((y - q(p, x, u)) ** 2)

        losses.append(critic_loss(critic))
        critic = critic_adam.step(critic, gradient(critic_loss, critic))

        def actor_loss(p, x=x, critic=critic, moments=moments):
            return -np.mean(q(critic, x, mu(p, moments, x, training=True)[0]))

        used = mu(actor, moments, x, training=True)[1]
        actor = actor_adam.step(actor, gradient(actor_loss, actor))
        moments = jax.tree.map(lambda old, new: old + 0.01 * (new - old), moments, used)
        online = {"actor": actor, "critic": critic}
        target = jax.tree.map(lambda t, o: 0.1 * o + 0.9 * t, target, online)

    assert float(metrics["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    pairs = ((found.actor, actor), (found.critic, critic), (found.moments, moments), (found.target, target))
    for ours, theirs in pairs:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-3, atol=5e-5), ours, theirs)
    for ours, before in ((found.actor, state.actor), (found.critic, state.critic)):
        moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), ours, before)
        assert min(jax.tree.leaves(moved)) > 1e-6


# ---- each equation alone

each_normalisation = pytest.mark.parametrize("normalisation", ["none", "layer", "batch", "batch_inputs"])


def down(params, slope):
    """One step of plain gradient descent at .01: Adam's first one would show no more than the gradient's sign."""
    return jax.tree.map(lambda p, g: p - 1e-2 * g, params, slope)


def made(normalisation, generator):
    """A state far from the first one, in float32 and float64, and a minibatch's x and u."""
    config = ALGORITHMS["ddpg"](hidden=(4, 3), learning_rate=1e-2, normalisation=normalisation)
    state = config.build(EnvSpec(N, [-1] * M, [1] * M)).init(jax.random.key(0))
    far = {part: perturbed(getattr(state, part), generator) for part in ("actor", "critic", "moments", "target")}
    state = state._replace(**far)
    x, u = as_float32(generator.standard_normal((B, N))), as_float32(generator.uniform(-1, 1, (B, M)))
    return state, as_float64(far), x, u


def exact_mu(actor, moments, x, normalisation, training):
    out, used = mlp(actor, moments, np.float64(x), normalisation, training)
    return np.tanh(out), used


def exact_q(critic, x, u, normalisation):
    behind = "none" if normalisation.startswith("batch") else normalisation
    return mlp(critic, [None] * 2, np.concatenate([np.float64(x), u], 1), behind, False)[0][:, 0]


@each_normalisation
def test_actor_critic_and_next_value_equal_the_networks(normalisation, generator):
    state, exact, x, u = made(normalisation, generator)
    for training in (False, True):
        found = ddpg.mu(state.actor, state.moments, x, normalisation, training)
        assert_close(found, exact_mu(exact["actor"], exact["moments"], x, normalisation, training))
    kind = ddpg.critic_normalisation(normalisation)
    assert kind == ("layer" if normalisation == "layer" else "none")
    assert_close(ddpg.q_value(state.critic, x, u, kind), exact_q(exact["critic"], x, u, normalisation))
    after, _ = exact_mu(exact["target"]["actor"], exact["moments"], x, normalisation, True)
    expected = exact_q(exact["target"]["critic"], x, after, normalisation)
    assert_close(ddpg.next_value(state.target, state.moments, x, normalisation), expected)


@each_normalisation
def test_the_critics_step_goes_down_its_squared_error(normalisation, generator):
    state, exact, x, u = made(normalisation, generator)
    y = as_float32(generator.standard_normal(B))

    def loss(critic):
        return np.mean((np.float64(y) - exact_q(critic, x, u, normalisation)) ** 2)

    before, slope = loss(exact["critic"]), gradient(loss, exact["critic"])
    q_mean = exact_q(exact["critic"], x, u, normalisation).mean()
    critic, _, error, q = ddpg.update_critic(optax.sgd(1e-2), state, x, u, y, normalisation)
    assert_close((error, q), (before, q_mean))
    assert_close(critic, down(exact["critic"], slope))


@each_normalisation
def test_the_actors_step_climbs_the_critic(normalisation, generator):
    state, exact, x, _ = made(normalisation, generator)

    def loss(actor):
        return -np.mean(
            exact_q(exact["critic"], x, exact_mu(actor, exact["moments"], x, normalisation, True)[0], normalisation)
        )

    before, slope = loss(exact["actor"]), gradient(loss, exact["actor"])
    used = exact_mu(exact["actor"], exact["moments"], x, normalisation, True)[1]
    actor, _, error, found = ddpg.update_actor(optax.sgd(1e-2), state, state.critic, x, normalisation)
    assert_close((error, found), (before, used))
    assert_close(actor, down(exact["actor"], slope))


def test_no_gradient_passes_the_target(generator):
    state, _, x, u = made("none", generator)
    slope = jax.grad(lambda y: ddpg.critic_loss(state.critic, x, u, y, "none")[0])(np.zeros(B, np.float32))
    assert not np.any(slope)
