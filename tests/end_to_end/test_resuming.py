"""Experience that was paid for is always usable: by other settings, another agent, in other bounds; and never by mistake."""

import json
import os
import shlex
import shutil

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.core.errors import ReverieWarning
from reverie.storage import journal, journal_format
from reverie.storage.run import RunDirectory
from reverie.storage.tables import read_rows
from reverie.training import agent_config
from reverie.training.saved_policy import SavedPolicy

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")  # of learning that diverges

SMALL = {"hidden": (8,), "warmup_steps": 5, "batch_size": 4, "updates_per_step": 1, "normalisation": "none"}
FAST = [word for name, value in SMALL.items() for word in ("--set", f"{name}={8 if name == 'hidden' else value}")]


class Scaled(gym.Env):
    """A point that is pushed; its actuator's bounds and what it shows are the test's to say."""

    def __init__(self, high=1 / 12, parts=None, start=None):
        self.action_space = gym.spaces.Box(-high, high, (2,), np.float64)
        if start is not None:
            self.action_space = gym.spaces.Discrete(3, start=start)
        parts = parts or {"position": 2, "speed": 1}
        self.observation_space = gym.spaces.Dict(
            {name: gym.spaces.Box(-9, 9, (n,), np.float64) for name, n in parts.items()}
        )

    def observe(self):
        spaces = self.observation_space.spaces
        return {name: self.np_random.normal(size=space.shape) for name, space in spaces.items()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return self.observe(), {}

    def step(self, action):
        self.left -= 1
        return self.observe(), float(np.sum(action)), False, self.left == 0, {}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A finished run of 40 steps."""
    out = tmp_path_factory.mktemp("begun") / "run"
    with rv.Learner(rv.NAF(**SMALL), "worlds:make_faulty", out=out) as learner:
        learner.learn(40)
    return out


@pytest.fixture
def run(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run", ignore=shutil.ignore_patterns(".lock"))
    return tmp_path / "run"


def config_of(run):
    return RunDirectory(run).read_config()


def policy_of(run):
    saved = SavedPolicy(run)
    return saved.step, saved.greedy(np.linspace(-1, 1, 3, dtype=np.float32)).tolist()


def fails(words, capsys):
    capsys.readouterr()
    assert main(words) == 2
    *noticed, told = capsys.readouterr().err.rstrip("\n").split("\n")
    assert told.startswith("reverie: ") and not any(line.startswith(("reverie: ", "Traceback")) for line in noticed)
    return told


@pytest.mark.parametrize("steps", ["30", "12"])
def test_a_diverged_run_goes_on_by_the_line_that_the_error_ends_with(tmp_path, capsys, steps):
    out = str(tmp_path / "run")
    words = [
        "train",
        "naf",
        "Pendulum-v1",
        "--steps",
        steps,
        "--quiet",
        *FAST,
        "--set",
        "learning_rate=1e30",
        "--out",
        out,
    ]
    told = fails(words, capsys)
    line = told[told.index("reverie train") :]
    assert line.endswith(f"--set learning_rate=0.0001 --out {out} --resume")
    kept = (tmp_path / "run" / "experience" / "journal.bin").read_bytes()
    assert line in fails([*words[:5], *FAST, "--resume", "--out", out], capsys), (
        "unchanged it diverges again, and says so"
    )
    assert main(shlex.split(line)[1:]) == 0
    assert (tmp_path / "run" / "experience" / "journal.bin").read_bytes().startswith(kept)
    rates = [chapter.agent.settings["learning_rate"] for chapter in config_of(out).history]
    assert rates == [1e30, 1e-4] and json.loads((tmp_path / "run" / "config.json").read_text())["history"]
    assert main(["evaluate", out, "--episodes", "1"]) == 0


def test_a_run_of_python_that_diverged_goes_on_too(tmp_path):
    with rv.Learner(rv.NAF(**SMALL | {"learning_rate": 1e30}), "Pendulum-v1", out=tmp_path / "run") as learner:
        with pytest.raises(rv.DivergedError) as caught:
            learner.learn(30)
        steps = learner.steps
    line = shlex.split(str(caught.value).rpartition(": ")[2])
    with pytest.raises(rv.DivergedError, match=r"--set learning_rate=0.0001 --out"):
        with rv.Learner.load(tmp_path / "run") as learner:
            learner.learn(10)
            steps = learner.steps
    assert main(line[1:]) == 0
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.config.learning_rate == 1e-4 and learner.steps >= steps
    with rv.Learner.load(
        tmp_path / "run", config=rv.NAF(**SMALL | {"learning_rate": 1e30})
    ) as learner:  # and once more
        with pytest.raises(rv.DivergedError):
            learner.learn(60)
    with rv.Learner.load(tmp_path / "run", config=rv.NAF(**SMALL), relearn=True) as learner:
        assert learner.steps >= steps
    assert [chapter.learnt_from == 0 for chapter in config_of(tmp_path / "run").history][-1]


def test_a_run_without_a_directory_says_no_line():
    with rv.Learner(rv.NAF(**SMALL | {"learning_rate": 1e30}), "Pendulum-v1") as learner:
        with pytest.raises(rv.DivergedError) as caught:
            learner.learn(30)
    assert "reverie train" not in str(caught.value)


GO_ON = {"learning_rate": 1e-4, "batch_size": 6, "updates_per_step": 2, "update_after": "episode", "warmup_steps": 50}
GO_ON |= {"replay_capacity": 30, "noise": "gaussian", "noise_scale": 0.1, "target_rate": 0.1}
AGAIN = {
    "discount": 0.5,
    "reward_scale": 2.0,
    "hidden": (9,),
    "observation_normalisation": True,
    "normalisation": "layer",
}
AGAIN |= {"normalisation ": "batch", "mean_bound": "clip", "trunk": "shared"}


@pytest.mark.parametrize("name", GO_ON)
def test_settings_of_how_learning_goes_on_just_change(run, name):
    before = policy_of(run)
    with rv.Learner.load(run, config=rv.NAF(**SMALL | {name: GO_ON[name]})) as learner:
        assert learner.steps == 40
        learner.save()
        assert policy_of(run) == before, "nothing is learnt again"
        learner.learn(10)
    config = config_of(run)
    assert [(c.step, c.learnt_from) for c in config.history] == [(0, 0), (40, 40)]
    with rv.Learner.load(run) as learner:
        assert getattr(learner.config, name) == GO_ON[name]


@pytest.mark.parametrize("name", AGAIN)
def test_settings_that_change_what_was_learnt_ask_for_a_word(run, name, capsys):
    value, name = AGAIN[name], name.strip()
    before = config_of(run)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
    words = ["train", "naf", "worlds:make_faulty", "--resume", "--set", f"{name}={text}", "--out", str(run)]
    if name == "mean_bound" and value not in ("tanh",):
        words[5] = "mean_bound=none" if main([*words, "--relearn"]) == 2 else words[5]
    if config_of(run) == before:
        told = fails(words, capsys)
        assert f"a change of {name} requires learning again from the start of the journal (40 steps)" in told
        assert config_of(run) == before
        line = told[told.index("reverie train") :]
        assert main(shlex.split(line)[1:]) == 0
    chapter = config_of(run).history[-1]
    assert (chapter.step, chapter.learnt_from) == (40, 0)
    aside = run / "checkpoint" / "before-relearn-1"
    assert (aside / "latest.safetensors").exists() and (aside / "metrics.csv").exists()
    assert main(["evaluate", str(run), "--episodes", "1"]) == 0


def test_atoms_of_other_values_ask_for_a_word_and_a_rarer_actor_does_not(tmp_path):
    """The probabilities that XQC has learnt would be those of other values."""
    config = rv.XQC(hidden=(8,), actor_hidden=(8,), atoms=11, warmup_steps=4, batch_size=4)
    with rv.Learner(config, "worlds:Line", out=tmp_path / "run") as learner:
        learner.learn(20)
    with pytest.raises(rv.ReverieError, match="a change of value_limit requires learning again from the start"):
        rv.Learner.load(tmp_path / "run", config=config.replace(value_limit=10.0))
    with rv.Learner.load(tmp_path / "run", config=config.replace(policy_delay=5)) as learner:
        assert learner.steps == 20


def test_learning_again_with_the_same_settings_learns_the_same(run):
    before = policy_of(run)
    episodes = (run / "episodes.csv").read_text()
    with rv.Learner.load(run, relearn=True) as learner:
        learner.save()
    assert policy_of(run) == before and (run / "episodes.csv").read_text() == episodes
    SavedPolicy(run / "checkpoint" / "before-relearn-1")
    with pytest.raises(
        rv.StorageError, match=r"there is no .*before-relearn-7: the run has before-relearn-1; give one"
    ):
        SavedPolicy(run / "checkpoint" / "before-relearn-7")


def test_a_change_that_there_never_was_is_named(run):
    with pytest.raises(
        rv.StorageError, match=r"there is no .*before-relearn-1: its journal was never learnt again; give "
    ):
        SavedPolicy(run / "checkpoint" / "before-relearn-1")


def test_another_agent_learns_from_the_same_journal(run, capsys):
    told = fails(["train", "ddpg", "worlds:make_faulty", "--resume", "--out", str(run)], capsys)
    assert "holds a run with agent 'naf', but the command has 'ddpg'" in told and told.endswith("with --relearn")
    words = ["train", "ddpg", "worlds:make_faulty", *FAST, "--resume", "--relearn", "--out", str(run)]
    assert main([*words, "--steps", "10", "--quiet"]) == 0
    with rv.Learner.load(run) as learner:
        assert learner.steps == 50 and isinstance(learner.config, rv.DDPG)
    small = {k: v for k, v in SMALL.items()}
    for agent in (rv.SAC(**small), rv.Imagination(rv.NAF(**small), rv.LinearGaussian(episodes=2)), rv.NAF(**small)):
        with rv.Learner.load(run, config=agent, relearn=True) as learner:
            learner.learn(2)
    assert len(config_of(run).history) == 5


def test_an_agent_that_cannot_learn_from_it_is_refused(run):
    with pytest.raises(rv.ConfigError, match="can learn only from steps of its own policy"):
        rv.Learner.load(run, config=rv.PPO(hidden=(8,)), relearn=True)
    with pytest.raises(rv.SpaceError):
        rv.Learner.load(run, config=rv.DQN(hidden=(8,)), relearn=True)
    assert config_of(run).history == []


def test_imagination_and_back_on_a_domain(tmp_path):
    plain = rv.NAF(**SMALL)
    dreaming = rv.Imagination(plain, rv.LinearGaussian(episodes=2))
    with rv.Learner(dreaming, "reacher", out=tmp_path / "run") as learner:
        learner.learn(20)
    with rv.Learner.load(tmp_path / "run", config=plain, relearn=True) as learner:
        learner.learn(10)  # the journal goes on keeping states
    with rv.Learner.load(tmp_path / "run", config=dreaming, relearn=True) as learner:
        assert learner.steps == 30
    with rv.Learner(plain, "reacher", out=tmp_path / "other") as learner:
        learner.learn(20)
    with pytest.raises(rv.ConfigError, match="has no physical states"):
        rv.Learner.load(tmp_path / "other", config=dreaming, relearn=True)


class Killed(BaseException):
    """As a kill at this moment would be."""


@pytest.mark.parametrize("at", range(8))
def test_a_crash_while_settings_change_leaves_old_or_new(run, at, monkeypatch):
    moves, replace, new = [], os.replace, rv.NAF(**SMALL | {"discount": 0.5})

    def replaced(*names):
        moves.append(names)
        if len(moves) == at + 1:
            raise Killed
        replace(*names)

    monkeypatch.setattr(os, "replace", replaced)
    try:
        with rv.Learner.load(run, config=new, relearn=True) as learner:
            learner.save()
    except Killed:
        pass
    monkeypatch.setattr(os, "replace", replace)
    config = config_of(run)
    if not config.history:
        assert at == 0 and policy_of(run)[0] == 40
        return
    with rv.Learner.load(run) as learner:
        assert learner.config == new and learner.steps == 40
        learner.save()
    found = policy_of(run)
    with rv.Learner.load(run, relearn=True) as learner:
        learner.save()
    assert policy_of(run) == found, "what was learnt by halves was no mix"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 7}, "seed is 7 and was 0"),
        ({"env": "Pendulum-v1"}, "env is 'Pendulum-v1' and was 'worlds:make_faulty'"),
        ({"agent.settings.learning_rate": 0.5}, "learning_rate is 0.5 and was 0.001"),
        ({"agent.settings.discount": 0.1}, "discount is 0.1 and was 0.99"),
        ({"agent.settings.batch_size": None}, "batch_size is missing and was "),
        ({"world.action_high": [2.0, 2.0]}, "action_high is [2.0, 2.0] and was [1.0, 1.0]"),
    ],
)
@pytest.mark.parametrize("checkpoint", [True, False])
@pytest.mark.parametrize("changed", [False, True])
def test_an_edited_config_is_named_and_not_learnt_on(run, change, sentence, checkpoint, changed, capsys):
    """Whether or not a checkpoint says what decided it, and after a change of settings too."""
    if changed:
        rv.Learner.load(run, config=rv.NAF(**SMALL | {"batch_size": 5})).close()
    if not checkpoint:
        shutil.rmtree(run / "checkpoint")
    config = json.loads((run / "config.json").read_text())
    for path, value in change.items():
        *folders, name = path.split(".")
        part = config
        for folder in folders:
            part = part[folder]
        if value is None:
            del part[name]
        else:
            part[name] = value
    (run / "config.json").write_text(json.dumps(config))
    loads = (lambda: rv.Learner.load(run, env="worlds:make_faulty"), lambda: SavedPolicy(run))
    for load in loads if checkpoint else loads[:1]:
        with pytest.raises(rv.StorageError) as caught:
            load()
        assert sentence in str(caught.value)
    assert sentence in fails(["train", "naf", "worlds:make_faulty", "--resume", "--out", str(run), "--trust"], capsys)


def test_a_run_of_the_version_before_is_taken_up(run):
    """Without layout, bounds, identity and signature."""
    config = json.loads((run / "config.json").read_text())
    for name in ("world", "signature"):
        config.pop(name, None)
    (run / "config.json").write_text(json.dumps(config))
    file = run / "experience" / "journal.bin"
    line, _, body = file.read_bytes().partition(b"\n")
    header = json.loads(line)
    del header["world"], header["begun"]
    file.write_bytes(json.dumps(header).encode() + b"\n" + body)
    with rv.Learner.load(run, env="worlds:make_faulty") as learner:
        assert learner.steps == 40
        learner.learn(5)


@pytest.fixture
def scaled(tmp_path):
    with rv.Learner(rv.NAF(**SMALL), Scaled(), out=tmp_path / "run") as learner:
        learner.learn(40)
    return tmp_path / "run"


@pytest.mark.parametrize("high", [1 / 20, 1 / 6])
def test_an_aborted_episode_stays_truncated_in_other_bounds(high, tmp_path):
    def abort(learner, event):
        if isinstance(event, rv.StepEnded) and event.step in (7, 25):
            learner.abort("beam lost")

    with rv.Learner(rv.NAF(**SMALL), Scaled(), out=tmp_path / "run") as learner:
        learner.learn(40, callbacks=[abort])
    before = journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]
    with (
        pytest.warns(ReverieWarning, match="steps converted"),
        rv.Learner.load(tmp_path / "run", env=lambda: Scaled(high), allow_new_bounds=True),
    ):
        after = journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]
        ends = [after["flags"][after["time"] == before["time"][step - 1]].tolist() for step in (7, 25)]
        inside = [bool((np.abs(before["action"][step - 1] / 12) <= high).all()) for step in (7, 25)]
        assert [[flag & journal.TRUNCATED for flag in end] for end in ends] == [
            [2] if there else [] for there in inside
        ]
        assert read_rows(tmp_path / "run" / "events.csv") == []
    assert len(read_rows(tmp_path / "run" / "checkpoint" / "before-relearn-1" / "events.csv")) == 2


def test_other_bounds_are_refused_and_named(scaled):
    for load in (
        lambda: rv.Learner.load(scaled, env=lambda: Scaled(1 / 20)),
        lambda: SavedPolicy(scaled).env(Scaled),
    ):
        with pytest.raises(rv.ConfigError, match="has other action bounds") as caught:
            load() if load.__code__.co_names[0] == "rv" else SavedPolicy(scaled).env(lambda: Scaled(1 / 20))
        told = str(caught.value)
        assert "action 0 was in [-0.0833333, 0.0833333] and is in [-0.05, 0.05] (and 1 more)" in told
        assert "--allow-new-bounds" in told
    assert SavedPolicy(scaled).env(lambda: Scaled(1 / 20), allow_new_bounds=True).spec.action_high == (0.05, 0.05)
    with rv.Learner.load(
        scaled, env=lambda: Scaled(float(np.float32(1 / 12)))
    ) as learner:  # the same, but for rounding
        assert learner.steps == 40


@pytest.mark.parametrize("high", [1 / 20, 1 / 6])
def test_a_journal_is_taken_over_into_other_bounds(scaled, high):
    _, before, _ = journal.read(scaled / "experience" / "journal.bin")
    with pytest.warns(ReverieWarning, match=r"steps converted to the new action bounds; \d+ left out"):
        learner = rv.Learner.load(scaled, env=lambda: Scaled(high), allow_new_bounds=True)
    inside = (np.abs(before["action"].astype(float) / 12) <= high * (1 + 1e-6)).all(-1)
    with learner:
        assert learner.steps == inside.sum() and (high < 1 / 12) == (not inside.all())
        _, after, _ = journal.read(scaled / "experience" / "journal.bin")
        np.testing.assert_allclose(after["action"] * high, before["action"][inside] / 12, atol=1e-6)
        np.testing.assert_array_equal(after["observation"], before["observation"][inside])
        learner.learn(5)
    aside = scaled / "checkpoint" / "before-relearn-1"
    np.testing.assert_array_equal(journal.read(aside / "journal.bin")[1], before)
    assert (
        config_of(scaled).world.action_high == [high, high]
        and config_of(scaled).history[0].world.action_high != [high] * 2
    )
    with rv.Learner.load(scaled, env=lambda: Scaled(high)) as learner:
        assert learner.steps == inside.sum() + 5


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"position": 2, "velocity": 1}, "has 'velocity' (Box [1]) instead of 'speed' (Box [1])"),
        ({"position": 1, "speed": 2}, "has 'position' (Box [1]) instead of 'position' (Box [2])"),
        ({"a": 1, "position": 1, "speed": 1}, "has 'a' (Box [1]) instead of 'position' (Box [2])"),
        ({"position": 2}, "lacks 'speed' (Box [1])"),
        ({"position": 2, "speed": 1, "temperature": 1}, "has 'temperature' (Box [1]) in addition"),
    ],
)
def test_another_layout_is_refused_and_named(scaled, parts, sentence):
    for allow in (False, True):
        with pytest.raises((rv.ConfigError, rv.StorageError)) as caught:
            rv.Learner.load(scaled, env=lambda: Scaled(parts=parts), allow_new_bounds=allow)
        assert sentence in str(caught.value)


@pytest.mark.parametrize("range_", [5, np.inf])
def test_other_bounds_of_a_sensor_are_told_and_go_on(scaled, range_):
    def made():
        world = Scaled()
        world.observation_space["speed"] = gym.spaces.Box(-range_, range_, (1,), np.float64)
        return world

    said = rf"sensor 2 \(speed\) was in \[-9, 9\] and is in \[-{range_}, {range_}\]; nothing is scaled by them"
    with pytest.warns(ReverieWarning, match=said), rv.Learner.load(scaled, env=made) as learner:
        assert learner.steps == 40


def test_discrete_actions_that_count_from_elsewhere_are_refused(tmp_path):
    with rv.Learner(rv.DQN(hidden=(8,)), Scaled(start=0), out=tmp_path / "run") as learner:
        learner.learn(20)
    with pytest.raises(rv.ConfigError, match="its first action is 2 instead of 0"):
        rv.Learner.load(tmp_path / "run", env=Scaled(start=2))


def test_a_finished_run_is_not_gone_on_with_unasked(run, capsys):
    words = ["train", "naf", "worlds:make_faulty", "--resume", "--out", str(run), "--quiet"]
    assert f"{run} is finished at step 40; give --steps M to learn M more" in fails(words, capsys)
    assert main([*words, "--steps", "5"]) == 0 and journal_format.records_in(run / "experience" / "journal.bin") == 45
    assert main([*words, "--relearn"]) == 0 and journal_format.records_in(run / "experience" / "journal.bin") == 45
    RunDirectory(run).call_file.write_text('{"start": 45, "steps": 3}')
    assert main(words) == 0 and journal_format.records_in(run / "experience" / "journal.bin") == 48


@pytest.mark.parametrize("flag", ["--relearn", "--allow-new-bounds", "--trust"])
def test_what_is_about_a_run_gone_on_with_wants_one(flag, tmp_path, capsys):
    words = ["train", "naf", "worlds:make_faulty", "--out", str(tmp_path / "run"), "--steps", "5", "--quiet", flag]
    assert f"{flag} needs --resume" in fails(words, capsys)
    assert not (tmp_path / "run").exists()


def test_a_mistyped_directory_costs_no_steps(tmp_path, capsys):
    words = ["train", "naf", "worlds:make_faulty", *FAST, "--resume", "--out", str(tmp_path / "typo"), "--quiet"]
    for more in ([], ["--relearn", "--steps", "5"]):
        assert "typo holds no run to continue; give the directory" in fails([*words, *more], capsys)
    assert not (tmp_path / "typo").exists()
    assert main([*words, "--steps", "5"]) == 0
    assert "typo holds no run yet: one of 5 steps starts there" in capsys.readouterr().err
    assert main([*words, "--set", "learning_rate=1e-4"]) == 0
    assert "no more steps were asked for: --steps M learns M more" in capsys.readouterr().err
    assert journal_format.records_in(tmp_path / "typo" / "experience" / "journal.bin") == 5


def test_the_line_of_a_refused_change_keeps_the_steps_that_were_asked_for(run, capsys):
    words = [
        "train",
        "naf",
        "worlds:make_faulty",
        "--resume",
        "--set",
        "discount=.5",
        "--steps",
        "7",
        "--out",
        str(run),
    ]
    told = fails([*words, "--quiet"], capsys)
    assert main(shlex.split(told[told.index("reverie train") :])[1:]) == 0
    assert journal_format.records_in(run / "experience" / "journal.bin") == 47


@pytest.mark.parametrize("imagined", [False, True])
def test_a_run_from_before_a_setting_was_written_down_goes_on_without_a_word(imagined, tmp_path, monkeypatch, recwarn):
    """Nothing that an older version wrote names `noise_theta` or `plan_search`: config.json, journal and checkpoint."""

    def as_once(algorithm):
        agent = written(algorithm)
        agent.settings.pop("noise_theta", None)  # what is wrapped in imagination comes by here twice
        if agent.imagination is not None:
            agent.imagination.settings.pop("plan_search")
        return agent

    agent, written = rv.NAF(**SMALL), agent_config.written
    agent = rv.Imagination(agent, rv.LinearGaussian(episodes=2)) if imagined else agent
    with monkeypatch.context() as before:
        before.setattr(agent_config, "written", as_once)
        with rv.Learner(agent, "worlds:make_faulty", out=tmp_path / "run") as learner:
            learner.learn(20)
    held = (tmp_path / "run" / "config.json").read_bytes()
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.learn(10).steps == 30
    with rv.Learner.load(tmp_path / "run", config=agent) as learner:
        assert learner.learn(10).steps == 40
    SavedPolicy(tmp_path / "run")
    assert (tmp_path / "run" / "config.json").read_bytes() == held and not recwarn.list
    if not imagined:
        with rv.Learner.load(tmp_path / "run", config=rv.NAF(**SMALL, noise_theta=0.3)) as learner:
            assert learner.learn(10).steps == 50
        assert [chapter.step for chapter in config_of(tmp_path / "run").history] == [0, 40]
