"""What every registered algorithm promises: pure functions, one compilation, the same acting on host and device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cases
from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition, row_width

N, B, I = 3, 8, 2
CONTINUOUS, DISCRETE = EnvSpec(N, [-1, -1], [1, 1]), EnvSpec(N, actions=4)
CASES = [
    pytest.param(ALGORITHMS[name](hidden=(8, 8), observation_normalisation=bool(i % 2), **variant), id=f"{name}-{i}")
    for name in ALGORITHMS
    for i, variant in enumerate(cases.CASES[name].variants)
]


def build(config):
    return config.build(DISCRETE if cases.CASES[config.name].spec.actions else CONTINUOUS)


def lead_of(agent):
    """What stands before a batch's fields: minibatches, or a rollout in time of several worlds."""
    return (agent.requirements.rollout, agent.requirements.worlds) if agent.requirements.rollout else (I, B)


def batches(agent, generator, lead=None):
    n, m = agent.spec.observation_dim, agent.spec.action_dim
    rows = generator.uniform(-1, 1, (*(lead or lead_of(agent)), row_width(n, m))).astype(np.float32)
    if agent.spec.actions:
        rows[..., n : n + m] = generator.integers(agent.spec.actions, size=rows[..., n : n + m].shape)
    return Transition.unpack(jnp.asarray(rows), n, m)


@pytest.mark.parametrize("config", CASES)
def test_is_an_algorithm(config):
    assert isinstance(config, Algorithm)
    assert ALGORITHMS[config.name] is type(config)
    assert hash(config) == hash(type(config)(**{f: getattr(config, f) for f in config.__dataclass_fields__}))


@pytest.mark.parametrize("config", CASES)
def test_state_keeps_structure_shapes_and_dtypes(config, generator):
    agent = build(config)
    state = agent.init(jax.random.key(0))
    after, metrics = agent.update(state, batches(agent, generator), jax.random.key(1))
    jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(f"{a} {b}"), state, after)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert int(after.updates) == (agent.requirements.updates_per_step if agent.requirements.rollout else I)
    assert all(np.isfinite(v) and np.shape(v) == () for v in metrics.values())
    diagnosis = agent.diagnose(state, jax.tree.map(lambda x: x[0], batches(agent, generator)))
    assert all(np.isfinite(v) and np.shape(v) == () for v in diagnosis.values())


def types_of(agent):
    """What each of an agent's functions returns, by shape and type; nothing is computed."""
    key, n, m = jax.random.key(0), agent.spec.observation_dim, agent.spec.action_dim
    state = jax.eval_shape(agent.init, key)
    batch = jax.ShapeDtypeStruct((*lead_of(agent), row_width(n, m)), jnp.float32)
    memory, seen = jnp.asarray(agent.begin(None, None)), jnp.zeros(n, jnp.float32)
    return {
        "init": state,
        "update": jax.eval_shape(lambda s, rows: agent.update(s, Transition.unpack(rows, n, m), key), state, batch),
        "diagnose": jax.eval_shape(lambda s, rows: agent.diagnose(s, Transition.unpack(rows[0], n, m)), state, batch),
        "act": jax.eval_shape(lambda s: agent.act(s, memory, seen, key, True), state),
        "policy": jax.eval_shape(agent.policy, state),
    }


@pytest.mark.parametrize("config", CASES)
def test_types_are_the_same_where_jax_would_take_float64(config):
    """JAX_ENABLE_X64 changes what a draw or a constant without a type is; agents leave none without."""
    agent = build(config)
    with jax.enable_x64(False):
        plain = types_of(agent)
    with jax.enable_x64(True):
        assert jax.tree.map(str, types_of(agent)) == jax.tree.map(str, plain)


@pytest.mark.parametrize("config", CASES)
def test_two_keys_differ_in_every_random_leaf_and_one_key_repeats(config):
    agent = build(config)
    one, again, other = (agent.init(jax.random.key(k)) for k in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    random = [(a, b) for a, b in leaves if np.unique(np.abs(a)).size > 1]  # bounds of values are one number, ±
    assert random and all((np.asarray(a) != np.asarray(b)).all() for a, b in random)


@pytest.mark.parametrize("config", CASES)
def test_acting_is_the_same_in_numpy_and_compiled(config, generator):
    agent = build(config)
    state, _ = agent.update(agent.init(jax.random.key(0)), batches(agent, generator), jax.random.key(1))
    observation = generator.standard_normal(N).astype(np.float32)
    memory = np.asarray(agent.begin(state, jax.random.key(2)))
    here = jax.tree.map(np.asarray, agent.policy(state))
    act, apart = jax.jit(agent.act, static_argnums=4), 0.0
    greedy, still = act(state, memory, observation, jax.random.key(3), False)
    np.testing.assert_allclose(agent.greedy(here, observation), greedy, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(still, memory)
    for key in jax.random.split(jax.random.key(4), 5):
        innovation = np.asarray(jax.random.normal(jax.random.clone(key), (agent.spec.action_dim,)))
        action, moved = agent.explore(here, memory, observation, innovation)
        there, moved_there = act(state, memory, observation, jax.random.clone(key), True)
        np.testing.assert_allclose(action, there, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(moved, moved_there, rtol=1e-4, atol=1e-5)
        assert action.dtype == np.float32
        apart = max(apart, np.abs(action - greedy).max())
    assert apart > 1e-3
    many = agent.greedy(here, np.stack([observation, 2 * observation]))
    np.testing.assert_allclose(many[0], agent.greedy(here, observation), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", CASES)
def test_jit_vmap_and_scan_just_work(config, generator):
    agent = build(config)
    batch = batches(agent, generator)

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
    assert actions.shape == (4, 3, agent.spec.action_dim) and losses.shape == (4, 3)
    assert np.abs(actions).max() <= max(1, agent.spec.actions - 1) and np.unique(losses).size == 12


@pytest.mark.parametrize("config", CASES)
def test_the_second_update_compiles_nothing(config, generator):
    agent = build(config)
    traced = []

    def update(state, batch, key):
        traced.append(1)
        return agent.update(state, batch, key)

    compiled, state = jax.jit(update), agent.init(jax.random.key(0))
    for k in range(3):
        state, _ = compiled(state, batches(agent, generator), jax.random.key(k + 1))
    assert len(traced) == 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_time_out_is_not_a_death(name):
    """Reward 1 for ever: with discount 1 values rise beyond one step's reward, with 0 they stay there."""
    settings, calls = cases.CASES[name].endless
    values = {}
    for alive in (0.0, 1.0):
        agent = build(ALGORITHMS[name](hidden=(16,), learning_rate=1e-2, discount=0.8, **settings))
        update, state = jax.jit(agent.update), agent.init(jax.random.key(0))
        generator = np.random.default_rng(0)
        for call in range(calls):
            batch = batches(agent, generator, None if agent.requirements.rollout else (600, B))
            ones = jnp.ones_like(batch.reward)
            state, _ = update(state, batch._replace(reward=ones, discount=alive * ones), jax.random.key(call + 1))
        last = jax.tree.map(lambda part: part[-8:].reshape(-1, *part.shape[2:]), batch)
        values[alive] = float(agent.diagnose(state, last)["value_mean"])
    assert values[0.0] == pytest.approx(1.0, abs=0.05)
    assert values[1.0] == pytest.approx(1.0 / (1.0 - 0.8), rel=0.1)
