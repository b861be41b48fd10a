"""Imagination takes any off-policy agent, of continuous or of discrete actions."""

import jax
import numpy as np
import pytest

import reverie as rv
from cases import CASES, those
from compilations import COMPILED
from reverie.core.types import Transition
from reverie.planning import planners
from reverie.training import recorded_trainer

WORLDS = {"dqn": "CartPole-v1"}  # Pendulum-v1 for the others


@pytest.mark.parametrize("name", those(setting="replay_capacity"))
def test_any_agent_with_replay_learns_from_dreams_too(name, tmp_path):
    """Dreamt actions are the world's, the fitted reward is right where it is constant, and the run goes on as it was."""
    agent = CASES[name].make(updates_per_step=1)
    config = rv.Imagination(agent, rv.LinearGaussian(episodes=3), rollout_length=3, rollouts=8, adaptive=False)
    with rv.Learner(config, WORLDS.get(name, "Pendulum-v1"), seed=0, out=tmp_path) as learner:
        learner.learn(episodes=7)
        trainer = learner.trainer
        dreams, spec = trainer.source.replay, learner.spec
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
        for one, other in zip(state, jax.tree.leaves(again.trainer.state), strict=True):
            np.testing.assert_array_equal(one, other)


MODELS = {
    "linear": rv.LinearGaussian(episodes=2),
    "neural": rv.Neural(episodes=2, updates=20, hidden=(8,)),
    "exact": rv.Exact(),
    "recent": rv.Recent(episodes=2),
}
COMBINATIONS = [pytest.param(model, "off", marks=pytest.mark.slow) for model in MODELS]
COMBINATIONS += [pytest.param(model, "ilqg", marks=pytest.mark.slow) for model in ("linear", "neural")]
COMBINATIONS += [("exact", "ilqg"), ("exact", "mpc")]


def dreaming(model, plan, out):
    agent = CASES["naf"].make(updates_per_step=1)
    settings = {"rollout_length": 2, "rollouts": 8, "plan": plan, "plan_horizon": 4, "plan_iterations": 1}
    return rv.Learner(
        rv.Imagination(agent, MODELS[model], **settings), "worlds:brief_reacher", out=out, timed_checkpoints=False
    )


@pytest.mark.parametrize(("model", "plan"), COMBINATIONS)
def test_a_run_that_stopped_writes_the_metrics_of_one_that_did_not(model, plan, tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)
    with dreaming(model, plan, tmp_path / "whole") as learner:
        learner.learn(episodes=6)
        told = learner.newest_metrics
    with dreaming(model, plan, tmp_path / "parts") as learner:
        learner.learn(episodes=4)
    with rv.Learner.load(tmp_path / "parts") as learner:
        learner.learn(episodes=2)
    whole, parts = ((tmp_path / part / "metrics.csv").read_text() for part in ("whole", "parts"))
    assert whole == parts
    if plan == "ilqg":
        assert told["plan_kl"] != planners.NEVER or told["plan_predicted_return"] != 0.0  # there was something to lose


def test_a_checkpoint_that_tells_less_of_plans_loads(tmp_path):
    with dreaming("exact", "ilqg", tmp_path) as learner:
        learner.learn(episodes=3)
        trainer = learner.trainer
        _, facts = trainer.snapshot()
        facts["plan"] = {name: facts["plan"][name] for name in ("eta", "failures", "repairs")}  # as they once were
        trainer.source.planner.restore({}, facts["plan"])
        assert trainer.source.planner.eta == facts["plan"]["eta"]


AHEAD = [  # models of sizes that no other test has
    (rv.LinearGaussian(episodes=2, prior="mixture"), "off", "worlds:LinearWorld"),
    (rv.Neural(episodes=2, updates=50, hidden=(7, 5), batch_size=11, members=3), "off", "worlds:LinearWorld"),
    (rv.LinearGaussian(episodes=2), "ilqg", "worlds:brief_reacher"),
    (rv.Exact(), "ilqg", "worlds:brief_reacher"),
    (rv.Exact(), "mpc", "worlds:brief_reacher"),
    (rv.Exact(), "mpc quick", "worlds:brief_reacher"),
    (rv.Neural(episodes=2, updates=50, hidden=(9,), batch_size=13), "ilqg", "worlds:brief_reacher"),
]


@pytest.mark.parametrize(("model", "plan", "world"), AHEAD, ids=[f"{m.name} {plan}" for m, plan, _ in AHEAD])
def test_no_fit_and_no_plan_compiles_in_mid_episode(model, plan, world, monkeypatch):
    """All that the first and later fits and plans call is compiled before the first step."""
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)
    jax.clear_caches()
    plan, _, search = plan.partition(" ")
    settings = {"rollout_length": 2, "rollouts": 8, "plan": plan, "plan_horizon": 4, "plan_iterations": 1}
    settings |= {"plan_search": search} if search else {}
    config = rv.Imagination(CASES["naf"].make(updates_per_step=1, warmup_steps=4), model, mixture=0.0, **settings)
    counts = []
    with rv.Learner(config, world) as learner:
        learner.learn(400 if world == "worlds:LinearWorld" else 90, callbacks=[lambda *_: counts.append(len(COMPILED))])
        assert learner.trainer.source.replay.fits > 3
        assert plan == "off" or learner.trainer.source.planner.ready
    begun = counts[5]  # Began, Compiling, and the first step, whose episode folds a key
    assert begun > 0 and counts[-1] == begun
