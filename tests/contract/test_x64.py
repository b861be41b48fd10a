"""JAX_ENABLE_X64: every agent trains, resumes and evaluates under it, and takes up what was written without, and back."""

import jax
import numpy as np
import pytest

import reverie as rv
from cases import CASES
from reverie.training.saved_policy import SavedPolicy

RUNS = {name: case.make() for name, case in CASES.items() if case.worlds == 1}
RUNS |= {
    "naf with a bound on values": CASES["naf"].make(value_bound=True),
    "naf dreaming": rv.Imagination(CASES["naf"].make(), rv.LinearGaussian(episodes=2), rollout_length=2, rollouts=8),
}


def types_of(learner):
    trainer = learner.trainer
    return [leaf.dtype for leaf in jax.tree.leaves((trainer.state, trainer.policy, trainer.memory))]


@pytest.mark.parametrize(("name", "first"), [(name, True) for name in RUNS] + [("naf", False)])
def test_a_run_goes_on_whether_or_not_jax_takes_float64(name, first, tmp_path):
    config = RUNS[name]
    line = CASES[name.split()[0]].line
    with jax.enable_x64(first), rv.Learner(config, line, seed=0, out=tmp_path / "run") as learner:
        learner.learn(24)
        types = types_of(learner)
        action = learner.predict(np.array([0.5, 0.1], np.float32))
    assert np.dtype(np.float64) not in types
    with jax.enable_x64(not first):
        saved = SavedPolicy(tmp_path / "run")
        assert np.isfinite(saved.greedy(np.zeros(2, np.float32))).all()
        with rv.Learner.load(tmp_path / "run") as learner:
            np.testing.assert_allclose(learner.predict(np.array([0.5, 0.1], np.float32)), action, rtol=1e-5)
            learner.learn(12)
            assert learner.steps == 36 and types_of(learner) == types
            assert np.isfinite(learner.evaluate(episodes=1)["mean"])
