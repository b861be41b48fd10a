"""`reverie train auto ENV --budget N`: an agent is chosen, said, trained, and kept when the run is resumed."""

import json
import shlex

import pytest

import reverie as rv
import worlds
from commands import done, one_object, refusal, reverie
from reverie.cli import build_parser, run_sweep, run_train
from reverie.storage.run import RunDirectory

SMALL = ["--set", "hidden=8", "--set", "batch_size=4", "--quiet"]
AUTO = ["train", "auto", "Pendulum-v1", *SMALL]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a budget of 300 steps, and what the command printed on stderr."""
    out = tmp_path_factory.mktemp("auto") / "run"
    status, _, said = reverie(*AUTO, "--budget", "300", "--out", out)
    assert status == 0, said
    return out, said


def test_the_whole_budget_is_taken_by_the_agent_that_is_said(trained):
    out, said = trained
    found = RunDirectory(out).read_config().agent
    first, second, *_ = said.splitlines()
    assert first.startswith(f"auto: reverie train {found.name} Pendulum-v1 --steps 300") and "300 steps" in second
    assert "--set hidden=8" in first and "--set reward_scale=auto" in first
    chosen = rv.recommended("Pendulum-v1", 300)
    assert found.settings["warmup_steps"] == chosen.requirements.warmup_steps
    assert found.settings["hidden"] == [8] and found.settings["reward_scale"] == "auto"
    with rv.Learner.load(out) as learner:
        assert learner.steps == 300


def test_the_command_that_is_said_trains_the_same(trained, tmp_path):
    out, said = trained
    words = shlex.split(said.splitlines()[0].removeprefix("auto: reverie "))
    done(*words, "--quiet", "--out", tmp_path / "run")
    for file in ("metrics.csv", "config.json"):
        texts = [(folder / file).read_text() for folder in (out, tmp_path / "run")]
        if file == "config.json":
            texts = [json.loads(text)["agent"] for text in texts]
        assert texts[0] == texts[1]


def test_a_run_is_resumed_with_the_agent_that_it_has(trained):
    out, _ = trained
    before = RunDirectory(out).read_config().agent
    facts = one_object(*AUTO, "--steps", "20", "--out", out, "--resume")
    assert facts["steps"] == 320 and RunDirectory(out).read_config().agent == before


def test_a_budget_is_not_overspent_by_resuming(tmp_path):
    run = ["--out", tmp_path / "run", "--resume"]
    done(*AUTO, "--budget", "60", "--steps", "30", "--out", tmp_path / "run")
    assert "leaves 30 of --budget 60" in refusal(*AUTO, "--budget", "60", "--steps", "31", *run)
    assert one_object(*AUTO, "--budget", "60", "--set", "noise_scale=0.2", *run)["steps"] == 60
    assert "is finished at step 60" in refusal("train", "auto", "Pendulum-v1", "--budget", "60", *run)
    assert "leaves 0 of --budget 50" in refusal(*AUTO, "--budget", "50", *run)


def test_a_run_that_was_killed_before_its_first_step_takes_the_budget(tmp_path):
    def killed(*arguments):
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "write_call", killed)
        assert reverie(*AUTO, "--budget", "60", "--out", out)[0] != 0
    command = shlex.join(["reverie", *map(str, AUTO), "--budget", "60"])
    assert run_train._asked(command) == 60
    assert one_object(*AUTO, "--out", out, "--resume")["steps"] == 60


def test_imagination_is_not_changed_by_resuming(trained):
    out, _ = trained
    for words in (["--imagine", "linear"], ["--imagine", "linear", "--relearn"], ["--plan", "mpc"]):
        told = refusal("train", "auto", "Pendulum-v1", "--steps", "5", *words, "--out", out, "--resume")
        assert "but the command has" in told and "name" in told


def test_a_run_is_begun_only_where_its_steps_are_confirmed(tmp_path):
    none = ["--out", tmp_path / "none", "--resume"]
    assert "give --budget N" in refusal(*AUTO, "--steps", "20", *none)
    assert "holds no run to continue" in refusal(*AUTO, "--budget", "60", *none)
    assert "--resume needs --out" in refusal("train", "auto", "Pendulum-v1", "--resume")
    assert not (tmp_path / "none").exists()


def test_other_settings_are_tried_on_top(tmp_path):
    done(*AUTO, "--budget", "60", "--imagine", "linear", "--set", "learning_rate=0.01", "--out", tmp_path / "run")
    held = json.loads((tmp_path / "run" / "config.json").read_text())["agent"]
    assert held["settings"]["learning_rate"] == 0.01 and held["imagination"]["model"]["name"] == "linear"


def test_seeds_share_the_agent(tmp_path):
    evaluated = ["--evaluate-every", "30", "--evaluate-episodes", "1"]
    facts = one_object(*AUTO, "--budget", "60", "--seeds", "2", "--jobs", "1", "--out", tmp_path / "out", *evaluated)
    assert facts["done"] == 2


@pytest.mark.parametrize(("env", "budget", "name"), [("Pendulum-v1", "60", "naf"), ("Hopper-v5", "20000", "xqc")])
def test_a_sweep_changes_what_it_names_alone(env, budget, name, tmp_path):
    words = ["sweep", "auto", env, "--budget", budget, "--seeds", "1", "--out", tmp_path / "swept"]
    facts = one_object(*words, "--set", "learning_rate=0.1,0.2", "--dry-run")
    assert [run["settings"] for run in facts["runs"]] == [{"learning_rate": "0.1"}, {"learning_rate": "0.2"}]
    assert "the grid is empty" in refusal(*words, "--dry-run")
    options = build_parser().parse_args([str(word) for word in [*words, "--set", "learning_rate=0.1"]])
    cells = run_sweep._planned(options, "sweep", [[("learning_rate", "0.1")]]).cells
    assert cells[0].agent.name == name and cells[0].agent.settings["learning_rate"] == 0.1
    assert cells[0].command[2] == name and "--set" in cells[0].command


def test_an_environment_is_made_once(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(worlds, "make_linear", lambda: made.append(1) or worlds.LinearWorld(), raising=False)
    done(
        "train", "auto", "worlds:make_linear", "--budget", "60", "--set", "hidden=8", "--quiet", "--out", tmp_path / "a"
    )
    auto, made[:] = len(made), []
    done("train", "naf", "worlds:make_linear", "--steps", "60", "--set", "hidden=8", "--quiet", "--out", tmp_path / "b")
    assert auto == len(made)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["auto", "Pendulum-v1"], "give --budget N"),
        (["auto", "Pendulum-v1", "--budget", "30"], "response matrix"),
        (["auto", "Pendulum-v1", "--budget", "100", "--steps", "200"], "raise the budget"),
        (["naf", "Pendulum-v1", "--budget", "100"], "--budget is what `auto` chooses by"),
        (["Auto", "Pendulum-v1", "--steps", "100"], "called auto here"),
        (["auto", "Pendulum-v1", "--budget", "100", "--set", "noise_skale=1"], "did you mean"),
        (["auto", "Pendulum-v1", "--budget", "100", "--imagine", "lineer"], "did you mean 'linear'"),
        (["auto", "Pendulm-v1", "--budget", "100"], "did you mean 'Pendulum-v1'"),
    ],
)
def test_what_cannot_work_is_refused_and_begins_no_run(words, message, tmp_path):
    assert message in refusal("train", *words, "--out", tmp_path / "run").splitlines()[-1]
    assert not (tmp_path / "run").exists()
