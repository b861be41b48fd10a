"""Collectors as real processes: what they take is learnt from once, whoever dies, hangs, stops or fails."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import reverie as rv
from collected import logged, records_of, require_consistent, require_each_once, steps_by_process
from commands import refusal
from logged_env import PROCESS
from reverie.collecting import local_collectors
from reverie.collecting import supervisor as supervising
from reverie.core.errors import ConfigError, WorldError
from reverie.storage import journal_format
from reverie.storage.episodes import are_mixed
from reverie.storage.experience import ENDS, source_of
from reverie.storage.tables import read_rows

SMALL = {"hidden": (16,), "batch_size": 16, "warmup_steps": 50, "updates_per_step": 2}
SUPPORT = str(Path(__file__).parents[1] / "support")
DEADLINE = 120  # seconds, far beyond what any of this takes


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    """The environments' own log."""
    monkeypatch.setenv("LOGGED_ENV", str(tmp_path / "log"))
    return tmp_path / "log"


def learner_of(env, out=None, **settings):
    return rv.Learner(rv.NAF(**SMALL | settings), f"logged_env:{env}", out=out)


def test_four_collectors_take_exactly_the_steps_that_were_asked_for(tmp_path, log):
    with learner_of("LoggedEnv", tmp_path / "run") as learner:
        learner.learn(500, collectors=4)
        assert learner.steps == 500
        assert learner.trainer.updates == 450  # calls of the compiled update: one after each step beyond warm-up
        assert learner.trainer.minibatches == 900  # updates_per_step each
        learner.learn(60, collectors=2).learn(40)  # with fewer, and alone: its own environment goes on in this process
        state = jax.tree.map(np.asarray, learner.trainer.state)
    stale = [float(row["staleness"]) for row in read_rows(tmp_path / "run" / "metrics.csv")]
    assert all(0 < value <= 4 * supervising.REQUESTS * supervising.STEPS for value in stale[:2])
    records = records_of(tmp_path / "run")
    assert len(records) == 600 and are_mixed(records)
    assert require_each_once(records, log) == 0
    require_consistent(tmp_path / "run")
    processes = steps_by_process(records)
    assert 3 <= len(processes) <= 7 and set(processes) > {os.getpid()}  # one that starts late may find nothing to do
    assert not any(jax for process, _, jax in logged(log) if process != os.getpid())  # none imports JAX
    assert sum(source_of(flags) == "random" for flags in records["flags"].tolist()) == SMALL["warmup_steps"]
    np.testing.assert_array_equal(records["asked"], records["action"])
    for process in processes:
        policies = records["policy"][np.round(records["next_observation"][:, 0] / PROCESS) == process].astype(int)
        assert (np.diff(policies) >= 0).all()
    with rv.Learner.load(tmp_path / "run") as again:  # the checkpoint, and from the journal alone
        jax.tree.map(np.testing.assert_array_equal, state, jax.tree.map(np.asarray, again.trainer.state))
    for file in (tmp_path / "run" / "checkpoint").iterdir():
        file.unlink()
    with rv.Learner.load(tmp_path / "run") as again:
        jax.tree.map(np.testing.assert_array_equal, state, jax.tree.map(np.asarray, again.trainer.state))
    require_consistent(tmp_path / "run")


@pytest.mark.parametrize("env", ["Pendulum-v1", "reacher"])
def test_a_collector_imports_no_jax(env):
    code = f"""
import json, sys
from reverie.collecting.collector import Collector, version
from reverie.collecting.messages import PROTOCOL, Request, Setup
setup = Setup(PROTOCOL, version(), {env!r}, [], [0], json.load(sys.stdin))
chunk = Collector(setup).collect(Request(1, 8, 4, 0, bytes(4 * {{}})))
print(len(chunk.steps), "jax" in sys.modules)
"""
    from reverie.collecting.acting_program import described

    with rv.Learner(rv.NAF(hidden=(8,)), env) as learner:
        acting = described(learner.trainer.agent, "naf")
    count = sum(int(np.prod(shape)) for _, shape in acting["leaves"])
    words = [sys.executable, "-c", code.replace("{}", str(count))]
    done = subprocess.run(words, input=json.dumps(acting), capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["8", "False"], done.stderr


def test_episodes_and_callbacks_stop_learning_and_steps_under_way_are_kept(tmp_path, log):
    with learner_of("SlowLoggedEnv", tmp_path / "run") as learner:
        learner.learn(episodes=3, collectors=2)
        assert len(read_rows(tmp_path / "run" / "episodes.csv")) >= 3
        assert require_each_once(records_of(tmp_path / "run"), log) == 0
        before = learner.steps
        learner.learn(10_000, collectors=2, callbacks=[lambda learner, event: learner.steps > before + 30])
        assert before + 30 < learner.steps < before + 30 + 2 * 3 * supervising.STEPS
    assert require_each_once(records_of(tmp_path / "run"), log) == 0
    require_consistent(tmp_path / "run")


def test_a_dqn_learns_with_collectors_and_an_update_after_episodes_runs_once_for_each_step(tmp_path):
    with rv.Learner(rv.DQN(hidden=(8,), batch_size=8, warmup_steps=20, updates_per_step=1), "CartPole-v1") as learner:
        assert learner.learn(200, collectors=2).trainer.updates == 180
    with learner_of("LoggedEnv", update_after="episode", warmup_steps=20) as learner:
        learner.learn(300, collectors=2)
        assert learner.trainer.updates + learner.trainer.owed.count == 280


@pytest.mark.filterwarnings("ignore:.*column observation.0. never changes")  # it names the process
def test_beside_a_log_no_collector_acts_at_random(tmp_path):
    with learner_of("LoggedEnv", tmp_path / "earlier") as earlier:
        earlier.learn(100)
    with rv.Learner(
        rv.NAF(**SMALL), "logged_env:LoggedEnv", out=tmp_path / "run", experience=tmp_path / "earlier"
    ) as learner:
        learner.learn(60, collectors=2)
    chosen = {source_of(int(flags)) for flags in records_of(tmp_path / "run")["flags"]}
    assert chosen == {"policy"}


def test_other_seeds_and_other_sessions_meet_other_starts(tmp_path):
    starts = set()
    for _ in range(2):
        with learner_of("LoggedEnv", tmp_path / "run") if not starts else rv.Learner.load(tmp_path / "run") as learner:
            learner.learn(100, collectors=2)
        records = records_of(tmp_path / "run")[-100:]
        firsts = records[np.unique(records["episode"], return_index=True)[1]]
        found = set(firsts["observation"][:, 2].tolist())
        assert len(found) == len(firsts) and not found & starts
        starts |= found


# ---- collectors that die, hang or fail


def test_a_collector_that_is_killed_is_replaced_and_its_episode_is_cut_off(tmp_path, log):
    killed = []

    def kill(learner, event):
        if isinstance(event, rv.StepEnded) and event.step in (100, 200):
            killed.append(logged(log)[-1][0])
            os.kill(killed[-1], signal.SIGKILL)

    with learner_of("SlowLoggedEnv", tmp_path / "run") as learner:
        learner.learn(400, collectors=2, callbacks=[kill])
    records = records_of(tmp_path / "run")
    assert len(records) == 400 and len(steps_by_process(records)) >= 3
    assert require_each_once(records, log) <= 2 * supervising.REQUESTS * supervising.STEPS
    require_consistent(tmp_path / "run")
    events = [row for row in read_rows(tmp_path / "run" / "events.csv") if row["kind"] == "collector"]
    assert len(events) == 2 and all("ended (killed by SIGKILL)" in row["text"] for row in events)


def test_a_collector_that_hangs_is_replaced(tmp_path, log, monkeypatch):
    monkeypatch.setattr(supervising, "HANG_SECONDS", 1.0)
    with learner_of("HangingEnv", tmp_path / "run") as learner:
        learner.learn(200, collectors=2)
    assert require_each_once(records_of(tmp_path / "run"), log) <= supervising.REQUESTS * supervising.STEPS
    require_consistent(tmp_path / "run")
    assert "did not answer for 1 s" in (tmp_path / "run" / "events.csv").read_text()


def test_an_environment_that_raises_ends_learning_with_one_line_and_loses_nothing(tmp_path, log):
    with learner_of("Breaking", tmp_path / "run") as learner:
        with pytest.raises(WorldError, match=r"^collector [12]: .*raised in step 20: OSError: the arm fell off$"):
            learner.learn(1000, collectors=2)
        assert learner.steps >= 19
    assert require_each_once(records_of(tmp_path / "run"), log) == 0


def test_a_process_that_ends_at_its_first_step_is_tried_three_times():
    with (
        learner_of("Dying") as learner,
        pytest.raises(WorldError, match=r"ended 3 times without a step \(at last: exit status 7\)"),
    ):
        learner.learn(100, collectors=1)


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ("OnlyOne", "^collector 1: logged_env:OnlyOne raised when called: OSError: the device is in use$"),
        ("Narrow", r"^collector 1: its environment has action_low \[-1.0\] and the learner's has \[-2.0\]"),
    ],
)
def test_an_environment_that_cannot_be_made_twice_alike_is_named(env, line):
    with learner_of(env) as learner, pytest.raises((ConfigError, WorldError), match=line):
        learner.learn(100, collectors=1)


OF_ANOTHER_VERSION = (
    "import reverie.collecting.collector as c; c.version = lambda: '9.9'; "
    "import reverie.collecting.collector_process as p; p.main()"
)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (OF_ANOTHER_VERSION, r"and this collector 9\.9 .*same version"),
        ("print('Hello, I am another program')", r"^collector 1: its messages have foreign"),
    ],
    ids=["another version", "another program"],
)
def test_what_is_no_collector_of_this_version_is_refused(code, line, monkeypatch):
    monkeypatch.setattr(local_collectors, "COMMAND", ("-c", code))
    with learner_of("LoggedEnv") as learner, pytest.raises(ConfigError, match=line):
        learner.learn(100, collectors=1)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"collectors": 0}, "collectors is 0; give a whole number of at least 1"),
        ({"collectors": 2.5}, r"collectors is 2\.5; give a whole number"),
        ({"collectors": 10**6}, "give at most 1000"),
    ],
)
def test_collectors_that_cannot_be(given, line):
    with learner_of("LoggedEnv") as learner, pytest.raises(ConfigError, match=line):
        learner.learn(100, **given)


def test_agents_that_need_steps_in_order_are_refused():
    imagining = rv.Imagination(rv.NAF(**SMALL), rv.LinearGaussian(episodes=2))
    with rv.Learner(imagining, "worlds:Line") as learner, pytest.raises(ConfigError, match="whole episodes in order"):
        learner.learn(100, collectors=2)
    with (
        rv.Learner(rv.PPO(), "Pendulum-v1") as learner,
        pytest.raises(ConfigError, match="collectors act by older ones"),
    ):
        learner.learn(100, collectors=2)


def test_a_clock_is_refused():
    for config, clock in ((rv.NAF(**SMALL), rv.Clock(period=1.0)), (rv.NAF(**SMALL, update_after="background"), None)):
        with (
            rv.Learner(config, "logged_env:LoggedEnv", clock=clock) as learner,
            pytest.raises(ConfigError, match=r"pace of one machine|a learner that acts itself"),
        ):
            learner.learn(100, collectors=2)


def test_environments_without_a_name_are_refused():
    import gymnasium as gym

    for env in (gym.make("Pendulum-v1"), lambda: gym.make("Pendulum-v1")):
        with rv.Learner(rv.NAF(**SMALL), env) as learner, pytest.raises(ConfigError, match="give env a name"):
            learner.learn(100, collectors=2)


def test_imagination_cannot_learn_again_what_collectors_mixed(tmp_path):
    with learner_of("SlowLoggedEnv", tmp_path / "run") as learner:
        while not learner.steps or not are_mixed(records_of(tmp_path / "run")):
            learner.learn(200, collectors=2)
    imagining = rv.Imagination(rv.NAF(**SMALL), rv.LinearGaussian(episodes=2))
    with pytest.raises(ConfigError, match="whose episodes mix"):
        rv.Learner.load(tmp_path / "run", config=imagining, relearn=True)


def test_limits_hold_in_collectors_and_the_safe_action_is_sent_at_the_end(tmp_path, log):
    limits = rv.Limits(low=-0.5, high=1.0, slew=0.25, safe_action=0.75)
    with rv.Learner(rv.NAF(**SMALL), "logged_env:LoggedEnv", out=tmp_path / "run", limits=limits) as learner:
        learner.learn(300, collectors=2)
    records = records_of(tmp_path / "run")
    actions = 2 * records["action"][:, 0]  # in the environment's units
    assert actions.min() >= -0.5 - 1e-6 and actions.max() <= 1.0 + 1e-6 and np.ptp(actions) > 1
    for process in steps_by_process(records):
        own = actions[np.round(records["next_observation"][:, 0] / PROCESS) == process]
        assert np.abs(np.diff(own)).max() <= 0.25 + 1e-6
    newest = {round(record["next_observation"][0] / PROCESS): record for record in records}
    within = sum(not record["flags"] & ENDS for record in newest.values())  # an episode
    sent = log.with_suffix(".safe").read_text().splitlines() if within else []
    assert sent == ["0.75"] * within


def test_a_veto_that_collectors_cannot_import_is_refused():
    limits = rv.Limits(veto=lambda observation, action: None)
    with (
        rv.Learner(rv.NAF(**SMALL), "logged_env:LoggedEnv", limits=limits) as learner,
        pytest.raises(ConfigError, match="collectors need a veto that they can import"),
    ):
        learner.learn(100, collectors=2)


def test_what_an_environment_says_that_it_executed_is_learnt_from(tmp_path):
    with learner_of("Overridden", tmp_path / "run") as learner:
        learner.learn(100, collectors=2)
    records = records_of(tmp_path / "run")
    np.testing.assert_allclose(records["action"], 0.5 * records["asked"], atol=1e-6)
    assert {source_of(flags) for flags in records["flags"].tolist()} == {"human"}


def test_wrong_words_on_the_command_line(tmp_path):
    train = ["train", "naf", "Pendulum-v1", "--out", tmp_path / "run"]
    assert "0 is too few; give at least 1" in refusal(*train, "--collectors", "0")
    assert "unknown backend 'clouds'" in refusal(*train, "--collectors", "2", "--backend", "clouds")
    assert "--backend needs --collectors N or --seeds N" in refusal(*train, "--backend", "local")
    assert "--collectors is for one run" in refusal(*train, "--collectors", "2", "--seeds", "2")
    assert "needs whole episodes in order" in refusal(*train, "--collectors", "2", "--imagine", "linear")
    assert "pace of one machine" in refusal(*train, "--collectors", "2", "--period", "0.1")
    ppo = ["train", "ppo", "Pendulum-v1", "--out", tmp_path / "run", "--collectors", "2"]
    assert "collectors act by older ones" in refusal(*ppo)
    assert not (tmp_path / "run").exists()


# ---- kills and interrupts of the whole


def command(run, steps, *words):
    """Return the process of a `reverie train` with four collectors."""
    given = [f"{name}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in SMALL.items()]
    settings = [word for pair in given for word in ("--set", pair)]
    line = ["train", "naf", "logged_env:SlowLoggedEnv", "--steps", str(steps), "--out", str(run), "--quiet", *settings]
    return subprocess.Popen(
        [sys.executable, "-m", "reverie", *line, "--collectors", "4", *words],
        cwd=SUPPORT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alive(log):
    """Return the processes of the log that still run."""
    return [pid for pid in {process for process, *_ in logged(log)} if os.path.exists(f"/proc/{pid}/exe")]


def wait_until(condition, process=None):
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until
        if process is not None and process.poll() is not None:
            return
        time.sleep(0.01)


def steps_in(run):
    """Return the number of whole records in a journal that may be written at this moment."""
    file = run / "experience" / "journal.bin"
    return journal_format.records_in(file) if file.exists() else 0


def killed_at_random(run, log, kills, seed, steps):
    """Run to `steps` steps through random SIGKILLs of the learner and of its collectors; require that nothing is lost."""
    generator, seen, of_learner, of_collector = random.Random(seed), [], 0, 0
    process = command(run, steps)
    while of_learner + of_collector < kills:
        before = steps_in(run)
        ahead = generator.randrange(1, 60)
        wait_until(lambda before=before, ahead=ahead: steps_in(run) >= before + ahead, process)
        assert process.poll() is None, (process.stderr.read(), "the run ended before its kills")
        victims = alive(log)
        if victims and generator.random() < 0.5:
            os.kill(generator.choice(victims), signal.SIGKILL)
            of_collector += 1
            continue
        process.kill()
        process.communicate()
        of_learner += 1
        seen.append((run / "experience" / "journal.bin").read_bytes())
        wait_until(lambda: not alive(log))  # collectors end with their learner
        process = command(run, steps, "--resume")
    _, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, error
    records, data = records_of(run), (run / "experience" / "journal.bin").read_bytes()
    assert len(records) == steps
    head, size = data.index(b"\n") + 1, records.dtype.itemsize
    for before in seen:  # what the journal once had, it has
        whole = head + (len(before) - head) // size * size
        assert data[:whole] == before[:whole]
    under_way = supervising.REQUESTS * supervising.STEPS
    assert require_each_once(records, log) <= under_way * (4 * of_learner + of_collector)
    require_consistent(run)


def test_kills_lose_and_double_nothing_that_was_learnt(tmp_path, log):
    killed_at_random(tmp_path / "run", log, kills=3, seed=3, steps=800)


@pytest.mark.slow
def test_twenty_kills_lose_and_double_nothing_that_was_learnt(tmp_path, log):
    killed_at_random(tmp_path / "run", log, kills=20, seed=0, steps=4000)


def test_ctrl_c_saves_everything_and_ends_all_collectors(tmp_path, log):
    process = command(tmp_path / "run", 100_000)
    wait_until(lambda: steps_in(tmp_path / "run") > 100, process)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (130, "") and "everything is saved" in error
    assert error.splitlines()[-1].endswith(f"--collectors 4 --out {tmp_path / 'run'} --resume")
    assert not alive(log)
    records = records_of(tmp_path / "run")
    assert require_each_once(records, log) == 0  # what was under way was waited for
    assert f"interrupted at step {len(records)}" in error
