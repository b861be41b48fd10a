"""Imagination takes any off-policy agent, of continuous or of discrete actions."""

import jax
import numpy as np
import pytest

import reverie as rv
from cases import CASES, those
from reverie.core.types import Transition

WORLDS = {"dqn": "CartPole-v1"}  # Pendulum-v1 for the others


@pytest.mark.parametrize("name", those(setting="replay_capacity"))
def test_any_agent_with_replay_learns_from_dreams_too(name, tmp_path):
    """Dreamt actions are the world's, the fitted reward is right where it is constant, and the run goes on as it was."""
    agent = CASES[name].make(updates_per_step=1)
    config = rv.Imagination(agent, rv.LinearGaussian(episodes=3), rollout_length=3, rollouts=8, adaptive=False)
    with rv.Learner(config, WORLDS.get(name, "Pendulum-v1"), seed=0, out=tmp_path) as learner:
        learner.learn(episodes=7)
        trainer = learner._session.trainer
        dreams, spec = trainer.dreams, learner.spec
        assert len(dreams.fictional) > 20 and trainer.minibatches > 0
        dreamt = Transition.unpack(dreams.fictional.rows[: len(dreams.fictional)], spec.observation_dim, 1)
        if spec.actions:
            assert set(np.unique(dreamt.action)) <= set(range(spec.actions))
            np.testing.assert_allclose(dreamt.reward, 1.0, atol=0.1)  # CartPole's
        else:
            assert len(np.unique(dreamt.action)) > 20 and np.abs(dreamt.action).max() <= 1.0
        assert set(np.unique(dreamt.discount)) <= {0.0, 1.0}
        state = [np.array(leaf) for leaf in jax.tree.leaves(trainer.state)]
    with rv.Learner.load(tmp_path) as again:
        for one, other in zip(state, jax.tree.leaves(again._session.trainer.state), strict=True):
            np.testing.assert_array_equal(one, other)
