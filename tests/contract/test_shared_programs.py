"""Agents whose settings and sizes are equal share compiled programs; all others have their own."""

import dataclasses
import gc
import weakref
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import cases
import reverie as rv
from compilations import COMPILED
from reverie.core.agent import KEPT
from reverie.core.seeds import BEGIN
from reverie.maths.noises.gaussian_noise import GaussianNoise
from reverie.training.compiled_programs import episode_key, forget_programs, programs_of
from reverie.training.trainer import Trainer

every_case = pytest.mark.parametrize("case", cases.CASES.values(), ids=cases.CASES)
SPEC = rv.EnvSpec(3, [-1.0, -1.0], [1.0, 1.0])
FUNCTIONS = ("init", "act", "update", "diagnose", "policy", "greedy", "explore")


class OwnNoise(GaussianNoise):
    """A noise of the user's own."""


def shares(one, other):
    """Return whether two agents are of the same functions, and so of the same programs."""
    key = jax.random.key(0)
    same = {getattr(one, name) is getattr(other, name) for name in FUNCTIONS}
    same.add(programs_of(one, key) is programs_of(other, key))
    assert len(same) == 1
    return same.pop()


def own(config):
    """Return the same settings as a class of the user's own, which shares nothing."""
    kind = dataclasses.make_dataclass("Own", [], bases=(type(config),), frozen=True, kw_only=True)
    return kind(**{field.name: getattr(config, field.name) for field in dataclasses.fields(config)})


def compiled():
    """Return how many programs were compiled since COMPILED was cleared."""
    return sum("backend_compile" in name for name in COMPILED)


def learnt(config, spec, seed, steps=60):
    """Return the bytes of all that a short run learns and draws, and its metrics."""
    trainer, generator = Trainer(config.build(spec), seed), np.random.default_rng(0)
    for step in range(steps):
        if step % 10 == 0:
            trainer.begin_episode()
        seen, after = generator.standard_normal((2, spec.observation_dim)).astype(np.float32)
        action, reward = trainer.act(seen), np.float32(generator.standard_normal())
        trainer.learn(rv.Transition(seen, action, reward, np.float32(step % 20 != 19), after).pack(), step % 10 == 9)
    metrics = trainer.metrics()
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((trainer.snapshot()[0], metrics))]


@every_case
def test_equal_settings_share_programs_whatever_the_seed(case):
    learnt(case.make(), case.spec, 0)
    COMPILED.clear()
    learnt(case.make(), dataclasses.replace(case.spec, name="another"), 1)
    assert not compiled()


@every_case
def test_shared_programs_learn_the_same_bytes(case):
    first = [learnt(case.make(), case.spec, seed) for seed in (0, 1)]
    assert first == [learnt(own(case.make()), case.spec, seed) for seed in (0, 1)]
    assert first[0] != first[1]


def test_learners_of_one_process_share_programs(tmp_path):
    config, line = cases.CASES["naf"].make(), cases.CASES["naf"].line
    with rv.Learner(config, line, out=tmp_path) as learner:
        learner.learn(30)
    rv.Learner.load(tmp_path).close()
    COMPILED.clear()
    with rv.Learner(config.replace(), line, seed=1) as learner:
        learner.learn(30)
    with rv.Learner.load(tmp_path) as learner:
        learner.learn(30)
    assert not compiled()


def forced(**values):
    """Return settings that hold values as they are, where they would have been converted."""
    config = rv.NAF(hidden=(8,))
    for name, value in values.items():
        object.__setattr__(config, name, value)
    return config


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rv.NAF(learning_rate=1e-3), rv.NAF(learning_rate=2e-3)),
        (rv.NAF(hidden=(8,)), rv.NAF(hidden=(8, 8))),
        (rv.NAF(noise_scale=0.0), rv.NAF(noise_scale=-0.0)),
        (forced(discount=1), forced(discount=1.0)),
        (forced(discount=1), forced(discount=True)),
        (forced(hidden=(1,)), forced(hidden=(True,))),
        (rv.NAF(), rv.DDPG()),
        (rv.NAF(), own(rv.NAF())),
        (own(rv.NAF()), own(rv.NAF())),
        (rv.NAF(noise=f"{__name__}:OwnNoise"), rv.NAF(noise=f"{__name__}:OwnNoise")),
    ],
    ids=str,
)
def test_other_settings_and_code_of_ones_own_have_their_own(one, other):
    assert shares(rv.NAF().build(SPEC), rv.NAF().build(SPEC))
    assert not shares(one.build(SPEC), other.build(SPEC))


@pytest.mark.parametrize("other", [rv.EnvSpec(4, [-1.0] * 2, [1.0] * 2), rv.EnvSpec(3, [-1.0] * 3, [1.0] * 3)])
def test_other_sizes_have_their_own(other):
    assert not shares(rv.NAF().build(SPEC), rv.NAF().build(other))


def test_another_number_of_actions_has_its_own():
    assert not shares(rv.DQN().build(rv.EnvSpec(3, actions=2)), rv.DQN().build(rv.EnvSpec(3, actions=3)))


def test_an_agent_keeps_its_own_spec_and_imagination():
    narrow = rv.EnvSpec(3, [-1.0, 0.0], [0.5, 2.0], "narrow")
    dreams = rv.Imagination(rv.NAF(), rv.LinearGaussian())
    plain, other, dreamer = rv.NAF().build(SPEC), rv.NAF().build(narrow), dreams.build(SPEC)
    assert shares(plain, other) and shares(plain, dreamer)
    assert (plain.spec, other.spec, dreamer.spec) == (SPEC, narrow, SPEC)
    assert plain.imagination is None and dreamer.imagination is dreams
    with pytest.raises(rv.SpaceError, match=r"^grid: the action space is Discrete"):
        rv.NAF().build(rv.EnvSpec(3, name="grid", actions=4))


@every_case
def test_the_sizes_are_all_that_an_agent_reads_of_a_spec(case):
    sizes = {name: getattr(case.spec, name) for name in ("observation_dim", "action_dim", "actions")}
    agent = own(case.make()).build(SimpleNamespace(**sizes))
    state = agent.init(jax.random.key(0))
    agent.act(state, agent.begin(state), np.zeros(case.spec.observation_dim, np.float32), jax.random.key(1))
    assert programs_of(agent, jax.random.key(0)).metric_names


def test_a_shared_program_is_compiled_again_where_numbers_are_wider():
    """JAX tells programs of float64 from those of float32 itself."""
    config, spec = cases.CASES["sac"].make(), cases.CASES["sac"].spec
    plain = learnt(config, spec, 0)
    with jax.enable_x64(True):
        assert learnt(config, spec, 0) == learnt(own(config), spec, 0)
    assert learnt(config, spec, 0) == plain


def test_programs_that_were_forgotten_are_compiled_again():
    config, spec = cases.CASES["naf"].make(), cases.CASES["naf"].spec
    before = learnt(config, spec, 0)
    forget_programs()
    COMPILED.clear()
    assert learnt(config, spec, 0) == before
    assert compiled()


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_the_key_of_an_episode_is_folded_from_root_stream_and_number(kind):
    root = jax.random.key(5, impl=kind)
    data, found = np.asarray(jax.random.key_data(root)), []
    for number in (1, 2, 2**32 - 1):
        key = episode_key(data, number, jax.random.key_impl(root))
        wanted = jax.random.fold_in(jax.random.fold_in(root, BEGIN), number)
        assert key.dtype == wanted.dtype
        np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(wanted))
        found.append(jax.random.key_data(key).tobytes())
    assert len(set(found)) == 3


def test_few_agents_are_kept():
    first = weakref.ref(rv.DDPG(learning_rate=0.5).build(SPEC).update)
    gc.collect()
    assert first() is not None
    for n in range(KEPT):
        rv.DDPG(learning_rate=0.5 + (n + 1) / 100).build(SPEC)
    gc.collect()
    assert first() is None


def test_functions_of_the_users_own_are_not_kept():
    """They may hold any amount of data."""
    agent = rv.NAF().build(SPEC)

    def update(state, batch, key):
        return agent.update(state, batch, key)

    kept = weakref.ref(update)
    Trainer(agent._replace(update=update), 0)
    del update
    gc.collect()
    assert kept() is None
