"""DQN's update rule against NumPy float64."""

import jax
import numpy as np
import pytest
from transcription import Adam, as_float64, gradient, mlp

from reverie.algorithms import ALGORITHMS
from reverie.core.types import EnvSpec, Transition

N, ACTIONS, B, I = 3, 4, 5, 3


@pytest.mark.parametrize(
    ("double", "huber", "normalisation"),
    [(True, False, "none"), (False, False, "none"), (True, True, "layer"), (False, True, "batch")],
)
def test_three_updates_equal_the_equations(double, huber, normalisation, generator):
    config = ALGORITHMS["dqn"](
        hidden=(8, 6),
        learning_rate=1e-2,
        target_rate=0.1,
        double=double,
        huber=huber,
        normalisation=normalisation,
        reward_scale=0.5,
    )
    agent = config.build(EnvSpec(N, actions=ACTIONS))
    state = agent.init(jax.random.key(1))
    draw = generator.standard_normal

    def apart(layers):
        """Heads far from zero and unlike, so that the two networks choose differently."""
        return [*layers[:-1], {"w": np.float32(3 * draw((6, ACTIONS))), "b": np.float32(draw(ACTIONS))}]

    target = apart(agent.init(jax.random.key(2)).params)
    state = state._replace(params=apart(state.params), target=target)
    batch = Transition(
        draw((I, B, N)),
        generator.integers(ACTIONS, size=(I, B, 1)).astype(float),
        8.0 * draw((I, B)),
        np.array([[1, 0, 1, 1, 0]] * I),
        draw((I, B, N)),
    )
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, batch), jax.random.key(3))

    params, moments, target = map(as_float64, (state.params, state.moments, state.target))
    adam, losses, differs, far = Adam(1e-2), [], 0, 0
    for i in range(I):
        x, u, r, alive, x_next = (field[i] for field in batch)
        u = u[:, 0].astype(int)
        later, _ = mlp(target, moments, x_next, normalisation, True)
        online, _ = mlp(params, moments, x_next, normalisation, False)
        differs += (online.argmax(1) != later.argmax(1)).sum()
        best = later[np.arange(B), online.argmax(1)] if double else later.max(1)
        y = 0.5 * r + 0.99 * alive * best

        def loss(p, x=x, u=u, y=y, moments=moments):
            errors = y - mlp(p, moments, x, normalisation, True)[0][np.arange(B), u]
            if not huber:
                return np.mean(errors**2)
            return np.mean(np.where(np.abs(errors) < 1, 0.5 * errors**2, np.abs(errors) - 0.5))

        values, used = mlp(params, moments, x, normalisation, True)
        far += (np.abs(y - values[np.arange(B), u]) > 1).sum()
        losses.append(loss(params))
        params = adam.step(params, gradient(loss, params))
        moments = jax.tree.map(lambda old, new: old + 0.01 * (new - old), moments, used)
        target = jax.tree.map(lambda t, o: 0.1 * o + 0.9 * t, target, params)

    assert differs and 0 < far < I * B  # else neither setting would be seen
    assert float(metrics["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    for ours, theirs in ((found.params, params), (found.moments, moments), (found.target, target)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-3, atol=5e-5), ours, theirs)
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), found.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-6


def test_exploration_draws_each_action_alike_and_as_often_as_epsilon_says():
    config = ALGORITHMS["dqn"](hidden=(4,), epsilon_start=0.8, epsilon_end=0.2, epsilon_steps=10, updates_per_step=2)
    agent = config.build(EnvSpec(2, actions=3))
    state = agent.init(jax.random.key(0))
    for updates, epsilon in ((0, 0.8), (10, 0.5), (20, 0.2), (1000, 0.2)):  # a line over 10 steps of 2 updates
        policy = agent.policy(state._replace(updates=np.int32(updates)))
        assert float(policy.epsilon) == pytest.approx(epsilon)
    policy = jax.tree.map(np.asarray, agent.policy(state))
    draws = np.random.default_rng(0).standard_normal((30_000, 1)).astype(np.float32)
    x = np.ones((len(draws), 2), np.float32)
    actions, _ = agent.explore(policy, np.zeros(0), x, draws)
    best = int(agent.greedy(policy, x[0])[0])
    share = np.bincount(actions[:, 0].astype(int), minlength=3) / len(draws)
    expected = np.full(3, 0.8 / 3) + 0.2 * (np.arange(3) == best)
    np.testing.assert_allclose(share, expected, atol=0.01)
