"""SAC's update rule against NumPy float64, with the same normal draws."""

import jax
import numpy as np
import pytest
from scipy import stats
from transcription import Adam, as_float64, gradient, mlp

from reverie.algorithms import ALGORITHMS
from reverie.core.types import EnvSpec, Transition

N, M, B, I = 3, 2, 4, 3


def draws(key):
    """Return the innovations [I, B, M] at successors and at states."""
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

    def policy(actor, moments, x, innovation, training=False):
        """u = tanh z and log π(u|x) = log N(z) - Σ log (1 - tanh² z)."""
        out, used = mlp(actor, moments, x, normalisation, training)
        mean, std = out[:, :M], np.exp(out[:, M:])  # log σ stays within its bounds here
        z = mean + std * innovation
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
