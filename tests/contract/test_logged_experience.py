"""Learning from logs: what is written is read back, a share of each minibatch is logged, and resuming is exact."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from commands import done, one_object, refusal, reverie
from reverie.logs.log import Log
from reverie.logs.stored import learnable
from reverie.storage import checkpoint, journal
from reverie.storage.run import RunDirectory
from reverie.training.logged_experience import LoggedExperience
from reverie.training.pretraining import pretraining_left
from reverie.training.trainer import Trainer
from things import ROOT

SMALL = {"hidden": (4,), "batch_size": 10, "updates_per_step": 2, "warmup_steps": 15}
WORDS = ("--set", "hidden=4", "--set", "batch_size=10", "--set", "updates_per_step=2", "--quiet")
WORDS = (*WORDS, "--evaluate-every", "0")
WORLD = "worlds:LinearWorld"  # episodes of 20 steps
PARTS = [("joints", "Box", (2,)), ("valve", "Discrete", (1,))]
SPECS = {
    "continuous": rv.EnvSpec(3, [-2.0, 0.1], [2.0, 0.3], "line7", observations=PARTS),
    "discrete": rv.EnvSpec(3, name="valves", actions=4, first_action=-1),
}


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A run whose experience others learn from."""
    out = tmp_path_factory.mktemp("logged") / "run"
    with rv.Learner(rv.NAF(**SMALL), WORLD, seed=7, out=out) as learner:
        learner.learn(60)
    return out


def learner_on(logged, out=None, agent=None, **named):
    return rv.Learner(agent or rv.NAF(**SMALL), WORLD, seed=1, out=out, experience=logged, **named)


def state_of(out):
    """Return all that a run has learnt, and its counters and generators."""
    arrays, facts = checkpoint.read(RunDirectory(out).latest_file)
    return arrays, {name: value for name, value in facts.items() if name not in ("crc", "config", "identity")}


def assert_equal(one, two):
    (arrays, facts), (others, known) = state_of(one), state_of(two)
    assert facts == known and arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    actions = [records_of(out)["action"] for out in (one, two)]
    np.testing.assert_array_equal(*actions)
    assert RunDirectory(one).metrics_file.read_bytes() == RunDirectory(two).metrics_file.read_bytes()


def records_of(out):
    return journal.read(RunDirectory(out).journal_file)[1]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("ending", [".csv", ".npz", "run", "minari"])
def test_what_is_exported_is_read_back(tmp_path, monkeypatch, name, ending):
    spec, generator = SPECS[name], np.random.default_rng(0)
    agent = (rv.DQN if spec.actions else rv.NAF)(hidden=(4,), batch_size=2, warmup_steps=50)
    told = []
    with rv.Learner(agent, spec=spec, out=tmp_path / "run") as learner:
        observation = generator.standard_normal(3).astype(np.float32)
        for step in range(12):
            learner.ask(observation)
            after, reward = generator.standard_normal(3).astype(np.float32), 1e5 / 3 * step
            learner.tell(reward, after, step == 3, step % 5 == 4)
            told.append(learner.trainer.replay.rows[step].copy())
            observation = generator.standard_normal(3).astype(np.float32) if step == 3 or step % 5 == 4 else after
    source = tmp_path / "run"
    if ending == "minari":
        pytest.importorskip("h5py")
        pytest.importorskip("minari")
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
        source = "minari:line7/shift3-v0"
    elif ending != "run":
        source = tmp_path / f"data{ending}"
    if ending != "run":
        done("export", tmp_path / "run", "-o", source, *(["--experience"] if ending == ".npz" else []))
    found = Log(source).read(spec)
    rows = learnable(found, spec).rows(spec)
    n, m = 3, spec.action_dim
    np.testing.assert_array_equal(np.delete(rows, range(n, n + m), axis=1), np.delete(told, range(n, n + m), axis=1))
    np.testing.assert_allclose(rows[:, n : n + m], np.array(told)[:, n : n + m], rtol=0, atol=1e-6)
    assert found.episode.tolist() == [1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("agent", "env"),
    [
        (rv.NAF(**SMALL), WORLD),
        (rv.DDPG(**SMALL), WORLD),
        (rv.SAC(**SMALL), WORLD),
        (rv.XQC(**SMALL, actor_hidden=(8,)), WORLD),
        (rv.DQN(**SMALL), "worlds:Switched"),
        (
            rv.Imagination(rv.NAF(**SMALL), rv.LinearGaussian(episodes=1), rollout_length=2, until_episode=10),
            WORLD,
        ),
    ],
    ids=["naf", "ddpg", "sac", "xqc", "dqn", "imagination"],
)
def test_a_run_that_was_stopped_goes_on_as_one_that_was_not(tmp_path, logged, agent, env):
    """Also when the log is gone: the run keeps a copy."""
    source = tmp_path / "log"
    if env == WORLD:
        shutil.copytree(logged, source)
    else:
        with rv.Learner(agent, env, seed=7, out=source) as learner:
            learner.learn(60)
    for name in ("whole", "halves"):
        with rv.Learner(agent, env, seed=1, out=tmp_path / name, experience=source) as learner:
            learner.learn(120 if name == "whole" else 60)
            assert learner.trainer.updates == 60 + learner.steps
    shutil.rmtree(source)
    with rv.Learner.load(tmp_path / "halves") as learner:
        assert learner.steps == 60 and len(learner.trainer.logged) == 60
        learner.learn(60)
    assert_equal(tmp_path / "whole", tmp_path / "halves")


def test_pretraining_that_was_stopped_goes_on_as_one_that_was_not(tmp_path, logged):
    with learner_on(logged, tmp_path / "whole") as learner:
        learner.pretrain()
        learner.learn(40)
    calls = []

    def stop(asked=25):
        calls.append(1)
        return len(calls) > asked

    with learner_on(logged, tmp_path / "parts") as learner:
        learner._session.pretrain(stop)
        learner.save()
    _, facts = state_of(tmp_path / "parts")
    assert (facts["steps"], facts["updates"], facts["logged"]["pretrained"]) == (0, 25, 25)
    with rv.Learner.load(tmp_path / "parts") as learner:
        assert pretraining_left(learner.trainer) == 35
        learner.learn(40)
    assert_equal(tmp_path / "whole", tmp_path / "parts")


def test_steps_after_the_last_checkpoint_are_learnt_again(tmp_path, logged):
    """A run that was killed has a journal, and perhaps no checkpoint at all."""
    with learner_on(logged, tmp_path / "whole") as learner:
        learner.learn(40)
    shutil.copytree(tmp_path / "whole", tmp_path / "killed", ignore=shutil.ignore_patterns(".lock"))
    for file in (tmp_path / "killed" / "checkpoint").iterdir():
        file.unlink()
    with rv.Learner.load(tmp_path / "killed") as learner:
        assert learner.steps == 40 and learner.trainer.updates == 100
        learner.save()
    assert_equal(tmp_path / "whole", tmp_path / "killed")


PROGRAM = """
import os, signal, sys
import reverie as rv
from reverie.training import recorded_trainer, run_logger
run_logger.CHECKPOINT_SECONDS = (0.0, 0.0)
count = [int(sys.argv[3])]
from reverie.training.pretraining import pretraining_left
from reverie.training.trainer import Trainer
update = Trainer.run_update
def counted(self):
    update(self)
    count[0] -= 1
    if not count[0]:
        os.kill(os.getpid(), signal.SIGKILL)
Trainer.run_update = counted
small = dict(hidden=(4,), batch_size=10, updates_per_step=2, warmup_steps=15)
out, source = sys.argv[1:3]
if os.path.exists(out + "/config.json"):
    learner = rv.Learner.load(out)
else:
    learner = rv.Learner(rv.NAF(**small), "worlds:LinearWorld", seed=1, out=out, experience=source)
with learner:
    learner.learn(40 - learner.steps)
"""


@pytest.mark.parametrize("kills", [(1, 30, 20), (70, 15)], ids=["in pretraining", "while learning"])
def test_a_run_that_is_killed_again_and_again_loses_nothing(tmp_path, logged, kills):
    """Killed at these updates of each process, of the 60 of pretraining and the 40 of learning."""
    with learner_on(logged, tmp_path / "whole") as learner:
        learner.learn(40)
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests" / "support")])
    for last in (*kills, 0):
        words = [sys.executable, "-c", PROGRAM, str(tmp_path / "killed"), str(logged), str(last)]
        changed = os.environ | {"PYTHONPATH": path}
        ended = subprocess.run(words, env=changed, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == (-9 if last else 0), ended.stderr
    if kills[0] < 60:
        assert_equal(tmp_path / "whole", tmp_path / "killed")
        return
    # A kill while learning cuts the episode under way, so what comes after is another experience.
    (_, facts), (_, known) = state_of(tmp_path / "whole"), state_of(tmp_path / "killed")
    assert facts["logged"]["pretrained"] == known["logged"]["pretrained"] == 60
    assert facts["steps"] == known["steps"] == 40 and facts["updates"] == known["updates"] == 100
    one, two = (records_of(tmp_path / name)["action"][:10] for name in ("whole", "killed"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("share", "size"), [(0.5, 10), (0.3, 100), (1.0, 10), (0.0, 10)])
def test_the_share_falls_as_real_steps_come_in(logged, share, size):
    with learner_on(logged, experience_share=share) as learner:
        found = learner.trainer.logged
    assert found.share(0) == 1.0 and found.rows_of(size, 0) == size
    for steps in (1, 5, 30, 60, 600):
        expected = share * 60 / (60 + steps)
        assert found.share(steps) == pytest.approx(expected)
        assert found.rows_of(size, steps) == max(round(expected * size), size - steps)
    assert found.rows_of(size, 1) >= size - 1, "one real transition is not drawn many times over"


def test_minibatches_hold_the_logged_share(logged):
    with learner_on(logged) as learner:
        learner.learn(60)
        trainer = learner.trainer
        before = trainer.logged.rows_of(10, 60)
        rows = trainer._minibatches()
        real = {tuple(row) for row in trainer.replay.rows[:60].tolist()}
        others = {tuple(row) for row in trainer.logged.replay.rows.tolist()}
    assert rows.shape == (2, 10, 7) and before == 2
    for minibatch in rows.tolist():
        assert [tuple(row) in others for row in minibatch] == [True] * 2 + [False] * 8
        assert [tuple(row) in real for row in minibatch] == [False] * 2 + [True] * 8


def test_before_the_first_real_step_only_the_log_is_learnt_from(logged):
    with learner_on(logged, pretrain_updates=7) as learner:
        assert pretraining_left(learner.trainer) == 4, "in calls of updates_per_step, rounded up"
        learner.pretrain()
        assert (learner.trainer.updates, learner.steps, pretraining_left(learner.trainer)) == (4, 0, 0)
        assert learner.pretrain() is learner and learner.trainer.updates == 4


def test_there_is_no_warm_up_beside_a_log(logged):
    """The policy acts from the first step, with noise, and the first real step is learnt from."""
    with learner_on(logged, agent=rv.NAF(**SMALL | {"noise_scale": 0.0})) as learner:
        learner.pretrain()
        observation = np.array([0.5, -0.2], np.float32)
        np.testing.assert_array_equal(learner.ask(observation), learner.predict(observation))
        learner.tell(-1.0, observation, False)
        assert learner.trainer.updates == 61


@pytest.mark.parametrize(("share", "random"), [(0.5, 8), (0.2, 12), (1.0, 0)])
def test_where_an_actuator_hardly_moves_a_part_of_warm_up_stays(tmp_path, share, random):
    generator = np.random.default_rng(0)
    log = {
        "observations": (seen := generator.standard_normal((41, 3)))[:-1],
        "actions": np.stack([generator.uniform(-2, 2, 40), np.full(40, 0.2) + generator.uniform(0, 0.003, 40)], 1),
        "rewards": generator.standard_normal(40),
        "next_observations": seen[1:],
    }
    log |= {"terminated": np.zeros(40, bool), "truncated": np.zeros(40, bool)}
    np.savez(tmp_path / "log.npz", **log)
    named = {"spec": rv.EnvSpec(3, [-2.0, 0.1], [2.0, 0.3], "line7"), "experience_share": share}
    named["experience"] = tmp_path / "log.npz"
    with (
        pytest.warns(rv.ReverieWarning, match="action 1 hardly moves, so a part of warm-up stays"),
        pytest.warns(rv.ReverieWarning, match="actions move in a small part of their range: action 1"),
    ):
        made = rv.Learner(rv.NAF(**SMALL), out=tmp_path / "run", **named)
    with made as learner:
        assert learner.trainer.warmup_steps == random and not pretraining_left(learner.trainer)
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.trainer.warmup_steps == random
    with (
        pytest.warns(rv.ReverieWarning, match="hardly moves"),
        pytest.warns(rv.ReverieWarning, match="small part"),
        rv.Learner(rv.NAF(**SMALL), pretrain_updates=6, **named) as asked,
    ):
        assert pretraining_left(asked.trainer) == 3, "what is asked for is done"


def test_an_interrupt_in_pretraining_loses_nothing(logged, tmp_path, monkeypatch):
    """It waits for the update under way; the next call goes on there."""
    update, calls = Trainer.run_update, []

    def interrupted(self):
        update(self)
        calls.append(1)
        if len(calls) == 20:
            signal.raise_signal(signal.SIGINT)

    with learner_on(logged, tmp_path / "parts") as learner:
        monkeypatch.setattr(Trainer, "run_update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learner.pretrain()
        assert learner.trainer.updates == learner.trainer.logged.pretrained == 20
        learner.learn(40)
    monkeypatch.undo()
    with learner_on(logged, tmp_path / "whole") as learner:
        learner.learn(40)
    assert_equal(tmp_path / "whole", tmp_path / "parts")


def test_the_first_ask_learns_from_the_log_and_says_so(logged, capsys):
    spec = rv.EnvSpec(2, [-1.0], [1.0])
    with rv.Learner(rv.NAF(**SMALL), spec=spec, experience=logged) as learner:
        learner.ask([0.0, 0.0])
        assert learner.trainer.updates == 60
    assert "naf: learning from logged transitions, before the first step" in capsys.readouterr().err


def test_without_a_log_nothing_is_drawn_differently(tmp_path):
    with rv.Learner(rv.NAF(**SMALL), WORLD, seed=1, out=tmp_path / "run") as learner:
        learner.learn(40)
        generator = np.random.default_rng(0)
        generator.bit_generator.state = learner.trainer.sample_generator.bit_generator.state
        expected = learner.trainer.replay.rows[generator.integers(40, size=(2, 10))]
        np.testing.assert_array_equal(learner.trainer._minibatches(), expected)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "experience" not in config and "logged" not in state_of(tmp_path / "run")[1]
    assert "logged_share" not in RunDirectory(tmp_path / "run").metrics_file.read_text()
    assert not RunDirectory(tmp_path / "run").logged_file.exists()


def test_models_are_fitted_to_real_episodes_alone(logged):
    agent = rv.Imagination(rv.NAF(**SMALL), rv.LinearGaussian(episodes=2), rollout_length=2, until_episode=10)
    with learner_on(logged, agent=agent) as learner:
        learner.learn(20)
        assert learner.trainer.source.replay.fits == 0
        learner.learn(20)
        assert learner.trainer.source.replay.fits == 1


def test_values_that_logged_rewards_allow_are_no_problem(logged):
    with learner_on(logged) as learner:
        rewards = learner.trainer.logged.rewards
        assert learner.trainer.health.bounds.rewards == pytest.approx((min(0, rewards.min()), max(0, rewards.max())))


def test_metrics_say_the_share(tmp_path, logged):
    with learner_on(logged, tmp_path / "run") as learner:
        learner.learn(200)
    (row,) = RunDirectory(tmp_path / "run").metrics_file.read_text().splitlines()[1:]
    names = RunDirectory(tmp_path / "run").metrics_file.read_text().splitlines()[0].split(",")
    assert float(dict(zip(names, row.split(","), strict=True))["logged_share"]) == pytest.approx(0.5 * 60 / 260)


def make_narrow():
    from worlds import LinearWorld

    env = LinearWorld()
    env.action_space = gym.spaces.Box(-1, 0.5, (1,), np.float32)
    return env


def test_actions_are_converted_to_other_bounds(logged, tmp_path):
    """Those outside the new ones are left out and counted."""
    actions = records_of(logged)["action"][:, 0]
    inside = actions <= 0.5
    assert 0 < inside.sum() < 60
    with pytest.warns(rv.ReverieWarning, match=rf"{60 - inside.sum()} actions of 60 lie outside the bounds"):
        learner = rv.Learner(rv.NAF(**SMALL), make_narrow, out=tmp_path / "run", experience=logged)
    with learner:
        np.testing.assert_allclose(
            learner.trainer.logged.replay.rows[:, 2], (actions[inside] + 1) / 0.75 - 1, atol=1e-6
        )


def test_a_resumed_run_with_other_bounds_converts_its_log_too(logged, tmp_path):
    with learner_on(logged, tmp_path / "run") as learner:
        learner.learn(40)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with rv.Learner.load(tmp_path / "run", env=make_narrow, allow_new_bounds=True) as learner:
            left_out = 60 - len(learner.trainer.logged)
            assert left_out and learner.trainer.logged.pretrained == 60
    assert any(f"{left_out} logged transitions left out" in str(warning.message) for warning in said)


def cost(observation, action, after):
    return -abs(float(after[0]))


def test_rewards_are_computed_again_and_kept(logged, tmp_path):
    with learner_on(rv.Log(logged, reward=cost), tmp_path / "run") as learner:
        rewards = learner.trainer.logged.replay.rows[:, 3]
        np.testing.assert_allclose(rewards, -np.abs(records_of(logged)["next_observation"][:, 0]), rtol=1e-6)
        learner.learn(20)
    with rv.Learner.load(tmp_path / "run") as learner:
        np.testing.assert_array_equal(learner.trainer.logged.replay.rows[:, 3], rewards)
        assert learner.trainer.logged.settings.reward == "test_logged_experience:cost"


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"experience": 3}, "experience is 3; give FILE.csv"),
        ({"experience": ""}, "give FILE.csv"),
        ({"experience": "nowhere.csv"}, "there is no file nowhere.csv"),
        ({"experience": "nowhere"}, "nowhere is no log"),
        ({"experience_share": 1.5}, "experience_share is 1.5; it must lie in [0, 1]"),
        ({"experience_share": "half"}, "experience_share is 'half'"),
        ({"pretrain_updates": -1}, "pretrain_updates is -1"),
        ({"experience": None, "pretrain_updates": 5}, "pretrain_updates needs experience="),
        ({"config": rv.PPO(hidden=(4,))}, "an on-policy agent learns only from steps of its own policy"),
    ],
)
def test_wrong_arguments_get_one_sentence_and_leave_no_run(logged, tmp_path, monkeypatch, named, says):
    monkeypatch.chdir(tmp_path)
    named = {"config": rv.NAF(**SMALL), "experience": logged} | named
    with pytest.raises(rv.ReverieError) as caught:
        rv.Learner(named.pop("config"), WORLD, out=tmp_path / "run", **named)
    assert says in str(caught.value) and not (tmp_path / "run").exists()


def test_a_log_is_given_on_the_command_line(logged, tmp_path):
    done("export", logged, "-o", tmp_path / "log.csv")
    out = tmp_path / "run"
    words = ("train", "naf", WORLD, "--out", out, *WORDS)
    facts = one_object(*words, "--steps", "40", "--from", tmp_path / "log.csv", "--experience-share", "0.25")
    assert facts["steps"] == 40
    held = json.loads((out / "config.json").read_text())["experience"]
    expected = {"source": str(tmp_path / "log.csv"), "transitions": 60, "share": 0.25, "pretrain_updates": 120}
    assert held == expected | {"crc": held["crc"]}
    (tmp_path / "log.csv").unlink()
    resumed = (*words, "--resume", "--steps", "60")
    assert one_object(*resumed)["steps"] == 100
    assert one_object(*resumed, "--from", tmp_path / "log.csv")["steps"] == 160
    for other, says in (
        (("--from", "other.csv"), "--from other.csv"),
        (("--from", tmp_path / "log.csv", "--pretrain-updates", "3"), "--pretrain-updates 3"),
    ):
        said = refusal(*resumed, *other)
        assert says in said and "the run keeps its logged transitions: leave out --from" in said


def test_a_run_without_a_log_is_not_resumed_with_one(logged):
    said = refusal("train", "naf", WORLD, "--out", logged, *WORDS, "--resume", "--steps", "5", "--from", "log.csv")
    assert "holds a run with no --from, but the command has --from log.csv" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--experience-share", "0.3"), "--experience-share needs --from"),
        (("--reward", "worlds:cost"), "--reward needs --from"),
        (("--seeds", "2", "--reward", "worlds:cost"), "--reward is for one run"),
        (("--seeds", "2", "--from", "log.csv"), "--from is for one run"),
        (("--from", "log.csv"), "there is no file log.csv"),
        (("--from", "minari:none-v0"), "there is no Minari dataset none-v0"),
        (("--from", "."), "holds no run"),
    ],
)
def test_wrong_words_get_one_line(tmp_path, monkeypatch, words, says):
    if "minari:none-v0" in words:
        pytest.importorskip("h5py")
        pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.chdir(tmp_path)
    assert says in refusal("train", "naf", WORLD, "--steps", "20", *WORDS, *words)


def test_without_minari_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    assert "pip install 'reverie[minari]'" in refusal("check", "minari:x-v0")


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_a_damaged_copy_is_named(logged, tmp_path, damage):
    out = tmp_path / "run"
    with learner_on(logged, out) as learner:
        learner.learn(20)
    file = RunDirectory(out).logged_file
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    else:
        arrays, facts = checkpoint.read(file)
        checkpoint.save(file, arrays | {"rewards": arrays["rewards"] + 1}, facts)
    with pytest.raises(rv.StorageError) as caught:
        rv.Learner.load(out)
    assert "logged.safetensors" in str(caught.value) and "reverie recover" in str(caught.value)
    report = one_object("recover", out, "-o", tmp_path / "saved")
    assert any("logged.safetensors" in text for text in report["left_out"])
    with rv.Learner.load(tmp_path / "saved", env=WORLD) as learner:
        assert learner.steps == 20 and learner.trainer.logged is None
        learner.learn(20)


def test_recovery_keeps_a_good_copy(logged, tmp_path):
    with learner_on(logged, tmp_path / "run") as learner:
        learner.learn(20)
    report = one_object("recover", tmp_path / "run", "-o", tmp_path / "saved")
    assert report["left_out"] == []
    with rv.Learner.load(tmp_path / "saved") as learner:
        assert len(learner.trainer.logged) == 60 and learner.steps == 20


def test_an_edited_share_is_noticed(logged, tmp_path):
    out = tmp_path / "run"
    with learner_on(logged, out) as learner:
        learner.learn(20)
    text = (out / "config.json").read_text()
    (out / "config.json").write_text(re.sub('"share": 0.5', '"share": 0.9', text))
    with pytest.raises(rv.StorageError, match=r"was changed since .*share is 0\.9 and was 0\.5"):
        rv.Learner.load(out, env=WORLD)


def test_a_copy_of_a_run_goes_on_too(logged, tmp_path):
    with learner_on(logged, tmp_path / "run") as learner:
        learner.learn(20)
        learner.save(tmp_path / "copy")
    with rv.Learner.load(tmp_path / "copy") as learner:
        assert len(learner.trainer.logged) == 60


def test_no_update_means_no_pretraining(logged):
    with learner_on(logged, agent=rv.NAF(**SMALL | {"updates_per_step": 0})) as learner:
        learner.learn(20)
        assert learner.trainer.updates == 0


def test_a_log_with_notes_is_learnt_from_and_they_are_shown(logged, tmp_path):
    done("export", logged, "-o", tmp_path / "log.csv")
    lines = (tmp_path / "log.csv").read_text().splitlines()
    (tmp_path / "log.csv").write_text(
        "\n".join([f"{lines[0]},operator", *(f"{line},Ann" for line in lines[1:])]) + "\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        words = ("--out", tmp_path / "run", "--from", tmp_path / "log.csv")
        status, _, err = reverie("train", "naf", WORLD, "--steps", "20", *WORDS, *words)
    assert status == 0 and "columns that are not used: operator" in err


def test_the_buffer_draws_uniformly(logged):
    """Every logged transition is drawn about as often as the others."""
    with learner_on(logged) as learner:
        found: LoggedExperience = learner.trainer.logged
        rows = found.mixed(learner.trainer.replay, np.random.default_rng(0), 600, 10)
    _, counts = np.unique(rows.reshape(-1, 7), axis=0, return_counts=True)
    assert len(counts) == 60 and 60 < counts.min() and counts.max() < 140
