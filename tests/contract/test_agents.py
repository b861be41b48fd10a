"""What every registered algorithm promises: pure functions, one compilation, the same acting on host and device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.core.types import EnvSpec, Transition, row_width

N, M, B, I = 3, 2, 8, 2
VARIANTS = {
    "naf": [{}, {"trunk": "shared", "normalisation": "batch"}, {"noise": "precision", "mean_bound": "clip"}],
    "ddpg": [{}, {"normalisation": "layer", "noise": "gaussian"}],
}
CASES = [
    pytest.param(ALGORITHMS[name](hidden=(8, 8), observation_normalisation=bool(i % 2), **variant), id=f"{name}-{i}")
    for name in ALGORITHMS
    for i, variant in enumerate(VARIANTS.get(name, [{}]))
]


def build(config):
    return config.build(EnvSpec(N, [-1] * M, [1] * M))


def batches(generator, lead=(I, B)):
    return Transition.unpack(jnp.asarray(generator.uniform(-1, 1, (*lead, row_width(N, M))).astype(np.float32)), N, M)


@pytest.mark.parametrize("config", CASES)
def test_is_an_algorithm(config):
    assert isinstance(config, Algorithm)
    assert ALGORITHMS[config.name] is type(config)
    assert hash(config) == hash(type(config)(**{f: getattr(config, f) for f in config.__dataclass_fields__}))


@pytest.mark.parametrize("config", CASES)
def test_state_keeps_structure_shapes_and_dtypes(config, generator):
    agent = build(config)
    state = agent.init(jax.random.key(0))
    after, metrics = agent.update(state, batches(generator), jax.random.key(1))
    jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(f"{a} {b}"), state, after)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert int(after.updates) == I
    assert all(np.isfinite(v) and np.shape(v) == () for v in metrics.values())
    diagnosis = agent.diagnose(state, jax.tree.map(lambda x: x[0], batches(generator)))
    assert all(np.isfinite(v) and np.shape(v) == () for v in diagnosis.values())


@pytest.mark.parametrize("config", CASES)
def test_two_keys_differ_in_every_random_leaf_and_one_key_repeats(config):
    agent = build(config)
    one, again, other = (agent.init(jax.random.key(k)) for k in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    random = [(a, b) for a, b in leaves if np.unique(a).size > 1]
    assert random and all((np.asarray(a) != np.asarray(b)).all() for a, b in random)


@pytest.mark.parametrize("config", CASES)
def test_acting_is_the_same_in_numpy_and_compiled(config, generator):
    agent = build(config)
    state, _ = agent.update(agent.init(jax.random.key(0)), batches(generator), jax.random.key(1))
    observation, key = generator.standard_normal(N).astype(np.float32), jax.random.key(3)
    memory = np.asarray(agent.begin(state, jax.random.key(2)))
    here = jax.tree.map(np.asarray, agent.policy(state))
    innovation = np.asarray(jax.random.normal(jax.random.clone(key), (M,)))
    action, moved = agent.explore(here, memory, observation, innovation)
    act = jax.jit(agent.act, static_argnums=4)
    there, moved_there = act(state, memory, observation, jax.random.clone(key), True)
    np.testing.assert_allclose(action, there, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved, moved_there, rtol=1e-4, atol=1e-5)
    greedy, still = act(state, memory, observation, key, False)
    np.testing.assert_allclose(agent.greedy(here, observation), greedy, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(still, memory)
    assert np.abs(action - greedy).max() > 1e-3 and action.dtype == np.float32
    many = agent.greedy(here, np.stack([observation, 2 * observation]))
    np.testing.assert_allclose(many[0], agent.greedy(here, observation), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", CASES)
def test_jit_vmap_and_scan_just_work(config, generator):
    agent = build(config)
    batch = batches(generator)

    def run(key):
        k_init, k_begin, k_scan = jax.random.split(key, 3)
        state = agent.init(k_init)
        memory = jnp.asarray(agent.begin(state, k_begin))

        def step(carry, k):
            state, memory = carry
            k_act, k_update = jax.random.split(k)
            action, memory = agent.act(state, memory, jnp.ones(N), k_act, True)
            state, metrics = agent.update(state, batch, k_update)
            return (state, memory), (action, metrics["loss"])

        return jax.lax.scan(step, (state, memory), jax.random.split(k_scan, 3))[1]

    with jax.debug_key_reuse(False):  # its checker does not see that vmap hands each scan keys of its own
        actions, losses = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 4))
    assert actions.shape == (4, 3, M) and losses.shape == (4, 3)
    assert np.abs(actions).max() <= 1.0 and np.unique(losses).size == 12


@pytest.mark.parametrize("config", CASES)
def test_the_second_update_compiles_nothing(config, generator):
    agent = build(config)
    traced = []

    def update(state, batch, key):
        traced.append(1)
        return agent.update(state, batch, key)

    compiled, state = jax.jit(update), agent.init(jax.random.key(0))
    for k in range(3):
        state, _ = compiled(state, batches(generator), jax.random.key(k + 1))
    assert len(traced) == 1


@pytest.mark.parametrize("config", CASES)
def test_a_time_out_is_not_a_death(config):
    """Reward 1 for ever: with discount 1 values rise beyond one step's reward, with 0 they stay there."""
    rows = np.random.default_rng(0).uniform(-1, 1, (600, B, row_width(N, M))).astype(np.float32)
    rows[..., N + M] = 1.0
    values = {}
    for alive in (0.0, 1.0):
        rows[..., N + M + 1] = alive
        agent = build(type(config)(hidden=(16,), learning_rate=1e-2, target_rate=0.1, discount=0.8))
        state, _ = jax.jit(agent.update)(
            agent.init(jax.random.key(0)), Transition.unpack(jnp.asarray(rows), N, M), jax.random.key(1)
        )
        _, metrics = agent.update(state, Transition.unpack(jnp.asarray(rows[-8:]), N, M), jax.random.key(2))
        values[alive] = float(metrics["q_mean"])
    assert values[0.0] == pytest.approx(1.0, abs=0.05)
    assert values[1.0] == pytest.approx(1.0 / (1.0 - 0.8), rel=0.1)
