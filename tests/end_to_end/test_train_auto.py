"""`reverie train auto ENV --budget N`: an agent is chosen, said, trained, and kept when the run is resumed."""

import json

import pytest

import reverie as rv
from commands import done, one_object, refusal, reverie
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
    assert first.startswith(f"auto: {found.name} --set ") and "300 steps" in second
    chosen = rv.recommended("Pendulum-v1", 300)
    assert found.settings["warmup_steps"] == chosen.requirements.warmup_steps
    assert found.settings["hidden"] == [8] and found.settings["reward_scale"] == "auto"
    with rv.Learner.load(out) as learner:
        assert learner.steps == 300


def test_a_run_is_resumed_with_the_agent_that_it_has(trained, tmp_path):
    out, _ = trained
    before = RunDirectory(out).read_config().agent
    facts = one_object(*AUTO, "--steps", "20", "--out", out, "--resume")
    assert facts["steps"] == 320 and RunDirectory(out).read_config().agent == before
    assert "give --budget N" in refusal(*AUTO, "--steps", "20", "--out", tmp_path / "none", "--resume")


def test_other_settings_are_tried_on_top(tmp_path):
    done(*AUTO, "--budget", "60", "--imagine", "linear", "--set", "learning_rate=0.01", "--out", tmp_path / "run")
    held = json.loads((tmp_path / "run" / "config.json").read_text())["agent"]
    assert held["settings"]["learning_rate"] == 0.01 and held["imagination"]["model"]["name"] == "linear"


def test_seeds_share_the_agent(tmp_path):
    evaluated = ["--evaluate-every", "30", "--evaluate-episodes", "1"]
    facts = one_object(*AUTO, "--budget", "60", "--seeds", "2", "--jobs", "1", "--out", tmp_path / "out", *evaluated)
    assert facts["done"] == 2
    swept = ["sweep", "auto", "Pendulum-v1", "--budget", "60", "--set", "noise_scale=0.1,0.2", "--dry-run"]
    assert one_object(*swept, "--seeds", "1", "--out", tmp_path / "swept")["cells"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "auto", "Pendulum-v1"], "give --budget N"),
        (["train", "auto", "Pendulum-v1", "--budget", "30"], "response matrix"),
        (["train", "auto", "Pendulum-v1", "--budget", "100", "--steps", "200"], "raise the budget"),
        (["train", "naf", "Pendulum-v1", "--budget", "100"], "--budget is what `auto` chooses by"),
        (["train", "auto", "Pendulum-v1", "--budget", "100", "--set", "noise_skale=1"], "did you mean"),
        (["train", "auto", "Pendulum-v1", "--budget", "100", "--imagine", "lineer"], "did you mean 'linear'"),
        (["train", "auto", "Pendulm-v1", "--budget", "100"], "did you mean 'Pendulum-v1'"),
    ],
)
def test_what_cannot_work_is_refused_and_begins_no_run(words, message, tmp_path):
    assert message in refusal(*words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
