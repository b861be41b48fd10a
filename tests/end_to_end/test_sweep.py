"""`reverie sweep` and `reverie train --seeds`: cells are ordinary runs, kept, added to, and gone on with after Ctrl-C."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from commands import done, one_object, refusal, reverie
from reverie.cli import run_sweep
from reverie.experiments.execution import local_backend
from reverie.experiments.execution.sweep_worker import Ended, SweepResult, write

DEADLINE = 120  # seconds
FIXED = ["--set", "hidden=8", "--set", "batch_size=4", "--set", "warmup_steps=20"]
SHORT = [*FIXED, "--steps", "60", "--evaluate-every", "30", "--evaluate-episodes", "1", "--quiet"]
SWEEP = ["sweep", "naf", "Pendulum-v1", *SHORT]
RATES = ["--set", "learning_rate=1e-4,1e-3"]
NAMES = [
    f"batch_size=4--hidden=8--learning_rate={rate}--warmup_steps=20--seed-{seed}"
    for rate in ("0.0001", "0.001")
    for seed in (0, 1)
]

# Where tests run in the background SIGINT may be ignored, and so it would be in what they start.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from reverie.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder of two settings with two seeds, and what the command printed."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    return out, one_object(*SWEEP, *RATES, "--seeds", "2", "--jobs", "2", "--out", out)


@pytest.fixture
def instead(monkeypatch):
    """Give cells the results of a function (cell) -> SweepResult, instead of running them."""

    def use(result):
        def run(cells, folder, jobs, tell):
            for cell in cells:
                write(cell, folder / cell.folder_name)
                tell(cell, {"step": 30, "score": None})
                yield cell, result(cell)

        monkeypatch.setattr(local_backend, "run", run)

    return use


def good(cell):
    return SweepResult(Ended("done", 60, 1, -1.0 - cell.seed, -0.5, 0.1))


def rows(out):
    return (out / "cells.csv").read_text().splitlines()


def test_a_sweep_keeps_each_run_and_ends_in_a_table_and_a_page(swept):
    out, facts = swept
    assert (facts["cells"], facts["done"], facts["failed"]) == (4, 4, {})
    assert sorted(folder.name for folder in (out / "runs").iterdir()) == NAMES
    assert sorted(row.split(",")[0] for row in rows(out)[1:]) == NAMES
    one, other = facts["settings"]
    assert {one["settings"]["learning_rate"], other["settings"]["learning_rate"]} == {"0.0001", "0.001"}
    for result in (one, other):
        assert result["seeds"] == [0, 1] and len(result["last"]) == 2
        assert result["interval_95"][0] <= result["mean"] <= result["interval_95"][1]
        assert result["best"] >= max(result["last"])
    assert one["mean"] >= other["mean"] and one["last"] != other["last"]
    page = (out / "report.html").read_text()
    assert "mean of last evaluation" in page and "learning_rate=0.0001" in page and "reverie sweep naf" in page
    text = done("report", out, "-o", out.parent / "again.html")
    assert "again.html" in text


def test_a_cell_is_a_run_that_other_verbs_take(swept):
    run = swept[0] / "runs" / NAMES[0]
    assert not (run / "cell.json").exists() and not (run / "ended.json").exists()
    assert one_object("evaluate", run, "--episodes", "1")["step"] == 60
    assert '"command": "reverie train naf Pendulum-v1 --steps 60' in (run / "config.json").read_text()


def test_the_same_command_runs_nothing_again(swept, monkeypatch):
    monkeypatch.setattr(local_backend, "run", None)
    before = rows(swept[0])
    text = done(*SWEEP, *RATES, "--seeds", "2", "--out", swept[0])
    assert rows(swept[0]) == before
    assert text.splitlines()[0] == f"4 of 4 runs done: {swept[0]}"
    assert text.splitlines()[1].split("  ")[0] == "setting" and "all with batch_size=4 hidden=8" in text


def test_ctrl_c_leaves_finished_runs_whole_and_the_same_command_goes_on(swept, instead, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(swept[0], out, ignore=shutil.ignore_patterns(".lock"))
    before = rows(out)
    words = [*SWEEP, "--set", "learning_rate=1e-4,1e-3,1e-2", "--seeds", "1", "--jobs", "1", "--out", str(out)]
    added = NAMES[2].replace("0.001", "0.01")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + DEADLINE
    while not (out / "runs" / added / "cell.json").exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output) == (130, "") and "Traceback" not in errors
    said, line = errors.splitlines()
    assert said == f"reverie: interrupted; 2 of 3 runs done and kept in {out}. To continue:"
    assert line.startswith("reverie sweep naf Pendulum-v1 --set hidden=8") and str(out) in line
    assert rows(out) == before
    instead(good)  # that a run goes on from where it was killed is in tests/unit/test_sweeps.py
    facts = one_object(*words)
    assert (facts["cells"], facts["done"]) == (3, 3) and len(facts["settings"]) == 3
    assert rows(out)[:-1] == before and rows(out)[-1].startswith(added)


# ---- without processes


def test_a_dry_run_lists_the_cells_and_writes_nothing(swept, monkeypatch, tmp_path):
    monkeypatch.setattr(local_backend, "run", None)
    before = {path: path.stat().st_mtime_ns for path in swept[0].rglob("*")}
    words = [*SWEEP, "--set", "learning_rate=1e-4,1e-3,1e-2", "--seeds", "2", "--dry-run"]
    facts = one_object(*words, "--out", swept[0])
    assert (facts["cells"], facts["done"], len(facts["runs"])) == (6, 4, 6)
    assert sorted(run["run"] for run in facts["runs"] if run["done"]) == NAMES
    assert [(run["settings"]["learning_rate"], run["seed"]) for run in facts["runs"] if not run["done"]] == [
        ("0.01", 0),
        ("0.01", 1),
    ]
    head, *lines, _, last = done(*words, "--out", swept[0]).splitlines()
    assert head.split() == ["run", "seed", "done", "settings"] and last == "2 of 6 runs to do"
    assert [line.split()[1:3] for line in lines] == [[str(i // 3), "yes" if i % 3 < 2 else "no"] for i in range(6)]
    assert lines[0].split()[3:] == ["batch_size=4", "hidden=8", "learning_rate=0.0001", "warmup_steps=20"]
    assert {path: path.stat().st_mtime_ns for path in swept[0].rglob("*")} == before
    assert "6 of 6 runs to do" in done(*words, "--out", tmp_path / "out") and not (tmp_path / "out").exists()
    said = refusal("sweep", "naf", "CartPole-v1", "--set", "discount=0.9", "--dry-run", "--out", tmp_path / "out")
    assert "naf needs a continuous Box" in said


def test_a_run_that_fails_is_named_and_tried_again(instead, tmp_path):
    words = [*SWEEP, *RATES, "--seeds", "2", "--out", str(tmp_path / "out")]
    instead(lambda cell: SweepResult(error="beam lost") if cell.folder_name == NAMES[1] else good(cell))
    status, text, errors = reverie(*words)
    assert (status, errors) == (1, "")
    assert text.splitlines()[0].startswith("3 of 4 runs done") and f"failed: {NAMES[1]}: beam lost" in text
    asked = []
    instead(lambda cell: asked.append(cell.folder_name) or good(cell))
    assert reverie(*words)[0] == 0 and asked == [NAMES[1]]


def test_several_seeds_of_one_command_have_folders_side_by_side(instead, tmp_path):
    instead(good)
    out = tmp_path / "out"
    words = ["train", "naf", "Pendulum-v1", *SHORT, "--seeds", "2", "--out", out]
    facts = one_object(*words)
    assert (facts["cells"], facts["done"], len(facts["settings"])) == (2, 2, 1)
    assert (facts["settings"][0]["settings"], facts["settings"][0]["mean"]) == ({}, -1.5)
    assert sorted(entry.name for entry in out.iterdir() if entry.is_dir()) == ["seed-0", "seed-1"]
    assert [row.split(",")[0] for row in rows(out)] == ["run", "seed-0", "seed-1"]
    assert "as given  2      -1.5" in done(*words)
    said = refusal(*words, "--set", "hidden=9")
    assert "holds runs with settings=" in said and "results do not mix" in said


def test_random_draws_are_the_same_again_and_more_of_them_add(instead, tmp_path):
    asked = []
    instead(lambda cell: asked.append(cell.folder_name) or good(cell))
    words = ["sweep", "naf", "Pendulum-v1", "--steps", "60", "--seeds", "1", "--quiet", "--out", str(tmp_path / "out")]
    words += ["--set", "learning_rate=1e-4,1e-3,1e-2", "--set", "hidden=8,8x8,16x16"]
    for draws, new in ((2, 2), (2, 0), (5, 3)):
        before = len(asked)
        one_object(*words, "--random", draws)
        assert len(asked) - before == new
    assert len(set(asked)) == 5


def test_runs_are_evaluated_once_at_least_unless_the_environment_is_ones_own(instead, tmp_path):
    found = []
    instead(lambda cell: found.append(cell.evaluate_every) or good(cell))
    for env, steps in (("Pendulum-v1", "60"), ("Pendulum-v1", "40000"), ("worlds:LinearWorld", "60")):
        words = ["sweep", "naf", env, "--steps", steps, "--set", "hidden=8", "--seeds", "1", "--quiet"]
        one_object(*words, "--out", tmp_path / f"{env[:4]}-{steps}")
    assert found == [60, 2000, 0]


def test_a_command_without_a_folder_has_the_same_one_each_time(instead, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    instead(good)
    for verb, more in (("sweep", RATES), ("train", [])):
        one_object(verb, "naf", "Pendulum-v1", *SHORT, *more, "--seeds", "1")
    assert sorted(folder.name for folder in (tmp_path / "runs").iterdir()) == [
        "pendulum-v1-naf-seeds",
        "pendulum-v1-naf-sweep",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "learning_rat=1"], "unknown setting 'learning_rat'; did you mean 'learning_rate'?"),
        (["--set", "lr=1"], "unknown setting 'lr'; lr is called learning_rate here"),
        (["--set", "learning_rate=1e-3,fast"], "learning_rate is 'fast'; it must be a finite number"),
        (["--set", "discount=0.9,2"], "discount is 2.0; it must lie in [0, 1]"),
        (["--set", "hidden=64,64"], "has hidden=64 twice; write one value of several numbers as 64x64"),
        (["--set", "hidden="], "--set hidden= has no values, so the grid is empty"),
        ([], "the grid is empty: give --set NAME=A,B"),
        (["--set", "hidden=8", "--seeds", "0"], "0 is too few"),
        (["--set", "hidden=8,9", "--seeds", "10000"], "the grid has 20,000 cells"),
        (["--set", "hidden=8", "--random", "2"], "--random 2 is more than the 1 combinations"),
        (["--set", "hidden=8", "--backend", "rey"], "unknown backend 'rey'; did you mean 'ray'?"),
        (
            ["--set", "hidden=8", "--steps", "9", "--evaluate-every", "10"],
            "--evaluate-every 10 is more than a run's 9 steps",
        ),
        (["--set", "hidden=8", "--evaluate", "3"], "unrecognized arguments"),
    ],
)
def test_wrong_words_get_one_line_and_write_nothing(words, message, tmp_path):
    assert message in refusal("sweep", "naf", "Pendulum-v1", *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep", "naf", "CartPole-v1", "--set", "discount=0.9"], "naf needs a continuous Box: use dqn"),
        (["sweep", "nav", "Pendulum-v1", "--set", "discount=0.9"], "unknown agent 'nav'; did you mean 'naf'?"),
        (["sweep", "naf", "Pendulm-v1", "--set", "discount=0.9"], "unknown environment 'Pendulm-v1'"),
        (["train", "naf", "Pendulum-v1", "--seeds", "3", "--seed", "1"], "--seeds 3 means seeds 0 to 2"),
        (["train", "naf", "Pendulum-v1", "--seeds", "3", "--relearn"], "--relearn is for one run"),
        (["train", "naf", "Pendulum-v1", "--jobs", "3"], "--jobs needs --seeds N"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(words, message, tmp_path):
    assert message in refusal(*words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--steps", "90"], "holds runs with steps=60, not 90"),
        (["--evaluate-every", "20"], "holds runs with evaluate_every=30, not 20"),
        (["--imagine", "recent"], "holds runs with imagine=off, not recent"),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused(change, message, swept):
    assert message in refusal(*SWEEP, *RATES, *change, "--out", swept[0])


def test_other_verbs_refuse_the_folder_of_a_sweep(swept):
    words = ["--steps", "1", "--out", swept[0]]
    assert "holds the runs of a sweep" in refusal("train", "naf", "Pendulum-v1", *words)
    assert "holds the runs of a sweep" in refusal("reproduce", "table1", "--dry-run", "--out", swept[0])


def test_the_line_that_goes_on_is_the_command_itself(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/reverie", "sweep", "naf", "my env"])
    assert run_sweep._line() == "reverie sweep naf 'my env'"
    with contextlib.suppress(SystemExit):
        assert "NAME=A,B,C" in reverie("sweep", "--help")[1]
