"""DQN's update rule against NumPy float64."""

import jax
import numpy as np
import pytest
from scipy import stats

from reverie.algorithms import ALGORITHMS, dqn
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from transcription import Adam, as_float32, as_float64, assert_close, gradient, mlp, perturbed

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


# ---- each equation alone


def made(normalisation, generator):
    """Parameters, target and moments far from the first ones, float32; a minibatch's x, u and y in float64."""
    config = ALGORITHMS["dqn"](hidden=(4, 3), normalisation=normalisation)
    state = config.build(EnvSpec(N, actions=ACTIONS)).init(jax.random.key(0))
    far = [perturbed(part, generator, 0.5) for part in (state.params, state.target, state.moments)]
    u = generator.integers(ACTIONS, size=(B, 1)).astype(float)
    return *far, *as_float64(as_float32((generator.standard_normal((B, N)), u, 3.0 * generator.standard_normal(B))))


def test_the_entries_of_actions_are_taken():
    values = np.float32([[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(dqn.of_action(values, np.array([[2], [0]])), [3, 4])


@pytest.mark.parametrize("normalisation", ["none", "batch", "batch_inputs"])
def test_the_next_value_is_the_targets_of_the_action_that_is_chosen(normalisation, generator):
    params, target, moments, x, _, _ = made(normalisation, generator)
    given = (params, target, moments, as_float32(x))
    later, _ = mlp(as_float64(target), as_float64(moments), x, normalisation, True)
    online, _ = mlp(as_float64(params), as_float64(moments), x, normalisation, False)
    assert (online.argmax(1) != later.argmax(1)).any()  # else the two would be the same
    assert_close(dqn.next_value(*given, False, normalisation), later.max(1))
    assert_close(dqn.next_value(*given, True, normalisation), later[np.arange(B), online.argmax(1)])


@pytest.mark.parametrize("huber", [False, True])
@pytest.mark.parametrize("normalisation", ["none", "layer", "batch", "batch_inputs"])
def test_the_loss_and_its_gradient_equal_the_equation(normalisation, huber, generator):
    params, _, moments, x, u, y = made(normalisation, generator)
    exact, exact_moments = as_float64(params), as_float64(moments)

    def errors(p):
        return y - mlp(p, exact_moments, x, normalisation, True)[0][np.arange(B), u[:, 0].astype(int)]

    def loss(p):
        size = np.abs(errors(p))
        return np.mean(np.where(size < 1, 0.5 * size**2, size - 0.5) if huber else size**2)

    assert 0 < np.sum(np.abs(errors(exact)) < 1) < B
    given = (moments, *as_float32((x, u, y)), huber, normalisation)
    (found, (used, q_mean)), slope = jax.value_and_grad(dqn.q_loss, has_aux=True)(params, *given)
    assert_close((found, q_mean), (loss(exact), np.mean(y - errors(exact))))
    assert_close(used, mlp(exact, exact_moments, x, normalisation, True)[1])
    assert_close(slope, gradient(loss, exact), rtol=1e-3, atol=1e-4)


def test_epsilon_falls_along_a_line_and_stays():
    found = [float(dqn.epsilon(np.float32(done), 20, 0.8, 0.2)) for done in (0, 10, 20, 1000)]
    np.testing.assert_allclose(found, [0.8, 0.5, 0.2, 0.2], rtol=1e-6)


def test_an_epsilon_greedy_action_by_hand():
    """ε = .5 of 4 actions: a draw p < .5 gives action floor(8 p), any other the greedy one."""
    p = np.float32([[0.01], [0.2], [0.49], [0.51], [0.9]])
    noise = stats.norm.ppf(p).astype(np.float32)
    found = dqn.epsilon_greedy(np.full((5, 1), 2, np.float32), np.float32(0.5), noise, 4)
    np.testing.assert_array_equal(found[:, 0], [0, 1, 3, 2, 2])
    never = dqn.epsilon_greedy(np.full((5, 1), 2, np.float32), np.float32(0.0), noise, 4)
    assert (never == 2).all()
