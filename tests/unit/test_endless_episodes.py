"""Worlds whose episodes never end are waited for no longer than documented, and that is said."""

import contextlib
import io
import json
import sys

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.core.errors import ReverieWarning
from reverie.environments.env_factory import make_env
from reverie.training import evaluation
from worlds import Probe

SMALL = {"hidden": (8,), "batch_size": 4, "warmup_steps": 4, "updates_per_step": 1}


class Endless(Probe):
    """Never ends; or after `length` steps of its first life, by a time-out."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, length=0, truncates=True, render_mode=None):
        super().__init__(length, truncates=truncates)

    def render(self):
        return np.zeros((16, 16, 3), np.uint8)


def make(render_mode=None):
    return Endless()


@pytest.fixture(autouse=True)
def sooner(monkeypatch):
    monkeypatch.setattr(evaluation, "LONGEST", 50)
    monkeypatch.setitem(sys.modules, "endless", sys.modules[__name__])


def facts_of(*words):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*map(str, words), "--json"]) == 0
    return json.loads(out.getvalue())


def test_evaluate_train_and_video_cut_and_say_so(tmp_path):
    run = tmp_path / "run"
    small = ["--set", "hidden=8", "--set", "batch_size=4", "--set", "warmup_steps=4", "--quiet"]
    words = ["train", "naf", "endless:make", "--steps", "30", "--out", run, "--evaluate-every", "20", *small]
    assert facts_of(*words, "--evaluate-episodes", "3")["evaluation_episodes_cut"] == 3
    facts = facts_of("evaluate", run, "--episodes", "2")
    assert (facts["cut"], facts["cut_at"], facts["returns"]) == (2, 50, [50.0, 50.0])
    filmed = facts_of("video", run, "-o", tmp_path / "film.gif", "--seconds", "0.1")
    assert (filmed["cut"], filmed["cut_at"]) == (True, 50)


def test_a_learner_cuts_and_says_so(tmp_path):
    with rv.Learner(rv.NAF(**SMALL), Endless(), evaluation_env=Endless()) as learner:
        facts = learner.evaluate(2)
    assert (facts["cut"], facts["cut_at"]) == (2, 50)


def test_check_ends_after_its_steps_and_says_so(capsys):
    assert main(["check", "endless:make", "--steps", "70", "--json"]) == 2
    facts = json.loads(capsys.readouterr().out)
    assert facts["cut_at"] == 70 and facts["episodes"] == 0
    (said,) = [finding["text"] for finding in facts["findings"] if finding["topic"] == "endings"]
    assert said.startswith("no episode ended in 70 steps and there is no time limit")
    assert facts_of("check", "Pendulum-v1", "--steps", "250")["cut_at"] is None


@pytest.mark.parametrize(
    ("truncated", "lengths", "limit"),
    [
        (True, [7, 20, 3], 20),
        (False, [7, 20, 3], 50),
        (False, [70], 70),
        (True, [70], 70),
        (False, [], 50),
    ],
)
def test_the_limit_is_what_training_met(truncated, lengths, limit):
    assert evaluation.limit_for(make_env(Endless()), lengths, truncated) == limit


def test_a_limit_that_the_world_names_is_never_cut_short():
    limited = make_env(gym.wrappers.TimeLimit(Endless(), 80))
    found = evaluation.evaluate(lambda o: np.zeros(1), limited, 2, 0, evaluation.limit_for(limited, [20], True))
    assert (found.returns, found.cut) == ([80.0, 80.0], 0)


def test_waiting_for_episodes_that_do_not_end_is_said_once():
    with (
        rv.Learner(rv.NAF(**SMALL), Endless()) as learner,
        pytest.warns(ReverieWarning, match="waits for ends") as said,
    ):
        learner.learn(episodes=1, callbacks=[lambda learner, event: learner.steps >= 120])
    assert len([w for w in said if "waits" in str(w.message)]) == 1
