"""`observation_scale`: normalised observations get another standard deviation, in updates and in every policy."""

import jax
import numpy as np
import pytest

import reverie as rv
from cases import CASES
from reverie.core.types import Transition

SCALE = 0.25
every_algorithm = pytest.mark.parametrize("name", CASES)


def agent(name, scale):
    case = CASES[name]
    return case.make(observation_normalisation=True, observation_scale=scale).build(case.spec)


def moved(state):
    """Return a state with moments as after some observations."""
    mean, var = np.float32([1.0, -2.0]), np.float32([4.0, 0.25])
    return state._replace(observations={"mean": mean, "var": var, "count": np.float32(3)})


@every_algorithm
def test_policies_see_observations_of_that_size(name, generator):
    """As one does whose moments say so."""
    scaled, plain = agent(name, SCALE), agent(name, 1.0)
    state = moved(scaled.init(jax.random.key(0)))
    wider = {**state.observations, "var": state.observations["var"] / SCALE**2}
    seen = generator.standard_normal((7, 2)).astype(np.float32)
    asked = scaled.greedy(scaled.policy(state), seen)
    np.testing.assert_array_equal(asked, plain.greedy(plain.policy(state._replace(observations=wider)), seen))
    if not CASES[name].spec.actions:
        assert not np.array_equal(asked, plain.greedy(plain.policy(state), seen))


@pytest.mark.parametrize("name", sorted({case.algorithm for case in CASES.values()} - {"ppo", "xqc"}))
def test_updates_learn_from_observations_of_that_size(name, generator):
    """XQC normalises what enters its networks, and so hardly sees a scale; PPO updates on rollouts."""
    m = 1 if CASES[name].spec.actions else CASES[name].spec.action_dim
    draw = generator.standard_normal
    actions = np.zeros((2, 4, m)) if CASES[name].spec.actions else draw((2, 4, m)).clip(-1, 1)
    batch = Transition(draw((2, 4, 2)), actions, draw((2, 4)), np.ones((2, 4)), draw((2, 4, 2)))
    batch = Transition(*(np.asarray(part, np.float32) for part in batch))
    found = []
    for scale in (SCALE, 1.0):
        one = agent(name, scale)
        state, metrics = one.update(moved(one.init(jax.random.key(0))), batch, jax.random.key(1))
        found.append((float(metrics["loss"]), state.observations))
    assert found[0][0] != pytest.approx(found[1][0], rel=1e-4)
    np.testing.assert_allclose(found[0][1]["var"], found[1][1]["var"])  # those of the observations themselves


@every_algorithm
def test_a_run_with_it_loads_and_acts_the_same(name, tmp_path):
    settings = {"observation_normalisation": True, "observation_scale": SCALE}
    case = CASES[name]
    with rv.Learner(case.make(**settings), case.line, out=tmp_path) as learner:
        learner.learn(60)
        seen = np.linspace(-2, 2, 10).reshape(5, 2)[:, : learner.spec.observation_dim]
        asked = learner.predict(seen)
    with rv.Learner.load(tmp_path) as learner:
        assert learner.config.observation_scale == SCALE
        np.testing.assert_array_equal(learner.predict(seen), asked)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"observation_scale": 0.5}, "set observation_normalisation=true too"),
        (
            {"observation_scale": 0.0, "observation_normalisation": True},
            "observation_scale is 0.0; it must be positive",
        ),
        ({"observation_scale": float("nan"), "observation_normalisation": True}, "observation_scale"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, says):
    with pytest.raises(rv.ConfigError, match=says):
        rv.NAF(**changes)
