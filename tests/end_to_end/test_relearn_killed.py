"""A journal that is learnt again, killed after each file operation: every command then works, or names one that goes on."""

import os
import re
import shlex
import shutil

import pytest

import reverie as rv
from reverie.cli import main
from reverie.storage.journal_format import records_in
from reverie.storage.run import RunDirectory

STEPS, MORE = 30, 5
FAST = ("--set", "hidden=4", "--set", "warmup_steps=1000")  # nothing is compiled
AGAIN = ("--relearn", "--set", "discount=0.5", "--steps", str(MORE))
NAMES = ("replace", "link", "unlink", "mkdir", "rename")  # what changes the files that are there
ALL = (*NAMES, "write", "fsync", "ftruncate", "open")
POINTS = 24 if os.environ.get("EVERY_FILE_OPERATION") is None else 400


class Killed(BaseException):
    """As a kill at this moment would be."""


class Disk:
    """The system's file operations until one of them, after which nothing works any more."""

    def __init__(self, monkeypatch, names):
        self.done, self.last, self.dead = 0, None, False
        for name in names:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, real):
        def call(*args, **named):
            if self.last is not None and self.done >= self.last:
                self.dead = True
                raise Killed
            self.done += 1
            return real(*args, **named)

        return call


def words(run, *more):
    return ["train", "naf", "worlds:make_faulty", "--quiet", "--resume", "--out", str(run), *more]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    run = tmp_path_factory.mktemp("begun") / "run"
    with rv.Learner(rv.NAF(hidden=(4,), warmup_steps=1000), "worlds:make_faulty", out=run) as learner:
        learner.learn(STEPS)
    return run


def killed(run, at, names):
    """Learn again until the kill; return whether it came."""
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, names)
        disk.last = at
        main(words(run, *AGAIN))
    return disk.dead


def typed(line):
    """Return the commands of reverie that a line names."""
    return [shlex.split(found) for found in re.findall(r"reverie ((?:train|evaluate|video|recover) [^;`\n]*)", line)]


def works_or_goes_on(command, capsys, depth=2):
    capsys.readouterr()
    status = main(command)
    told = capsys.readouterr().err
    if status == 0:
        return
    assert status == 2 and told.count("reverie: ") == 1 and "Traceback" not in told, (command, told)
    commands = typed(told.partition("reverie: ")[2])
    assert commands and depth, (command, told)
    for found in commands:
        works_or_goes_on(found + (["--episodes", "1"] if found[0] == "evaluate" else ["--quiet"]), capsys, depth - 1)


@pytest.mark.parametrize("at", range(POINTS))
def test_every_command_works_or_names_one_that_goes_on(begun, tmp_path, at, capsys):
    run = tmp_path / "run"
    shutil.copytree(begun, run, ignore=shutil.ignore_patterns(".lock"))
    if not killed(run, at, NAMES if POINTS < 100 else ALL):
        pytest.skip("the command was over")
    old = tmp_path / "old"
    shutil.copytree(run, old)
    config = RunDirectory(run).read_config()
    changed = len(config.history) == 2
    works_or_goes_on(["evaluate", str(old), "--episodes", "1"], capsys)
    if changed:  # what was learnt before still acts
        assert main(["evaluate", str(run / "checkpoint" / "before-relearn-1"), "--episodes", "1"]) == 0
        assert f"policy of step {STEPS}" in capsys.readouterr().out
        assert main(words(run)) == 0
        assert records_in(run / "experience" / "journal.bin") == STEPS + MORE, "the call's own steps were not forgotten"
    capsys.readouterr()
    assert main(words(run)) == 2
    steps = STEPS + MORE * changed
    assert capsys.readouterr().err == f"reverie: {run} is finished at step {steps}; give --steps M to learn M more\n"
    assert main(["evaluate", str(run), "--episodes", "1"]) == 0
    assert main(words(run, *AGAIN)) == 0
