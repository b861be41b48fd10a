"""A run that comes from elsewhere imports nothing before its user has agreed; one's own is known by its signature."""

import dataclasses
import json
import os
import shutil
import stat
import sys

import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.core.dynamics import FitResult
from reverie.core.errors import StorageError
from reverie.core.status import Status
from reverie.storage import key
from reverie.storage.run import RunDirectory

SMALL = {"hidden": (8,), "warmup_steps": 5, "batch_size": 4, "updates_per_step": 1}


@dataclasses.dataclass(frozen=True)
class Mine:
    """An agent of the user's own: NAF with a setting of another name, and a tuple that JSON makes a list."""

    rate: float = 1e-3
    layers: tuple[int, ...] = (8,)
    name = "mine"

    def build(self, spec):
        return rv.NAF(**SMALL | {"learning_rate": self.rate, "hidden": self.layers}).build(spec)


@dataclasses.dataclass(frozen=True)
class Ours(rv.NAF):
    """A subclass, which has NAF's name."""


@dataclasses.dataclass(frozen=True)
class Still:
    """Dynamics of the user's own: nothing moves."""

    scatter: float
    horizon = None

    def mean(self, x, u, t):
        return x

    def sample(self, x, u, t, generator):
        return x + self.scatter * generator.standard_normal(x.shape)

    def linearize(self, states, actions):
        raise NotImplementedError

    def arrays(self):
        return {"scatter": np.array(self.scatter)}


@dataclasses.dataclass(frozen=True)
class StillModel:
    """A model of the user's own, with a setting that is text."""

    episodes: int = 1
    scatter: float = 0.1
    kind: str = "still"
    name = "still"

    def fit(self, batch, history, previous, seed):
        return FitResult(Still(self.scatter), Status.DONE)

    def restore(self, arrays):
        return Still(float(arrays["scatter"]))

    def replace(self, **changes):
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Forgetful:
    """Nearly a model."""

    episodes: int = 1
    name = "forgetful"
    fit, replace = StillModel.fit, StillModel.replace


@dataclasses.dataclass(frozen=True)
class Endless:
    """Nearly a model, too."""

    name = "endless"
    fit, replace, restore = StillModel.fit, StillModel.replace, StillModel.restore


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "reverie"


@pytest.fixture
def run(tmp_path, state):
    with rv.Learner(rv.NAF(**SMALL), "worlds:make_faulty", out=tmp_path / "run") as learner:
        learner.learn(12)
    return tmp_path / "run"


def edit(run, **changes):
    file = run / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps(config))


VERBS = {
    "evaluate": lambda run: ["evaluate", str(run), "--episodes", "1"],
    "video": lambda run: ["video", str(run), "-o", str(run / "film.gif")],
}
PLANTED = {
    "env": {"env": "planted:go"},
    "a registered env": {"env": "planted:Thing-v0"},
    "agent": {"agent": {"name": "planted:go", "settings": {}}},
    "noise": {"agent": {"name": "naf", "settings": {"noise": "planted:go"}}},
    "model": {
        "agent": {
            "name": "naf",
            "settings": {},
            "imagination": {"model": {"name": "planted:go", "settings": {}}, "settings": {}},
        }
    },
}


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("signature", [None, "", "0" * 64, "\u00e9"])
def test_nothing_that_a_foreign_config_names_is_imported(run, what, signature, tmp_path, monkeypatch, capsys):
    (tmp_path / "planted.py").write_text("raise SystemExit('planted code ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    edit(run, signature=signature, **PLANTED[what])
    for words in VERBS.values():
        assert main(words(run)) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "'planted:" in told
        assert ("was not written by you on this machine" in told and "--trust" in told) or "was changed since" in told
    with pytest.raises(StorageError, match="was not written by you on this machine"):
        rv.Learner.load(run)
    assert "planted" not in sys.modules
    with pytest.raises((StorageError, rv.ConfigError), match="planted code ran"):
        rv.Learner.load(run, trust=True)


@pytest.mark.parametrize("what", ["agent", "noise", "model"])
def test_auto_does_not_name_what_it_takes_from_a_foreign_config(run, what, tmp_path, monkeypatch, capsys):
    (tmp_path / "planted.py").write_text("raise SystemExit('planted code ran')")
    monkeypatch.chdir(tmp_path)
    edit(run, signature="0" * 64, **PLANTED[what])
    assert main(["train", "auto", "worlds:make_faulty", "--resume", "--steps", "5", "--out", str(run)]) == 2
    told = capsys.readouterr().err
    assert "planted" not in sys.modules and told.count("\n") == 1
    assert "'planted:" in told or "was changed since the run was begun" in told


def test_ones_own_run_needs_no_word_and_its_copy_neither(run, tmp_path):
    with rv.Learner.load(run) as learner:
        learner.save(tmp_path / "copy")
    for folder in (run, tmp_path / "copy"):
        assert main(["evaluate", str(folder), "--episodes", "1"]) == 0


@pytest.mark.parametrize(
    "change", [{"seed": 7}, {"command": "rm"}, {"env": "worlds:make_linear"}, {"tensorboard": True}]
)
def test_a_signature_holds_for_the_whole_config(run, change):
    edit(run, **change)
    with pytest.raises(StorageError, match="was not written by you on this machine"):
        rv.Learner.load(run)


def test_a_copied_signature_does_not_hold_for_code_that_lies_elsewhere(tmp_path, monkeypatch, capsys):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder in (mine, theirs):
        folder.mkdir()
    (mine / "beam_of_mine.py").write_text("from worlds import LinearWorld as make")
    (theirs / "beam_of_mine.py").write_text("raise SystemExit('their code ran')")
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    monkeypatch.chdir(mine)
    small = [
        word
        for name, value in SMALL.items()
        for word in ("--set", f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
    ]
    assert main(["train", "naf", "beam_of_mine:make", "--steps", "8", "--out", "run", "--quiet", *small]) == 0
    shutil.copytree(mine / "run", theirs / "run")
    assert main(["evaluate", "run", "--episodes", "1"]) == 0
    sys.modules.pop("beam_of_mine")
    sys.path[:] = [part for part in sys.path if part != str(mine)]
    monkeypatch.chdir(theirs)
    capsys.readouterr()
    assert main(["evaluate", "run", "--episodes", "1"]) == 2
    told = capsys.readouterr().err
    assert "was not written by you on this machine for the code that is here" in told and "their code" not in told
    assert "beam_of_mine" not in sys.modules


def test_another_users_key_does_not_open_it(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert main(["evaluate", str(run)]) == 2
    assert not (tmp_path / "another").exists(), "reading makes no key"
    assert main(["evaluate", str(run), "--episodes", "1", "--trust"]) == 0
    assert main(["evaluate", str(run), "--episodes", "1", "--env", "worlds:make_faulty"]) == 0
    with rv.Learner.load(run, env="worlds:make_faulty") as learner:
        assert learner.steps == 12
    with rv.Learner.load(run, trust=True) as learner:
        assert learner.steps == 12


def test_a_run_of_plain_names_needs_no_key(tmp_path, state):
    with rv.Learner(rv.NAF(**SMALL), "Pendulum-v1", out=tmp_path / "run") as learner:
        learner.learn(8)
    assert not state.exists() and RunDirectory(tmp_path / "run").read_config().signature is None
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "1"]) == 0


def test_the_key_is_the_users_alone_and_kept(run, state):
    assert stat.S_IMODE((state / "key").stat().st_mode) == 0o600 and len(list(state.iterdir())) == 1
    assert key.own_key() == key.own_key() == (state / "key").read_bytes() and len(key.own_key() or b"") == 32


def spoiled(file, how):
    data = file.read_bytes()
    file.unlink()
    if how == "short":
        file.write_bytes(data[:10])
    if how == "open to others":
        file.write_bytes(data)
        file.chmod(0o644)
    if how == "a link":
        file.with_name("target").write_bytes(data)
        file.with_name("target").chmod(0o600)
        file.symlink_to("target")
    if how == "a pipe":
        os.mkfifo(file, 0o600)
    if how == "a folder":
        file.mkdir()


@pytest.mark.parametrize("how", ["short", "open to others", "a link", "a pipe", "a folder"])
def test_a_key_that_others_may_know_is_none(run, state, how, tmp_path):
    spoiled(state / "key", how)
    assert key.own_key() is None
    with pytest.raises(StorageError, match="was not written by you on this machine"):
        rv.Learner.load(run)
    with rv.Learner(rv.NAF(**SMALL), "worlds:make_faulty", out=tmp_path / "another") as learner:
        learner.learn(8)  # learning goes on: its run counts as foreign


@pytest.mark.parametrize("place", ["/dev/null", "/proc", "", "relative"])
def test_without_a_place_for_the_key_there_is_none(monkeypatch, place):
    monkeypatch.setenv("XDG_STATE_HOME", place)
    monkeypatch.setenv("HOME", "/dev/null")
    assert key.own_key() is None


@pytest.mark.parametrize("agent", [Mine(2e-3, (6,)), Ours(**SMALL)])
def test_an_agent_of_ones_own_is_taken_up_again(agent, tmp_path, state):
    with rv.Learner(agent, "Pendulum-v1", out=tmp_path / "run") as learner:
        learner.learn(20)
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.config == agent and type(learner.config) is type(agent)
        learner.learn(5)
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "1"]) == 0


def test_an_agent_of_ones_own_on_the_command_line(tmp_path, state, capsys):
    words = ["train", "test_trust:Mine", "Pendulum-v1", "--set", "rate=2e-3", "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*words, "--steps", "10"]) == 0
    assert main([*words, "--steps", "10", "--resume"]) == 0
    assert RunDirectory(tmp_path / "run").read_config().agent.name == "test_trust:Mine"
    for name, sentence in {
        "test_trust:Nobody": "unknown name in module test_trust 'Nobody'",
        "test_trust:SMALL": "agent 'test_trust:SMALL' is not a dataclass of settings",
        "dataclasses:Field": "agent 'dataclasses:Field' is not a dataclass of settings",
        "nafs": "unknown agent 'nafs'; did you mean 'naf'?",
    }.items():
        capsys.readouterr()
        assert main(["train", name, "Pendulum-v1", "--out", str(tmp_path / "other")]) == 2
        assert sentence in capsys.readouterr().err


SMALL_WORDS = ["--set", "hidden=8", *(w for name in list(SMALL)[1:] for w in ("--set", f"{name}={SMALL[name]}"))]


def test_a_model_of_ones_own_on_the_command_line(tmp_path, state, monkeypatch, capsys):
    words = ["train", "naf", "worlds:LinearWorld", "--imagine", "test_trust:StillModel", *SMALL_WORDS, "--quiet"]
    words += ["--set", "model.scatter=0.5", "--set", "kind=stiller", "--out", str(tmp_path / "run")]
    assert main([*words, "--steps", "60"]) == 0
    held = RunDirectory(tmp_path / "run").read_config().agent
    assert held.imagination is not None and held.imagination.model.name == "test_trust:StillModel"
    assert held.imagination.model.settings == {"episodes": 1, "scatter": 0.5, "kind": "stiller"}
    assert main([*words, "--steps", "10", "--resume"]) == 0
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.config.model == StillModel(scatter=0.5, kind="stiller")
        assert learner.learn(5).steps == 75
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "1"]) == 2
    assert "would import model 'test_trust:StillModel'" in capsys.readouterr().err
    assert main([*words, "--steps", "5", "--resume"]) == 0, "the command names agent, model and environment"
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "1", "--trust"]) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("linaer", "unknown model 'linaer'; did you mean 'linear'?"),
        ("xyz", "--imagine takes off, linear, neural, exact or recent, or package.module:Class"),
        ("test_trust:Nobody", "unknown name in module test_trust 'Nobody'"),
        ("test_trust:SMALL", "model 'test_trust:SMALL' is not a dataclass of settings"),
        ("test_trust:Mine", "model test_trust:Mine has no `episodes`; see docs/how-to/model.md"),
        ("test_trust:Endless", "model test_trust:Endless has no `episodes`; see docs/how-to/model.md"),
        (
            "test_trust:Forgetful",
            "model test_trust:Forgetful has no method `restore(arrays)`; see docs/how-to/model.md",
        ),
    ],
)
def test_what_is_no_model_gets_one_line(name, said, tmp_path, capsys):
    assert main(["train", "naf", "Pendulum-v1", "--imagine", name, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not (tmp_path / "run").exists()


QUIET = """
import dataclasses
import numpy as np
from reverie.maths.exploration import Process

@dataclasses.dataclass(frozen=True)
class Quiet:
    scale: float = 0.1

    def process(self):
        return Process(lambda m: np.zeros((2, m), np.float32), lambda memory, noise: (self.scale * noise, memory))
"""


@pytest.fixture
def quiet(tmp_path, state, monkeypatch):
    """A run whose noise is a class of the user's own, of a module that is found and not imported."""
    (tmp_path / "quiet_noise.py").write_text(QUIET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    words = ["train", "naf", "Pendulum-v1", *SMALL_WORDS, "--quiet", "--out", "run"]
    assert main([*words, "--set", "noise=quiet_noise:Quiet", "--steps", "8"]) == 0
    yield words
    sys.modules.pop("quiet_noise", None)


def test_a_noise_of_ones_own_is_taken_up_again(quiet, tmp_path):
    assert RunDirectory(tmp_path / "run").read_config().agent.settings["noise"] == "quiet_noise:Quiet"
    sys.modules.pop("quiet_noise")
    assert main([*quiet, "--steps", "5", "--resume"]) == 0
    sys.modules.pop("quiet_noise")
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.learn(5).steps == 18
        assert type(learner.config.exploration).__name__ == "Quiet" and len(learner.trainer.memory) == 2
    assert main(["evaluate", "run", "--episodes", "1"]) == 0


def test_a_foreign_runs_noise_is_not_imported_before_its_user_agrees(quiet, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    sys.modules.pop("quiet_noise")
    resumed = [*quiet, "--steps", "5", "--resume"]
    for words in (resumed, [*resumed, "--set", "noise=ou"], ["evaluate", "run", "--episodes", "1"]):
        capsys.readouterr()
        assert main(words) == 2
        assert "would import noise 'quiet_noise:Quiet'" in capsys.readouterr().err
    for config in (None, rv.NAF(**SMALL)):
        with pytest.raises(StorageError, match="would import noise 'quiet_noise:Quiet'"):
            rv.Learner.load(tmp_path / "run", config=config)
    assert "quiet_noise" not in sys.modules
    assert main([*resumed, "--set", "noise=quiet_noise:Quiet"]) == 0, "the command names it"
    assert main([*resumed, "--trust"]) == 0


@pytest.mark.parametrize("name", ["mine", "__main__:Mine", "test_trust:made.<locals>.Mine"])
def test_an_agent_that_nobody_finds_is_said_to_be_one_of_ones_own(tmp_path, state, name):
    with rv.Learner(Mine(), "Pendulum-v1", out=tmp_path / "run") as learner:
        learner.learn(8)
    edit(tmp_path / "run", agent={"name": name, "settings": {}})
    with pytest.raises(StorageError, match=r"config=YourClass|give (it|the object itself) again") as caught:
        rv.Learner.load(tmp_path / "run", trust=True)
    assert "\n" not in str(caught.value)


def test_settings_that_cannot_be_written_down_are_refused_before_the_run_begins(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Odd:
        what: object = object()
        name = "odd"
        build = Mine.build
        rate: float = 1e-3
        layers: tuple[int, ...] = (8,)

    for agent in (Odd(), Odd(what=float("nan"))):
        with pytest.raises(rv.ConfigError, match="cannot be written to config"):
            rv.Learner(agent, "Pendulum-v1", out=tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
