"""An environment that does not answer within --hang-after ends the command: books closed, status 2, one line."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

import reverie as rv
from commands import done, refusal
from reverie.environments.blocking_calls import CALLS_UNDER_WAY
from reverie.storage import journal
from worlds import Line

DEADLINE = 300  # seconds, against hanging
LIMIT = 0.7  # seconds
WORLD = '''
import contextlib, ctypes, os, signal, socket, threading, time
import gymnasium as gym
import numpy as np

STAGE, THEN = os.environ.get("STAGE"), os.environ.get("THEN")


def sleep():
    time.sleep(600)


def spin():
    while True:
        pass


def wait_for_socket():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    client.recv(1)


def lock():
    held = threading.Lock()
    held.acquire()
    held.acquire()


def wrap():
    try:
        time.sleep(600)
    except BaseException as error:
        raise RuntimeError("the robot's link is down") from error


def swallow():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(600)


def in_c():
    """A call that no signal ends, as in many drivers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ctypes.CDLL(None).sleep(600)


def late():
    try:
        time.sleep(600)
    except BaseException:
        pass  # and answers after all


class World(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = gym.spaces.Box(-9, 9, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.steps, self.left = 0, 0

    def _reached(self, stage):
        global STAGE
        if stage == STAGE:
            if THEN == "late":
                STAGE = None
            globals()[THEN]()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        if self.steps >= 20:
            self._reached("reset")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps, self.left = self.steps + 1, self.left - 1
        if self.steps == 25:
            self._reached("step")
        return np.zeros(2, np.float32), 1.0 + self.steps, False, self.left == 0, {}

    def render(self):
        self._reached("render")
        return np.zeros((16, 16, 3), np.uint8)

    def close(self):
        self._reached("close")
        if STAGE == "step" and THEN == "sleep" and self.steps >= 25:
            time.sleep(600)
'''
SMALL = ["--evaluate-every", "0", "--quiet", "--set", "hidden=8", "--set", "warmup_steps=100"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mute.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(stage, then, *words):
    """Return status, output and lines on stderr of a command whose environment hangs at a stage."""
    known = {"STAGE": stage, "THEN": then}
    words = [sys.executable, "-m", "reverie", *map(str, words)]
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=DEADLINE, env=os.environ | known)
    return ended.returncode, ended.stdout, ended.stderr.splitlines()


def train(stage, then, *more):
    words = ["train", "naf", "mute:World", *SMALL, "--steps", "40", "--out", "run", "--hang-after", LIMIT]
    return run(stage, then, *words, *more)


def steps_in(folder):
    return len(journal.read(folder / "run" / "experience" / "journal.bin")[1])


def goes_on():
    """The run is continued to its end."""
    status, out, lines = train("", "", "--resume", "--json")
    assert status == 0 and json.loads(out)["steps"] == 40, lines


def in_slow_tests(*names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("then", ["sleep", "spin", "wait_for_socket", *in_slow_tests("lock", "wrap")])
def test_a_step_that_hangs_is_cut_and_the_run_goes_on_with_resume(here, then):
    status, out, lines = train("step", then)
    assert (status, out) == (2, "")
    (line,) = lines
    assert line.startswith("reverie: mute:World did not answer in step 25 within 0.7 s (hang_after); everything before")
    assert steps_in(here) == 24 and (here / "run" / "checkpoint" / "latest.safetensors").exists()
    if then == "sleep":
        goes_on()


@pytest.mark.parametrize("then", ["in_c", *in_slow_tests("swallow")])
def test_what_cannot_be_cut_ends_the_process(here, then):
    began = time.monotonic()
    status, out, lines = train("step", then)
    assert (status, out, len(lines)) == (2, "", 1), lines
    assert "mute:World did not answer in step within 0.7 s (hang_after), and cannot be interrupted" in lines[0]
    assert lines[0].endswith("journal.bin has every step") and time.monotonic() - began < DEADLINE / 2
    assert steps_in(here) == 24
    goes_on()


def test_a_reset_that_hangs_is_cut(here):
    status, out, (line,) = train("reset", "sleep")
    assert (status, out, steps_in(here)) == (2, "", 20)
    assert line.startswith("reverie: mute:World did not answer in reset within 0.7 s (hang_after)")


def test_a_close_that_hangs_is_cut_too(here):
    status, _, (line,) = train("close", "sleep")
    assert (status, steps_in(here)) == (2, 40) and "did not answer in close within 0.7 s" in line


def test_an_answer_that_comes_late_after_all_counts(here):
    status, out, lines = train("step", "late", "--json")
    assert (status, json.loads(out)["steps"], lines) == (0, 40, [])


def test_evaluate_check_and_video_are_cut(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    words = ["train", "naf", "mute:World", *SMALL, "--steps", "40", "--out", "run"]
    done(*words)
    limit = ["--hang-after", LIMIT]
    for stage, words in (
        ("step", ["evaluate", "run", *limit]),
        ("render", ["video", "run", "-o", "film.gif", *limit]),
    ):
        status, out, (line,) = run(stage, "sleep", *words)
        assert (status, out) == (2, "") and line.startswith("reverie: mute:World did not answer in"), line
    assert not (here / "film.gif").exists()
    status, out, (line,) = run("step", "spin", "check", "mute:World", *limit)
    assert status == 2 and "did not answer in step 25 within 0.7 s" in out and "is not fit to learn on" in line


def test_without_the_option_a_slow_world_is_waited_for(here, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert CALLS_UNDER_WAY.hanging(time.monotonic()) < 0
    with rv.Learner(rv.NAF(hidden=(8,)), Line()) as learner:
        learner.learn(3)


def test_a_learner_says_where_it_cannot_cut(tmp_path):
    said = []

    def learn():
        with rv.Learner(rv.NAF(hidden=(8,)), Line(), hang_after=5.0) as learner:
            try:
                learner.learn(3)
            except rv.ConfigError as error:
                said.append(str(error))

    thread = threading.Thread(target=learn)
    thread.start()
    thread.join()
    assert len(said) == 1 and "hang_after works in the main thread" in said[0]


class Slow(Line):
    def step(self, action):
        if self.__dict__.setdefault("count", 0) == 4:
            time.sleep(600)
        self.count += 1
        return super().step(action)


def test_a_program_gets_an_error_and_can_go_on(tmp_path):
    env = Slow()
    with rv.Learner(rv.NAF(hidden=(8,)), env, out=tmp_path / "run", hang_after=0.3) as learner:
        with pytest.raises(rv.WorldError, match=r"did not answer in step 5 within 0\.3 s \(hang_after\)"):
            learner.learn(10)
        assert learner.steps == 4
        env.count = 5
        learner.learn(6)
        assert learner.steps == 10
    assert CALLS_UNDER_WAY.hanging(time.monotonic() + 1e6) < 0


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "1", True])
def test_wrong_limits_are_refused(value):
    with pytest.raises(rv.ConfigError, match="hang_after is"):
        rv.Learner(rv.NAF(), Line(), hang_after=value)


def test_wrong_options_are_refused(here):
    for text in ("0", "-1", "nan", "inf", "soon"):
        assert "--hang-after" in refusal("check", "Pendulum-v1", "--hang-after", text)
    words = ["train", "naf", "Pendulum-v1", "--seeds", "2", "--hang-after", "5"]
    assert "--hang-after is for one run" in refusal(*words)
