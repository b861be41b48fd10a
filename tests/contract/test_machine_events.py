"""What a run notices about its machine is in events.csv, the same for a run in parts, or killed and continued, as in one."""

import signal
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.report.progress import Progress
from reverie.storage.tables import read_rows
from reverie.training.callbacks import Noticed

SMALL = {"hidden": (8,), "batch_size": 8, "warmup_steps": 10_000}
ROLLED = {"hidden": (8,), "rollout": 32, "worlds": 3, "batch_size": 32}


class Sick(gym.Env):
    """From step 207 on one sensor stands still; the reward is always the same."""

    def __init__(self, first=0):
        self.observation_space = gym.spaces.Box(-9, 9, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.steps, self.left = first, 0

    def _observe(self):
        t = self.steps
        return np.array([np.sin(1.3 * min(t, 207)), np.cos(0.7 * t)], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 20
        return self._observe(), {}

    def step(self, action):
        self.steps, self.left = self.steps + 1, self.left - 1
        return self._observe(), 0.5, False, self.left == 0, {}


CASES = {"naf": rv.NAF(**SMALL), "ppo": rv.PPO(**ROLLED)}


def learnt(out, name, *parts):
    """Return the text of events.csv of a run in parts, each with a world that continues where the run stands."""
    done, worlds = 0, 3 if name == "ppo" else 1
    for steps in parts:

        def make(first=done // worlds):
            return Sick(first)

        with rv.Learner.load(out, make) if done else rv.Learner(CASES[name], make, out=out) as learner:
            learner.learn(steps)
        done += steps
    return (out / "events.csv").read_text()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cut", [240, 480, 660])  # whole episodes, but not whole blocks of steps between checks
def test_a_run_in_parts_notices_what_a_run_in_one_does(name, cut, tmp_path):
    whole = learnt(tmp_path / "whole", name, 960)
    assert learnt(tmp_path / "parts", name, cut, 960 - cut) == whole
    told = [row["kind"] for row in read_rows(tmp_path / "whole" / "events.csv")]
    assert sorted(told) == ["constant reward", "constant sensor"]


PROGRAM = """
import os, signal, sys
import numpy as np
import reverie as rv

out, save_at, kill_at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def read(step):
    return np.array([np.sin(1.3 * min(step, 207)), np.cos(0.7 * step)], np.float32)


if os.path.exists(out):
    learner = rv.Learner.load(out)
else:
    config = rv.NAF(hidden=(8,), batch_size=8, warmup_steps=10_000)
    learner = rv.Learner(config, spec=rv.EnvSpec(2, [-1.0], [1.0]), out=out)
while learner.steps < 600:
    step = learner.steps + 1
    learner.ask(read(step - 1))
    learner.tell(0.5, read(step), False, step % 20 == 0)
    if step == save_at:
        learner.save()
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
learner.close()
"""


@pytest.mark.parametrize(("save_at", "kill_at"), [(130, 290), (300, 333), (0, 310)])
def test_a_killed_run_notices_what_one_that_was_not_killed_does(save_at, kill_at, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)

    def run(out, *at):
        words = [sys.executable, str(script), str(tmp_path / out), *map(str, at)]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=300)

    assert run("killed", save_at, kill_at).returncode == -signal.SIGKILL
    for out in ("killed", "whole"):
        done = run(out, 0, 0)
        assert done.returncode == 0, done.stderr
    killed, whole = ((tmp_path / out / "events.csv").read_text() for out in ("killed", "whole"))
    assert killed == whole and "constant reward" in whole and "constant sensor" in whole


def test_callbacks_and_the_progress_line_are_told(tmp_path, capsys):
    heard = []

    def note(learner, event):
        if isinstance(event, Noticed):
            heard.append(event)

    with rv.Learner(rv.NAF(**SMALL), Sick(), out=tmp_path / "run") as learner:
        learner.learn(320, callbacks=[note, Progress()])
    rows = read_rows(tmp_path / "run" / "events.csv")
    assert [(str(e.step), str(e.episode), e.kind, e.text) for e in heard] == [tuple(row.values()) for row in rows]
    (first, second) = heard
    assert (first.kind, first.step) == ("constant sensor", 300) and (second.kind, second.step) == (
        "constant reward",
        300,
    )
    assert f"step 300: {first.text}" in capsys.readouterr().err


def test_a_program_that_asks_and_tells_is_warned_once(tmp_path):
    with rv.Learner(rv.NAF(**SMALL), spec=rv.EnvSpec(1, [-1.0], [1.0], name="beam"), out=tmp_path / "run") as learner:

        def tell(steps):
            for _ in range(steps):
                learner.ask([float(learner.steps)])
                learner.tell(0.5, [learner.steps + 1.0], False, learner.steps % 10 == 9)

        tell(299)
        with pytest.warns(rv.ReverieWarning, match=r"beam, step 300: the reward has been 0\.5") as said:
            tell(1)
        assert len(said) == 1 and said[0].filename == __file__
        tell(200)
    assert [row["kind"] for row in read_rows(tmp_path / "run" / "events.csv")] == ["constant reward"]


def test_an_actuator_that_does_otherwise_than_asked_is_named_also_after_a_break(tmp_path):
    names = {"observation_names": ("bpm_4_x",), "observation_units": ("mm",)}
    names |= {"action_names": ("quad_QF3",), "action_units": ("A",)}
    spec = rv.EnvSpec(1, [-10.0], [10.0], name="beam", **names)

    def tell(learner, steps):
        for _ in range(steps):
            (asked,) = learner.ask([float(learner.steps)])
            executed = [0.5 * float(asked)]
            learner.tell(float(learner.steps), [learner.steps + 1.0], False, learner.steps % 10 == 9, action=executed)

    with rv.Learner(rv.NAF(**SMALL), spec=spec, out=tmp_path / "run") as learner:
        tell(learner, 77)
    with rv.Learner.load(tmp_path / "run") as learner:
        with pytest.warns(rv.ReverieWarning, match=r"step 100: actuator 0 \(quad_QF3, A\) was executed otherwise"):
            tell(learner, 23)
        tell(learner, 100)
    (row,) = read_rows(tmp_path / "run" / "events.csv")
    assert (row["step"], row["kind"]) == ("100", "executed differs")
