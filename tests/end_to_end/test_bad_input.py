"""What bad input gets: one sentence that names what, where and what to do, and everything before it safe."""

import errno
import json
import os
import pathlib
import re
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.storage import checkpoint, journal
from worlds import Faulty, Nested

SMALL = {"hidden": (8,), "batch_size": 4, "warmup_steps": 4, "updates_per_step": 1}
FAST = ["--evaluate-every", "0", "--quiet"]
for setting in ("hidden=8", "batch_size=4", "warmup_steps=4", "updates_per_step=1"):
    FAST += ["--set", setting]
SPEC = rv.EnvSpec(3, [-1.0, -1.0], [1.0, 1.0], "Faulty")
TOY_TEXT = [id for id, spec in gym.registry.items() if "toy_text" in str(spec.entry_point) and "/" not in id]
TESTS = pathlib.Path(__file__).parents[1] / "support"


def learner(env, out=None, **options):
    return rv.Learner(rv.NAF(**SMALL), env, out=out, **options)


def files_of(run):
    return {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file() and file.name != ".lock"}


@pytest.fixture
def finished(tmp_path):
    """A run of 25 steps on a healthy world."""
    run = tmp_path / "finished"
    with learner(Faulty(), run, timed_checkpoints=False) as healthy:  # one checkpoint, however slow the machine
        healthy.learn(25)
    return run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "unknown verb 'trian'; did you mean 'train'?"),
        (["train", "nav", "Pendulum-v1"], "unknown agent 'nav'; did you mean 'naf'?"),
        (["train", "trpo", "Pendulum-v1"], "unknown agent 'trpo'; did you mean 'ppo'?"),
        (["train", "naf", "Pendulm-v1"], "unknown environment 'Pendulm-v1'; did you mean 'Pendulum-v1'?"),
        (["train", "naf", "Pendulum-v1", "--set", "discont=1"], "unknown setting 'discont'; did you mean 'discount'?"),
        (["train", "naf", "qqq"], "unknown environment 'qqq'; `reverie list` names the domains"),
        (["check", "/"], "/ holds no run (no config.json)"),
        (["bench", "act", "--against", "sb4"], "unknown peer 'sb4'; did you mean 'sbx'?"),
        (
            ["train", "naf", "worlds:make_falty"],
            "unknown name in module worlds 'make_falty'; did you mean 'make_faulty'?",
        ),
        (["check", ":x"], "environment ':x' lacks the module; give package.module:name"),
        (["check", "worlds:"], "environment 'worlds:' lacks the name; give package.module:name"),
        (["train", ":x", "Pendulum-v1"], "agent ':x' lacks the module"),
        (["check", "worlds:gym"], "worlds:gym is a module; give a callable that returns a gymnasium.Env"),
        (
            ["check", "json:nosuch"],
            "unknown name in module json 'nosuch'; known: JSONDecodeError, JSONDecoder, JSONEncoder, ",
        ),
        (
            ["check", "Taxi-v3"],
            "there is no Taxi-v3 any more; use Taxi-v4, whose states are numbered: reverie solve Taxi-v4",
        ),
        (["train", "naf", "LunarLander-v2"], "there is no LunarLander-v2 any more; use LunarLander-v3\n"),
        *(
            (["train", "naf", name], f"use dqn, or learn a table: reverie solve {name} --method q-learning\n")
            for name in (*TOY_TEXT, "dyna-maze", "four-rooms")
        ),
        *(
            ([*words, "--bogus"], f"unrecognized arguments: --bogus (see `reverie {words[0]} --help`)")
            for words in (
                ["train", "naf", "Pendulum-v1"],
                ["evaluate", "run"],
                ["list"],
                ["solve", "x", "--method", "dyna-q"],
            )
        ),
        (["list", "naf", "more"], "unrecognized arguments: more (see `reverie list --help`)"),
        (["list", "nothing-like-it"], "unknown name 'nothing-like-it'; `reverie list` names all"),
        (
            ["train", "naf", "E", "--lr", "1"],
            "unrecognized arguments: --lr 1; a setting is given as --set learning_rate=VALUE",
        ),
        (["train", "naf", "E", "--total-timesteps=9"], "did you mean --steps? (see `reverie train --help`)"),
        (["train", "naf", "E", "--evalute-every", "9"], "did you mean --evaluate-every?"),
        (["solve", "E", "--method", "q-learning", "--gamma", "1"], "--gamma 1; did you mean --discount?"),
        (["train", "naf", "Pendulum-v1", "--set", "lr=1e-3"], "unknown setting 'lr'; lr is called learning_rate here"),
        (
            ["train", "naf", "Pendulum-v1", "--imagine", "neural", "--set", "model.lr=1"],
            "is called model.learning_rate here",
        ),
        (
            ["train", "naf", "Pendulum-v1", "--steps", "10000.5"],
            "'10000.5' is no whole number of at least 0, such as 10000",
        ),
        (["--bogus"], "(see `reverie --help`)"),
        (
            ["train", "naf", "Pendulum-v1", "--set", "hidden="],
            "hidden is ''; it must be whole numbers separated by commas",
        ),
        (["train", "naf", "wolrds:make"], "cannot import 'wolrds' for environment 'wolrds:make'"),
        (["train", "naf", "worlds:make_nothing"], "worlds:make_nothing returned int; it must return a gymnasium.Env"),
        *(
            (
                ["train", name, "CartPole-v1"],
                f"CartPole-v1: the action space is Discrete(2); {name} needs a continuous Box: use dqn",
            )
            for name in ("naf", "ddpg", "sac", "xqc", "ppo")
        ),
        (
            ["train", "dqn", "Pendulum-v1"],
            "Pendulum-v1: the action space is a continuous Box of 1; dqn needs a Discrete one: use naf, ddpg, sac, xqc or ppo",
        ),
        (["train", "ppo", "Pendulum-v1", "--imagine", "linear"], "ppo learns on-policy, and imagined steps are not"),
        (["train", "dqn", "CartPole-v1", "--imagine", "linear", "--plan", "mpc"], "actions are discrete; plan 'mpc'"),
        (
            ["train", "ppo", "Pendulum-v1", "--set", "batch_size=100"],
            "batch_size is 100; it must divide rollout times worlds, 2048",
        ),
        (["train", "ppo", "Pendulum-v1", "--set", "warmup_steps=9"], "unknown setting 'warmup_steps'"),
        (["train", "sac", "Pendulum-v1", "--set", "temperature=0"], "temperature is 0.0; it must be positive"),
        (["train", "xqc", "Pendulum-v1", "--set", "value_limit=0"], "value_limit is 0.0; it must be positive"),
        (["train", "xqc", "Pendulum-v1", "--set", "atoms=1"], "atoms is 1; it must be at least 2"),
        (["train", "xqc", "Pendulum-v1", "--set", "atoms=1001"], "atoms is 1001; it must be at most 1000"),
        (
            ["train", "xqc", "Pendulum-v1", "--set", "value_limit=1e-40"],
            "value_limit is 1e-40; it must be at least 1e-12",
        ),
        (
            ["train", "xqc", "Pendulum-v1", "--set", "value_limit=3e38"],
            "value_limit is 3e+38; it must be at most 1e+12",
        ),
        (["train", "xqc", "Pendulum-v1", "--set", "policy_delay=0"], "policy_delay is 0; it must be at least 1"),
        (
            ["train", "xqc", "Pendulum-v1", "--set", "policy_delay=1e12"],
            "policy_delay is 1000000000000; it must be at most",
        ),
        (["train", "xqc", "Pendulum-v1", "--set", "batch_size=1"], "batch_size is 1; it must be at least 2"),
        (["train", "xqc", "Pendulum-v1", "--set", "actor_hidden=8,0"], "actor_hidden is (8, 0); every layer needs"),
        (["train", "xqc", "Pendulum-v1", "--set", "normalisation=batch"], "unknown setting 'normalisation'"),
        (["train", "dqn", "CartPole-v1", "--set", "epsilon_end=2"], "epsilon_end is 2.0; it must lie in [0, 1]"),
        (["train", "naf", "Pendulum-v1", "--set", "discount=2"], "discount is 2.0; it must lie in [0, 1]"),
        (
            ["train", "naf", "Pendulum-v1", "--set", "learning_rate=nan"],
            "learning_rate is 'nan'; it must be a finite number",
        ),
        (["train", "naf", "Pendulum-v1", "--set", "hidden=0"], "hidden is (0,); every layer needs at least 1 unit"),
        (["train", "naf", "Pendulum-v1", "--set", "foo"], "'foo' is not of the form name=value"),
        (["train", "naf", "Pendulum-v1", "--set", "noise=pink"], "noise is 'pink'; it must be one of 'ou', 'gaussian'"),
        (["train", "ddpg", "Pendulum-v1", "--set", "noise=precision"], "DDPG has no precision matrix"),
        (["train", "naf", "Pendulum-v1", "--steps", "-1"], "'-1' is no whole number of at least 0"),
        (["train", "naf", "Pendulum-v1", "--seed", "x"], "'x' is no whole number"),
        (["train", "naf", "Pendulum-v1", "--seed", str(2**32)], "4294967296 is too many; give at most 4294967295"),
        (["train", "naf", "Pendulum-v1", "--resume"], "--resume needs --out"),
        (["train", "naf"], "the following arguments are required: ENV"),
        (["evaluate", "nowhere"], "nowhere holds no run (no config.json)"),
        (["video", "nowhere"], "nowhere holds no run (no config.json)"),
        (["video", "peg"], "it is an environment; learn first (`reverie train naf peg`)"),
        (["evaluate", "Pendulum-v1"], "it is an environment; learn first"),
        (["evaluate", __file__], "it is a file; give the directory that training wrote"),
        (["check", "Pendulm-v1"], "did you mean 'Pendulum-v1'?"),
    ],
)
def test_wrong_words_get_one_line_and_exit_status_2(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("reverie: ") and sentence in printed.err
    assert not any(file.is_file() for file in tmp_path.rglob("*")), "nothing may be left behind"


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(rv.ConfigError, match="unknown agent"):
        main(["train", "nav", "Pendulum-v1", "--debug"])


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("raise", "Faulty raised in step 30: OSError: the robot's arm fell off"),
        ("observation", "Faulty: the observation of step 30 holds nan at index 1; observations must be finite"),
        ("reward", "Faulty: the reward of step 30 is inf; rewards must be finite"),
        ("none-reward", "Faulty: the reward of step 30 is None; it must be one number"),
        ("shape", "Faulty: the observation of step 30 has shape (2,); observation_space says (3,)"),
    ],
)
def test_a_world_that_fails_in_a_step_costs_nothing_before_it(fault, sentence, tmp_path):
    broken = learner(Faulty(fault), tmp_path / "run")
    with pytest.raises(rv.WorldError, match=f"^{re.escape(sentence)}$"):
        broken.learn(50)
    records = journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]
    assert records["step"].tolist() == list(range(1, 30))
    assert checkpoint.read(tmp_path / "run" / "checkpoint" / "latest.safetensors")[1]["steps"] == 29
    broken.close()
    with rv.Learner.load(tmp_path / "run", env=Faulty()) as again:
        assert again.learn(10).steps == 39
    assert len(journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]) == 39


def test_a_world_that_fails_on_the_command_line_gets_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "naf", "worlds:make_slow_death", "--steps", "200", *FAST, "--out", "run"]) == 2
    assert capsys.readouterr().err == (
        "reverie: worlds:make_slow_death raised in step 150: OSError: the robot's arm fell off; "
        "everything before is saved: correct it and continue with --resume\n"
    )


def test_a_world_that_fails_in_reset_costs_nothing_before_it(tmp_path):
    env, resets = Faulty(), []

    def reset(**options):
        resets.append(1)
        return Faulty.reset(env, **options) if len(resets) < 3 else 1 / 0

    env.reset = reset
    with learner(env, tmp_path / "run") as broken:
        with pytest.raises(rv.WorldError, match=r"^Faulty raised in reset: ZeroDivisionError: division by zero$"):
            broken.learn(50)
    assert len(journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]) == 20
    assert checkpoint.read(tmp_path / "run" / "checkpoint" / "latest.safetensors")[1]["steps"] == 20
    with rv.Learner.load(tmp_path / "run", env=Faulty()) as again:
        assert (again.learn(5).steps, again.episodes) == (25, 3)


class Shrinking(Nested):
    """Its Dict observation lacks two of eight numbers from the third step on."""

    def _observe(self):
        observation = super()._observe()
        if self.left < 3:
            observation["arm"]["q"] = observation["arm"]["q"][:1]
        return observation


def test_what_learning_cannot_hold_is_named(tmp_path):
    sentence = r"the observation of step 3 \['arm'\] \['q'\] has shape \(1, 2\); observation_space says \(2, 2\)"
    with learner(Shrinking(), tmp_path / "run") as broken, pytest.raises(rv.WorldError, match=sentence):
        broken.learn(10)
    assert len(journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]) == 2


@pytest.mark.parametrize("bounds", [(-np.inf, 1.0), (-1.0, np.inf)])
def test_infinite_bounds_are_refused(bounds):
    with pytest.raises(rv.SpaceError, match=r"action 0 has bounds \[.*inf.*\]; give finite ones"):
        learner(Faulty(bounds=bounds))


def test_other_kinds_of_actions_are_refused():
    env = Faulty()
    env.action_space = gym.spaces.MultiDiscrete([3, 2])
    for config in (rv.NAF(**SMALL), rv.DQN(**SMALL)):
        with pytest.raises(
            rv.SpaceError, match=r"MultiDiscrete.*; agents here need a continuous Box, or Discrete \(dqn"
        ):
            rv.Learner(config, env)


@pytest.mark.parametrize("where", [{"spec": SPEC}, {"env": Faulty()}], ids=["spec", "env"])
def test_many_worlds_need_a_name_to_make_them_by(where):
    with pytest.raises(
        rv.ConfigError, match="worlds is 3, but one environment was given; give its name or a callable, or set worlds=1"
    ):
        rv.Learner(rv.PPO(rollout=4, worlds=3, batch_size=4), **where)


def test_a_bare_discrete_or_text_space_is_refused():
    env = Faulty()
    env.observation_space = gym.spaces.Sequence(gym.spaces.Discrete(2))
    with pytest.raises(rv.SpaceError, match="has no fixed size and cannot be flattened"):
        learner(env)


def damaged(data):
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("checkpoint/latest.safetensors", damaged, "latest.safetensors is damaged"),
        (
            "checkpoint/latest.safetensors",
            lambda data: data[:-1] + bytes([data[-1] ^ 1]),
            "latest.safetensors is damaged (checksum)",
        ),
        (
            "checkpoint/latest.safetensors",
            lambda data: b"PK" + 99 * b"\0",
            "latest.safetensors is damaged, or is not a checkpoint",
        ),
        ("experience/journal.bin", damaged, "is damaged, but later ones are intact"),
        ("experience/journal.bin", lambda data: b"\x89PNG\n" + data, "journal.bin is not a journal of this version"),
        ("experience/journal.bin", lambda data: data[: len(data) // 2], "restore the journal from a backup"),
        ("config.json", damaged, "config.json"),
        ("config.json", lambda data: b"[1, 2", "config.json is damaged"),
        ("config.json", lambda data: data.replace(b'"format": 1', b'"format": 9'), "config.json has format 9"),
        ("config.json", lambda data: data.replace(b'"naf"', b'"naff"'), "config.json: unknown agent 'naff'"),
    ],
)
def test_damaged_and_foreign_files_are_named_and_nothing_is_half_loaded(finished, name, spoil, sentence):
    file = finished / name
    file.write_bytes(spoil(file.read_bytes()))
    before = files_of(finished)
    with pytest.raises(rv.StorageError) as caught:
        rv.Learner.load(finished, env=Faulty())
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert {file: data for file, data in files_of(finished).items() if "experience" in str(file)} == {
        file: data for file, data in before.items() if "experience" in str(file)
    }


@pytest.mark.parametrize("key", ["format", "agent", "env", "seed", "tensorboard"])
def test_a_config_that_lacks_something_is_damaged(finished, key, capsys):
    config = json.loads((finished / "config.json").read_text())
    del config[key]
    (finished / "config.json").write_text(json.dumps(config))
    with pytest.raises(rv.StorageError, match=r"config\.json is damaged; restore it, or start another run"):
        rv.Learner.load(finished)
    for words in (["evaluate", str(finished)], ["train", "naf", "Faulty", "--out", str(finished), "--resume"]):
        assert main(words) == 2
        errors = capsys.readouterr().err
        assert errors.count("\n") == 1 and "config.json is damaged" in errors


def test_experience_without_a_config_is_never_overwritten(finished, capsys):
    (finished / "config.json").unlink()
    before = files_of(finished)
    with pytest.raises(rv.StorageError, match="already holds a run"):
        learner(Faulty(), finished)
    with pytest.raises(rv.StorageError, match=r"cannot read .*config\.json: No such file or directory"):
        rv.Learner.load(finished, env=Faulty())
    assert main(["train", "naf", "worlds:make_faulty", *FAST, "--out", str(finished), "--resume"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "config.json" in errors
    assert files_of(finished) == before


def test_a_damaged_checkpoint_is_not_evaluated_either(finished, capsys):
    file = finished / "checkpoint" / "latest.safetensors"
    file.write_bytes(damaged(file.read_bytes()))
    assert main(["evaluate", str(finished), "--env", "worlds:make_faulty"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "latest.safetensors is damaged" in errors


def test_another_agents_checkpoint_is_refused(finished, tmp_path):
    with rv.Learner(rv.NAF(**(SMALL | {"hidden": (9,)})), Faulty(), out=tmp_path / "other") as other:
        other.learn(25)
    name = "checkpoint/latest.safetensors"
    (finished / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(rv.StorageError, match=r"another agent wrote it|was changed since its checkpoint was learnt"):
        rv.Learner.load(finished, env=Faulty())
    (finished / name).unlink()
    with rv.Learner.load(finished, env=Faulty()) as again:  # as the message about damage says: the journal is enough
        assert again.steps == 25


def test_a_world_of_other_sizes_is_refused(finished):
    env = gym.make("Pendulum-v1")
    with pytest.raises(rv.ReverieError, match="is not the environment of"):
        rv.Learner.load(finished, env=env)


def test_a_torn_tail_is_cut_and_reported(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", "naf", "worlds:make_faulty", "--steps", "12", *FAST, "--out", "run"]
    assert main(words) == 0
    file = tmp_path / "run" / "experience" / "journal.bin"
    whole = file.read_bytes()
    file.write_bytes(whole + b"torn")
    assert main([*words, "--resume"]) == 0
    assert re.search(
        r"cut 4 bytes of an incomplete record from the end of run.experience.journal\.bin", capsys.readouterr().err
    )
    assert file.read_bytes()[: len(whole)] == whole and len(journal.read(file)[1]) == 24


def test_a_full_disk_stops_learning_with_what_was_written_still_good(tmp_path, monkeypatch):
    full, really_write = False, os.write

    def write(handle, data):
        if full:
            really_write(handle, data[: len(data) // 2])  # half a record fits
            raise OSError(errno.ENOSPC, "No space left on device")
        return really_write(handle, data)

    stuck = learner(Faulty(), tmp_path / "run")
    stuck.learn(20)
    monkeypatch.setattr(os, "write", write)
    full = True
    with pytest.raises(
        rv.StorageError, match=r"cannot write .*journal\.bin: No space left on device; what was written before"
    ):
        stuck.learn(20)
    full = False
    stuck.close()
    assert len(journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]) == 20
    with rv.Learner.load(tmp_path / "run", env=Faulty()) as again:
        assert again.cut_bytes == 0 and again.learn(5).steps == 25


def test_a_table_that_cannot_be_written_costs_no_step(tmp_path, monkeypatch):
    table = tmp_path / "run" / "episodes.csv"
    stuck = learner(Faulty(), tmp_path / "run")
    stuck.learn(5)
    really_write = os.write

    def write(handle, data):
        if os.path.samestat(os.fstat(handle), table.stat()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return really_write(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(rv.StorageError, match=r"cannot write .*episodes\.csv: No space left on device"):
            stuck.learn(20)
    with pytest.raises(rv.StorageError, match=r"the last step could not be finished; continue with Learner\.load"):
        stuck.learn(20)
    stuck.close()
    with rv.Learner.load(tmp_path / "run", env=Faulty()) as again:
        assert again.steps == 10 and table.read_text().splitlines()[1].startswith("10,1,5.0,10,0,1,")
        assert again.learn(10).steps == 20


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
@pytest.mark.parametrize("name", ["episodes.csv", "config.json", "experience/journal.bin", "checkpoint", "experience"])
def test_a_link_in_the_place_of_a_runs_own_file_is_refused(name, finished, tmp_path):
    there = tmp_path / "there"
    (finished / name).rename(there)
    (finished / name).symlink_to(there)
    before = files_of(there) if there.is_dir() else there.read_bytes()
    if name == "config.json":  # only read
        rv.Learner.load(finished, env=Faulty()).close()
    else:
        with pytest.raises(rv.StorageError, match=rf"{name}:? (it )?is a symbolic link"):
            rv.Learner.load(finished, env=Faulty())
    assert before == (files_of(there) if there.is_dir() else there.read_bytes())


def test_a_told_step_that_could_not_be_written_may_be_told_again(tmp_path, monkeypatch):
    def full(handle, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with rv.Learner(rv.NAF(**SMALL), spec=SPEC, out=tmp_path / "run") as asked:
        action = asked.ask([0.0, 0.0, 0.0])
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(rv.StorageError, match=r"cannot write .*journal\.bin: No space left on device"):
            asked.tell(1.0, [1.0, 0.0, 0.0], False)
        monkeypatch.undo()
        assert asked.steps == 0
        asked.tell(2.0, [1.0, 0.0, 0.0], False)
        assert asked.steps == 1
    (record,) = journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]
    assert record["reward"] == 2.0 and SPEC.to_world(record["action"]) == pytest.approx(action)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_real_limit_on_file_size_gets_one_line(tmp_path):
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "from reverie.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", "naf", "Pendulum-v1", "--steps", "2000", *FAST, "--out", "run"]
    environment = {
        name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"
    }  # limited too
    process = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert re.match(r"reverie: cannot write .*: File too large; what was written before is intact", process.stderr)
    _, records, cut = journal.read(tmp_path / "run" / "experience" / "journal.bin")
    assert cut == 0 and len(records) > 100
    with rv.Learner.load(tmp_path / "run") as again:
        assert again.steps == len(records)


def test_a_second_learner_is_refused_in_this_process_and_in_another(tmp_path):
    run = tmp_path / "run"
    words = ["train", "naf", "worlds:make_faulty", "--steps", "9", *FAST, "--out", str(run), "--resume"]
    with learner("worlds:make_faulty", run) as first:
        with pytest.raises(rv.StorageError, match=r"run is in use by another process; wait for it to end, or choose"):
            rv.Learner.load(run)
        before = files_of(run)
        other = subprocess.run(
            [sys.executable, "-m", "reverie", *words], cwd=TESTS, capture_output=True, text=True, check=False
        )
        assert other.returncode == 2 and other.stderr.count("\n") == 1
        assert "run is in use by another process; wait for it to end, or choose another directory" in other.stderr
        assert files_of(run) == before and first.learn(5).steps == 5
    assert main(words) == 0


def test_an_existing_run_is_not_overwritten(finished, capsys):
    before = files_of(finished)
    assert main(["train", "naf", "worlds:make_faulty", *FAST, "--out", str(finished)]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "already holds a run; continue it with --resume" in errors
    with pytest.raises(rv.StorageError, match="already holds a run; continue it with --resume"):
        learner(Faulty(), finished)
    assert files_of(finished) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--set", "discount=0.5"], "a change of discount requires learning again from the start of the journal"),
        (["--seed", "5"], "holds a run with seed 0, but the command has 5"),
    ],
)
def test_resuming_something_else_is_refused(change, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", "naf", "worlds:make_faulty", "--steps", "10", *FAST, "--out", "run"]
    assert main(words) == 0
    assert main([*words, *change, "--resume"]) == 2
    assert main(["train", "ddpg", *words[2:], "--resume"]) == 2
    assert main(["train", "naf", "worlds:Faulty", *words[3:], "--resume"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 3 and sentence in errors
    assert "holds a run with agent 'naf', but the command has 'ddpg'" in errors
    assert "holds a run with env 'worlds:make_faulty', but the command has 'worlds:Faulty'" in errors


def test_diverged_learning_stops_with_the_last_good_checkpoint(tmp_path):
    diverging = rv.Learner(rv.NAF(**(SMALL | {"reward_scale": 1e30})), Faulty(), out=tmp_path / "run")
    with pytest.raises(
        rv.DivergedError,
        match=r"learning diverged: \w+ is not finite after step \d+; lower reward_scale .*, or lower learning_rate",
    ):
        diverging.learn(200)
    diverging.close()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["agent"]["settings"]["reward_scale"] == 1e30
    assert len(journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]) > 0


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["evaluate", path]
            for path in ("", "a\0b", LONG, "a/" * 3000, "\ud800", "no\nwhere", "/dev/null", "FILE", "FILE/x")
        ),
        *(
            [verb, path]
            for verb in ("report", "watch")
            for path in ("", "a\0b", LONG, "a/" * 3000, "\ud800", "FILE", "/dev/null", "LOOP")
        ),
        *(
            ["train", "naf", "worlds:LinearWorld", "--steps", "1", "--out", path]
            for path in ("", "a\0b", LONG, "FILE/x", "LOOP")
        ),
        *(
            ["train", "naf", "worlds:LinearWorld", "--steps", number]
            for number in ("-1", "1.5", "\u0661", "1e3.5", "", "9" * 40)
        ),
        *(
            ["train", "naf", "worlds:LinearWorld", "--stop-at", number]
            for number in ("nan", "inf", "1e400", "x", "\u0661")
        ),
        *(
            ["train", "naf", "worlds:LinearWorld", "--set", pair]
            for pair in ("x", "=", "=1", "", "a\0=1", "\n=1", "y" * 9999)
        ),
        *(
            ["solve", "FrozenLake-v1", "--method", "value-iteration", "--discount", g]
            for g in ("nan", "-inf", "1e400", "2", "")
        ),
        *(["evaluate", "RUN", "--env", env] for env in ("", "\0", "a\nb", ":", "::", "x:", ":x", "\ud800", LONG * 100)),
        *(["check", env] for env in ("", "\0", "..:x", "a.b.c", "os:sep", "worlds:LinearWorld.reset")),
        *([word] for word in ("", "\0", "a\nb", "\ud800", "--", "-", "--no", "x" * 9999)),
    ],
    ids=lambda words: " ".join(word[:12] for word in words).encode("ascii", "backslashreplace").decode(),
)
def test_odd_words_get_one_line(words, tmp_path, capsys, monkeypatch, finished):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("")
    (tmp_path / "LOOP").symlink_to(tmp_path / "LOOP")
    assert main([str(finished) if word == "RUN" else word for word in words]) == 2
    told = capsys.readouterr()
    assert (
        len(told.err.splitlines()) == 1 and told.err.startswith("reverie: ") and (not told.out or words[0] == "check")
    ), told
