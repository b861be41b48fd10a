"""`discount="auto"` and `reward_scale="auto"`: the values that they take, and that runs with them are as safe as others."""

import json

import jax
import numpy as np
import pytest

import reverie as rv
from cases import CASES, CONTINUOUS
from reverie.algorithms.hyperparameters import discount_for
from reverie.cli import main
from reverie.environments.env_factory import make_env
from reverie.storage.tables import read_rows
from reverie.training import recorded_trainer
from reverie.training.advice import against_divergence
from worlds import LinearWorld

AUTO = {"discount": "auto", "reward_scale": "auto"}


def leaves(learner):
    """Every array that learning goes on from."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(learner.trainer.snapshot()[0])]


every_algorithm = pytest.mark.parametrize("name", CASES)


@pytest.fixture(autouse=True)
def frequent_metrics(monkeypatch):
    """Write metrics often."""
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)


@pytest.mark.parametrize(
    ("steps", "discount"),
    [(None, 0.99), (1, 0.95), (50, 0.95), (100, 0.95), (125, 0.96), (200, 0.975), (1000, 0.995), (10**6, 0.995)],
)
def test_the_horizon_is_a_fifth_of_an_episode_within_bounds(steps, discount):
    assert discount_for(steps) == pytest.approx(discount, rel=1e-12)


@pytest.mark.parametrize(("env", "steps"), [("Pendulum-v1", 200), ("worlds:Line", None), ("worlds:make_faulty", None)])
def test_an_environment_says_how_long_its_episodes_are(env, steps):
    env = make_env(env)
    assert env.spec.max_episode_steps == steps
    env.close()


def test_a_program_of_ones_own_says_it_in_the_spec(tmp_path):
    spec = rv.EnvSpec(2, [-1.0], [1.0], max_episode_steps=125)
    with rv.Learner(CASES["naf"].make(**AUTO), spec=spec, out=tmp_path) as learner:
        assert learner.trainer.agent.requirements.discount == pytest.approx(0.96)
        assert learner.trainer.agent.requirements.reward_scale is None
    with rv.Learner.load(tmp_path) as learner:
        assert learner.spec == spec and learner.trainer.agent.requirements.discount == pytest.approx(0.96)
        assert (learner.config.discount, learner.config.reward_scale) == ("auto", "auto")


@pytest.mark.parametrize("steps", [0, -3, 2.5, "many"])
def test_a_limit_that_is_no_number_of_steps_is_refused(steps):
    with pytest.raises(rv.SpaceError, match="max_episode_steps"):
        rv.EnvSpec(2, [-1.0], [1.0], max_episode_steps=steps)


@every_algorithm
def test_the_discount_is_the_one_of_that_length(name):
    """Byte for byte: nothing else changes."""
    if CASES[name].spec.actions:
        pytest.skip("its world has other actions")
    learnt = []
    for discount in ("auto", 0.96):
        with rv.Learner(CASES[name].make(discount=discount), lambda: Limited(125), seed=1) as learner:
            learner.learn(40)
            learnt.append(leaves(learner))
    np.testing.assert_equal(*learnt)


class Limited(LinearWorld):
    """A world that says how long its episodes are, as our domains do."""

    @property
    def horizon(self):
        return self.length


@every_algorithm
def test_a_run_that_was_stopped_ends_as_one_that_was_not(name, tmp_path):
    case = CASES[name]
    whole = rv.Learner(case.make(**AUTO), case.line, out=tmp_path / "whole", seed=5)
    whole.learn(72)
    with rv.Learner(case.make(**AUTO), case.line, out=tmp_path / "halves", seed=5) as learner:
        learner.learn(36)  # whole episodes, in each of three worlds too
    for go_on in (18, 18):
        with rv.Learner.load(tmp_path / "halves") as learner:
            learner.learn(go_on)
    with whole, rv.Learner.load(tmp_path / "halves") as halves:
        np.testing.assert_equal(leaves(whole), leaves(halves))
        one, other = whole.trainer.snapshot()[1], halves.trainer.snapshot()[1]
        assert one == other and one["return_scale"]["count"] == 72


def test_the_journal_is_learnt_again_with_the_same_scale(tmp_path):
    """After a kill before the first checkpoint, or one that is lost."""
    case = CASES["naf"]
    with rv.Learner(case.make(**AUTO), case.line, out=tmp_path / "run", timed_checkpoints=False) as learner:
        learner.learn(50)
        whole, scale = leaves(learner), learner.trainer.reward_scaling.value
    for file in (tmp_path / "run" / "checkpoint").iterdir():
        file.unlink()
    with rv.Learner.load(tmp_path / "run") as learner:
        np.testing.assert_equal(leaves(learner), whole)
        assert learner.trainer.reward_scaling.value == scale


def test_the_scale_is_a_column_of_metrics_and_rewards_stay_as_they_are(tmp_path):
    for scale in ("auto", 2.0):
        with rv.Learner(CASES["naf"].make(reward_scale=scale), "worlds:Line", out=tmp_path / str(scale)) as learner:
            learner.learn(40)
            found = learner.trainer.reward_scaling.value
    rows = read_rows(tmp_path / "auto" / "metrics.csv")
    scales = [float(row["reward_scale"]) for row in rows]
    assert min(scales) > 0 and len(set(scales)) > 1
    assert "reward_scale" not in read_rows(tmp_path / "2.0" / "metrics.csv")[0] and found == 2.0
    one, other = (rv.Learner.load(tmp_path / name) for name in ("auto", "2.0"))
    with one, other:
        np.testing.assert_array_equal(one.trainer.replay.rows[:4, 3], other.trainer.replay.rows[:4, 3])


def test_values_are_judged_in_the_scale_of_their_rewards():
    """Line pays down to some -4: scaled by 1000 or not, values within that are no excess."""
    with rv.Learner(CASES["naf"].make(reward_scale="auto"), "worlds:Line") as learner:
        learner.learn(40)
        health, scale = learner.trainer.health, learner.trainer.reward_scaling.value
        lowest = learner.trainer.replay.rows[:40, 3].min()
        row = {"step": 40, "episode": 7}
        none = type("Now", (), {"set_aside": 0, "dead": 0.0, "frozen": 0.0, "stuck": 0.0})
        allowed = scale * lowest / (1 - 0.99)
        assert health.judge(row | {"value_mean": allowed}, none, scale)["value_excess"] == 0.0
        assert health.judge(row | {"value_mean": 2 * allowed}, none, scale)["value_excess"] > 0.5


def test_logged_returns_count(tmp_path):
    """Those of another run, whose scale is therefore the first of this one."""
    with rv.Learner(CASES["naf"].make(reward_scale="auto"), LinearWorld, out=tmp_path) as learner:
        learner.learn(60)
        scale = learner.trainer.reward_scaling.value
    with rv.Learner(CASES["naf"].make(reward_scale="auto"), LinearWorld, experience=tmp_path) as learner:
        assert learner.trainer.reward_scaling.value == pytest.approx(scale, rel=1e-5) != 1.0


@pytest.mark.parametrize("setting", AUTO)
@pytest.mark.parametrize("value", ["automatic", "AUTO", "", None, [1]])
def test_another_word_is_refused_in_one_sentence(setting, value):
    with pytest.raises(rv.ConfigError) as told:
        rv.NAF(**{setting: value})
    assert str(told.value).endswith("it must be a finite number or 'auto'")


@pytest.mark.parametrize(("setting", "value"), [("discount", 1.5), ("reward_scale", 0.0), ("reward_scale", -1.0)])
def test_numbers_are_checked_as_before(setting, value):
    with pytest.raises(rv.ConfigError, match=setting):
        rv.NAF(**{setting: value})


def test_advice_does_not_ask_for_a_scale_that_is_automatic():
    advice = against_divergence(rv.NAF(reward_scale="auto").requirements, rewards=1e6)
    assert "reward_scale" not in advice and "learning_rate" in advice


def test_the_command_line_takes_the_word(tmp_path, capsys):
    words = ["train", "naf", "worlds:Line", "--steps", "30", "--set", "hidden=8", "--quiet", "--out", str(tmp_path)]
    assert main([*words, "--set", "discount=auto", "--set", "reward_scale=auto"]) == 0
    settings = json.loads((tmp_path / "config.json").read_text())["agent"]["settings"]
    assert (settings["discount"], settings["reward_scale"]) == ("auto", "auto")
    assert "the discount is 0.99: nothing limits an episode" in capsys.readouterr().err


def test_what_decides_values_does_not_change_unasked(tmp_path):
    with rv.Learner(CASES["naf"].make(), spec=CONTINUOUS, out=tmp_path) as learner:
        learner.save()
    with pytest.raises(rv.ConfigError, match="relearn"):
        rv.Learner.load(tmp_path, config=CASES["naf"].make(reward_scale="auto"))
