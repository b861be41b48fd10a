"""Ctrl-C and SIGTERM from the first instruction on: status 130, one line that says what is saved, nothing by halves."""

import contextlib
import io
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.environments import blocking_calls
from reverie.storage import journal
from reverie.training.deferred_interrupts import deferred_interrupts

DEADLINE = 300  # seconds, against hanging
SMALL = ["--evaluate-every", "0", "--quiet"]
for setting in ("hidden=8", "batch_size=4", "warmup_steps=4", "updates_per_step=1"):
    SMALL += ["--set", setting]
WORLD = """
import os, signal, sys, time
import gymnasium as gym
import numpy as np

STAGE, SIGNAL, THEN = os.environ["STAGE"], int(os.environ["SIGNAL"]), os.environ.get("THEN", "")


def reached(stage):
    if stage == STAGE:
        os.environ["STAGE"] = globals()["STAGE"] = ""  # once
        os.kill(os.getpid(), SIGNAL)
        while THEN == "hang":
            time.sleep(600)
        while THEN == "spin":
            pass
        if THEN == "fail":
            raise RuntimeError("the robot's link is down")


class World(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = gym.spaces.Box(-9, 9, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        reached("make")
        self.render_mode, self.steps, self.resets = render_mode, 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets, self.left = self.resets + 1, 10
        reached("reset" if self.resets == 1 else f"reset {self.resets}")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps, self.left = self.steps + 1, self.left - 1
        reached(f"step {self.steps}")
        return self.np_random.normal(size=2).astype(np.float32), 1.0, False, self.left == 0, {}

    def render(self):
        reached("render")
        return np.zeros((16, 16, 3), np.uint8)


class Grid(World):
    observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

    def reset(self, **given):
        super().reset(**given)
        return 0, {}

    def step(self, action):
        super().step(action)
        return int(self.np_random.integers(3)), 1.0, False, self.left == 0, {}


reached("import")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the world that signals, beside which reverie runs."""
    (tmp_path / "signalling.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blocking_calls, "PATIENCE", 0.05)
    for calls in (blocking_calls.MAKE, blocking_calls.RESET, blocking_calls.STEP, blocking_calls.RENDER):
        calls.longest = 0.0
    return tmp_path


@pytest.fixture
def run(here, monkeypatch):
    """A finished run of 25 steps on that world."""
    assert reverie("", signal.SIGTERM, monkeypatch, "train", "naf", "signalling:World", *SMALL, "--steps", "25")[0] == 0
    return here / "runs" / "signalling-world-naf-0"


def reverie(stage, number, monkeypatch, *words, then=""):
    """Return status, stdout and stderr of a command in this process, which gets a signal at a stage."""
    for name, value in (("STAGE", stage), ("SIGNAL", str(int(number))), ("THEN", then)):
        monkeypatch.setenv(name, value)
    sys.modules.pop("signalling", None)
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "path", [*sys.path])
        status = main([str(word) for word in words])
    sys.modules.pop("signalling", None)
    return status, out.getvalue(), err.getvalue()


def resumes(run, line, monkeypatch, steps):
    """The line that was printed finishes what was asked for."""
    command, *words = shlex.split(line)
    assert command == "reverie" and words[-1] == "--resume"
    assert reverie("", signal.SIGTERM, monkeypatch, *words, "--quiet")[0] == 0
    assert journal.read(run / "experience" / "journal.bin")[1]["step"].tolist() == list(range(1, steps + 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("stage", ["import", "make"])
def test_before_anything_is_begun_nothing_is_left(here, monkeypatch, stage, number):
    words = ["train", "naf", "signalling:World", *SMALL, "--steps", "30", "--out", "run"]
    status, out, err = reverie(stage, number, monkeypatch, *words)
    assert (status, out, err) == (130, "", "reverie: interrupted; nothing was begun\n")
    assert not (here / "run").exists()


@pytest.mark.parametrize("then", ["", "hang", "spin", "fail"])
@pytest.mark.parametrize("stage", ["reset", "step 1", "step 5", "step 20", "reset 3"])
def test_while_learning_all_is_saved_also_where_the_world_hangs_or_fails(here, monkeypatch, stage, then):
    words = ["train", "naf", "signalling:World", *SMALL, "--steps", "30", "--out", "run"]
    status, out, err = reverie(stage, signal.SIGINT, monkeypatch, *words, then=then)
    message, line = err.splitlines()
    kept = len(journal.read(here / "run" / "experience" / "journal.bin")[1])
    assert (status, out) == (130, "") and message.startswith(f"interrupted at step {kept}")
    assert message.endswith("everything is saved. To continue:")
    resumes(here / "run", line, monkeypatch, 30)


def test_while_a_run_is_taken_up_it_stays_as_it_was(run, monkeypatch):
    (run / "checkpoint" / "latest.safetensors").unlink()  # so that all is learnt again
    before = (run / "experience" / "journal.bin").read_bytes()
    words = ["train", "naf", "signalling:World", *SMALL, "--steps", "5", "--out", run, "--resume"]
    status, out, err = reverie("make", signal.SIGTERM, monkeypatch, *words)
    message, line = err.splitlines()
    assert (status, out, message) == (130, "", "interrupted while the run was resumed; it is unchanged. To continue:")
    assert (run / "experience" / "journal.bin").read_bytes() == before
    resumes(run, line, monkeypatch, 30)


def test_an_evaluation_within_training_ends_and_its_returns_are_said(here, monkeypatch):
    words = ["train", "naf", "signalling:World", *SMALL, "--steps", "40", "--out", "run", "--evaluate-every", "30"]
    monkeypatch.setattr(rv.Evaluate, "__call__", _signalling(rv.Evaluate.__call__))
    status, _, err = reverie("evaluation", signal.SIGINT, monkeypatch, *words)
    message = err.splitlines()[0]
    assert status == 130
    assert message == ("interrupted at step 30, after 0 of 5 greedy episodes; everything is saved. To continue:")
    resumes(here / "run", err.splitlines()[1], monkeypatch, 40)


def _signalling(call):
    def wrapped(self, learner, event):
        if isinstance(event, rv.StepEnded) and event.step == 30:
            signal.raise_signal(signal.SIGINT)
        return call(self, learner, event)

    return wrapped


@pytest.mark.parametrize("then", ["", "hang"])
@pytest.mark.parametrize(
    ("words", "stage", "sentence"),
    [
        (["evaluate", "RUN", "--episodes", "4"], "step 25", "after 2 of 4 greedy episodes (returns 10 10); an evalu"),
        (["video", "RUN", "-o", "film.gif"], "step 5", "no film was written to film.gif"),
        (["video", "RUN", "-o", "film.gif"], "render", "no film was written to film.gif"),
        (["check", "signalling:World"], "step 30", "a check saves nothing"),
        (["check", "signalling:World"], "reset 2", "a check saves nothing"),
        (["solve", "signalling:Grid", "--method", "q-learning"], "step 30", "nothing is saved by solving"),
        (["solve", "signalling:Grid", "--method", "dyna-q"], "reset 2", "nothing is saved by solving"),
    ],
)
def test_other_verbs_end_too_and_leave_nothing_by_halves(run, here, monkeypatch, words, stage, sentence, then):
    words = [run if word == "RUN" else word for word in words]
    before = sorted(here.iterdir())
    status, _, err = reverie(stage, signal.SIGTERM, monkeypatch, *words, then=then)
    (line,) = err.splitlines()
    assert status == 130 and line.startswith("reverie: interrupted") and sentence in line
    assert sorted(here.iterdir()) == before


def test_an_interrupt_while_planning_ends_the_command(here, monkeypatch):
    from reverie.planning import policies

    solve = policies._solve
    monkeypatch.setattr(policies, "_solve", lambda *given: (signal.raise_signal(signal.SIGINT), solve(*given))[1])
    status, _, err = reverie("", signal.SIGINT, monkeypatch, "plan", "cartpole", "--method", "ilqg", "--json")
    assert status == 130 and err == "reverie: interrupted; a plan is not saved\n"


def test_handlers_are_given_back(here, monkeypatch):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGURG)]
    reverie("make", signal.SIGINT, monkeypatch, "train", "naf", "signalling:World", *SMALL)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGURG)] == before
    assert reverie("", signal.SIGINT, monkeypatch, "check", "signalling:World")[0] == 0  # and what came is forgotten


def test_in_a_program_of_ones_own_the_first_stops_and_the_second_raises():
    stops = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts(lambda: stops.append(1)):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # within a tenth of a second: `timeout` and others send it twice
        assert stops == [1]
    with pytest.raises(KeyboardInterrupt), deferred_interrupts(lambda: stops.append(2)):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.15)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the second did not raise")
    assert stops == [1, 2]


# ---- processes of their own


def start(here, stage, *words, then="", number=signal.SIGINT):
    environment = os.environ | {"STAGE": stage, "SIGNAL": str(int(number)), "THEN": then}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "reverie", *map(str, words)], cwd=here, env=environment, **pipes)


def hears(process):
    """Return whether SIGTERM is caught: whether the first of our own lines has run."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


needs_proc = pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="needs /proc")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_from_the_first_line_on_signals_are_heard(here, number):
    process = start(here, "", "train", "naf", "Pendulum-v1", "--quiet", "--out", "run")
    while not hears(process):
        time.sleep(0.001)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (130, "", "reverie: interrupted; nothing was begun\n")
    assert not (here / "run").exists()


def test_a_second_signal_ends_a_process_that_nothing_else_ends(here):
    words = ["train", "naf", "signalling:World", *SMALL, "--steps", "30", "--out", "run"]
    text = WORLD.replace("time.sleep(600)", "sleep(600)")
    text += (
        "\ndef sleep(seconds):\n"
        "    print('here', flush=True)\n"
        "    try:\n        time.sleep(seconds)\n"
        "    except KeyboardInterrupt:\n        pass\n"
    )  # that swallows the exception
    (here / "signalling.py").write_text(text)
    process = start(here, "step 7", *words, then="hang")
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=DEADLINE)
    message, line = err.splitlines()
    assert process.returncode == 130 and message.startswith("interrupted at step 6, at once; ") and "--resume" in line


VERBS = [
    ["train", "naf", "Pendulum-v1", "--steps", "100000", "--quiet", "--out", "OUT"],
    ["train", "sac", "InvertedPendulum-v5", "--steps", "100000", "--out", "OUT", "--evaluate-every", "500"],
    ["train", "naf", "reacher", "--steps", "100000", "--imagine", "linear", "--quiet", "--out", "OUT"],
    ["evaluate", "RUN", "--episodes", "100000"],
    ["video", "RUN", "-o", "OUT.gif"],
    ["plan", "cartpole", "--method", "ilqg"],
    ["solve", "Taxi-v4", "--method", "q-learning", "--episodes", "1000000"],
    ["bench", "update", "--rounds", "100000"],
    ["check", "reacher", "--steps", "1000000"],
    ["reproduce", "table1", "--domains", "cartpole", "--variants", "naf", "--seeds", "1", "--out", "OUT"],
]


@needs_proc
@pytest.mark.slow
def test_at_forty_random_moments_from_the_start_of_the_process(tmp_path):
    finished = tmp_path / "finished"
    with rv.Learner(rv.NAF(hidden=(8,)), "Pendulum-v1", out=finished) as learner:
        learner.learn(30)
    generator, wrong = np.random.default_rng(19), []
    for i in range(40):
        words = [
            {"OUT": f"out{i}", "RUN": "finished", "OUT.gif": f"out{i}.gif"}.get(w, w) for w in VERBS[i % len(VERBS)]
        ]
        number = (signal.SIGINT, signal.SIGTERM)[i // 2 % 2]
        found = _interrupted_at(start(tmp_path, "", *words), float(generator.uniform(0, 10)), number)
        if found is not None and not _fine(tmp_path / f"out{i}", *found):
            wrong.append((i, words, number, found))
    assert not wrong


def _interrupted_at(process, seconds, number):
    """Return (status, stderr) after a signal; None where there was nothing left to interrupt."""
    began = time.monotonic()
    while not hears(process):  # what the interpreter does before our first line is not ours
        time.sleep(0.001)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, seconds - (time.monotonic() - began)))
        process.communicate()
        return None
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE)
    return process.returncode, err


def _fine(out, status, err):
    lines = [line for line in err.splitlines() if "interrupted" in line]
    if status != 130 or len(lines) != 1 or "Traceback" in err:
        return False
    if "To continue:" in lines[0]:
        assert err.splitlines()[-1].endswith("--resume")
        with rv.Learner.load(out) as learner:  # it is whole
            return f"at step {learner.steps}" in lines[0]
    return "continues from there" in lines[0] or not out.exists()
