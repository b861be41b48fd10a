"""DDPG's update rule against NumPy float64."""

import jax
import numpy as np
import pytest
from transcription import Adam, as_float64, gradient, mlp

from reverie.algorithms import ALGORITHMS
from reverie.core.types import EnvSpec, Transition

N, M, B, I = 3, 2, 4, 3


@pytest.mark.parametrize("normalisation", ["none", "layer", "batch"])
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
        behind = "none" if normalisation == "batch" else normalisation
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
