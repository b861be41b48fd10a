"""Killed at any moment, a run goes on, and nothing that was acknowledged is missing, changed or doubled."""

import os
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import reverie as rv
from reverie.storage import checkpoint, journal
from reverie.storage.tables import read_rows

STEPS = 2000
FAST = ("hidden=16,16", "updates_per_step=1", "batch_size=16", "warmup_steps=50", "normalisation=none")
IN_TURNS = ("hidden=16,16", "rollout=32", "worlds=3", "batch_size=32")


def train(name, settings, steps=STEPS):
    """Return the words of a short run."""
    words = ["train", name, "Pendulum-v1", "--steps", str(steps), "--evaluate-every", "0", "--quiet"]
    return words + [word for setting in settings for word in ("--set", setting)]


TRAIN = train("naf", FAST)
DEADLINE = 120  # seconds, far beyond what any of this takes

# A program of one's own: the next observation follows from this one and the action alone, and every told step is printed.
ASK_AND_TELL = """
import sys
import numpy as np
import reverie as rv
from reverie.storage.journal_format import read

out, steps = sys.argv[1], int(sys.argv[2])
try:
    learner = rv.Learner.load(out)
    records = read(learner.out / "experience" / "journal.bin")[1]
    observation = records["next_observation"][-1] if len(records) else np.ones(3, np.float32)
except rv.StorageError:
    config = rv.NAF(hidden=(16,), batch_size=8, warmup_steps=20, updates_per_step=1)
    learner = rv.Learner(config, spec=rv.EnvSpec(3, [-2.0], [1.0]), out=out, seed=3)
    observation = np.ones(3, np.float32)
while learner.steps < steps:
    action = learner.ask(observation)
    observation = np.float32(np.roll(0.9 * observation, 1) + [0.1, float(action[0]) / 3, 0.0])
    step = learner.steps + 1
    learner.tell(-float(observation[0]) ** 2, observation, step % 17 == 0, step % 29 == 0)
    print(step, flush=True)
learner.save()
"""


@pytest.fixture(autouse=True)
def compiled_apart(tmp_path, monkeypatch):
    """A killed process may tear what it had compiled: keep that from other tests."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))


def start(*words, **options):
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def records_of(run):
    return journal.read(run / "experience" / "journal.bin")[1]


def wait_for_steps(process, run, count):
    """Return once the journal holds `count` steps more than now, or the process has ended."""
    file = run / "experience" / "journal.bin"
    size = journal.record_dtype(3, 1).itemsize
    began = file.stat().st_size if file.exists() else 0
    until = time.monotonic() + DEADLINE
    while process.poll() is None and (not file.exists() or file.stat().st_size < began + count * size):
        assert time.monotonic() < until, "no steps were taken"
        time.sleep(0.002)


def killed_and_resumed(run, kills, generator, words, steps=STEPS):
    """Train with `kills` SIGKILLs at random moments, then to the end; check the journal after each."""
    words = [*words, "--out", str(run), "--resume"]
    seen = np.empty(0, journal.record_dtype(3, 1))
    for left in range(kills, 0, -1):
        process = start("-m", "reverie", *words)
        if left % 4 == 0:  # perhaps while it starts, or learns again from the journal
            time.sleep(generator.uniform(0.3, 2.5))
        else:
            wait_for_steps(process, run, generator.integers(1, (steps - len(seen)) // (left + 1)))
            time.sleep(generator.uniform(0, 0.05))  # anywhere within a step, an update or a checkpoint
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed: {errors}"
        now = records_of(run) if (run / "experience" / "journal.bin").exists() else seen
        assert now[: len(seen)].tobytes() == seen.tobytes()
        assert now["step"].tolist() == list(range(1, len(now) + 1))
        seen = now
    process = start("-m", "reverie", *words)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    now = records_of(run)
    assert len(now) == steps and now[: len(seen)].tobytes() == seen.tobytes()
    rows = read_rows(run / "episodes.csv")
    assert len({row["episode"] for row in rows}) == len(rows) >= steps // 200 - 3  # open ones have no row
    for row in rows:
        rewards = now["reward"][now["episode"] == int(row["episode"])]
        assert float(row["return"]) == pytest.approx(rewards.sum()) and int(row["length"]) == len(rewards)
    with rv.Learner.load(run) as learner:
        replay = learner.trainer.replay
        assert learner.steps == replay.added == steps and len(replay) == min(steps, len(replay.rows))
    return len(seen)


# PPO takes its steps ten times as fast: with fewer, a call may be over before the signal comes, and the next one adds to it.
@pytest.mark.parametrize(("name", "settings", "steps"), [("naf", FAST, STEPS), ("ppo", IN_TURNS, 20 * STEPS)])
def test_a_run_killed_again_and_again_ends_learning_with_every_step(name, settings, steps, tmp_path):
    words = train(name, settings, steps)
    assert killed_and_resumed(tmp_path / "run", 3, np.random.default_rng(1), words, steps) > 0


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    words = train("naf", FAST, 20_000)
    assert killed_and_resumed(tmp_path / "run", 20, np.random.default_rng(2), words, 20_000) > 0


def told_steps_survive(folder, kills, steps, generator):
    """Kill an ask-and-tell program at random; what it was told is on disk, and it ends as if never killed."""
    script, broken, whole = folder / "program.py", folder / "broken", folder / "whole"
    script.write_text(ASK_AND_TELL)
    for _ in range(kills):
        process = start(str(script), str(broken), str(steps))
        printed = []
        for _ in range(generator.integers(1, steps // (kills + 1))):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed.append(int(line))
        time.sleep(generator.uniform(0, 0.01))
        process.kill()
        rest = process.stdout.read()  # `communicate` would lose what `readline` holds back of lines that came together
        process.communicate()
        printed += [int(line) for line in rest.splitlines()]
        assert printed == list(range(printed[0], printed[-1] + 1))
        held = len(records_of(broken))
        assert (
            printed[-1] <= held <= printed[-1] + 1
        )  # the one under way may be there: it was written, not yet told back
    for run in (broken, whole):
        process = start(str(script), str(run), str(steps))
        _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, errors
    one, other = records_of(broken), records_of(whole)
    for name in one.dtype.names:
        if name not in ("time", "crc"):
            assert one[name].tobytes() == other[name].tobytes(), name
    arrays = [checkpoint.read(run / "checkpoint" / "latest.safetensors")[0] for run in (broken, whole)]
    assert arrays[0].keys() == arrays[1].keys()
    for name in arrays[0]:
        assert arrays[0][name].tobytes() == arrays[1][name].tobytes(), name


def test_what_was_told_survives_kills_and_the_run_ends_as_if_never_killed(tmp_path):
    told_steps_survive(tmp_path, 3, 300, np.random.default_rng(3))


@pytest.mark.slow
def test_what_was_told_survives_a_hundred_kills(tmp_path):
    told_steps_survive(tmp_path, 100, 5000, np.random.default_rng(4))


@pytest.mark.skipif(not hasattr(os, "kill"), reason="needs signals")
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_saves_and_prints_the_line_that_resumes(tmp_path, signal_name):
    process = start("-m", "reverie", *TRAIN, "--out", "run", cwd=tmp_path)
    wait_for_steps(process, tmp_path / "run", 300)
    process.send_signal(getattr(signal, signal_name))
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    message, line = errors.strip().splitlines()
    done = len(records_of(tmp_path / "run"))
    assert message == f"interrupted at step {done}; everything is saved. To continue:" and 250 <= done < STEPS
    words = shlex.split(line)
    assert words[0] == "reverie" and words[-1] == "--resume"
    facts = checkpoint.read(tmp_path / "run" / "checkpoint" / "latest.safetensors")[1]
    assert facts["steps"] == done
    process = start("-m", *words, "--quiet", cwd=tmp_path)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    assert len(records_of(tmp_path / "run")) == STEPS
