"""`reverie reproduce` and `reverie report`: cells are kept, go on where they were, and are the same wherever they ran."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from commands import done, one_object, refusal, reverie
from reverie.experiments.execution import local_backend, process_pool, ray_backend
from reverie.experiments.execution.missing_runs import chosen
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.declaration import cells_of
from reverie.experiments.spec.paper import EXPERIMENTS

# The quickest cells that there are: small networks, three scores in 15 episodes.
CELLS = ["fig2", "--domains", "reacher_single", "--variants", "small-naf", "--episodes", "15", "--quiet"]
KEY = ("reacher_single", "small-naf", 0)
SCORES = "work/reacher_single--small-naf--0/scores.csv"
DEADLINE = 240  # seconds
AGES = 1e6


@pytest.fixture(scope="module", autouse=True)
def compiled_apart(tmp_path_factory):
    """A killed process may tear what it had compiled: here all is compiled by `whole`, and only read from then on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")  # cells learn for long
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder whose two cells nobody disturbed."""
    out = tmp_path_factory.mktemp("reproduction")
    facts = one_object("reproduce", *CELLS, "--seeds", "2", "--jobs", "2", "--out", out)
    assert (facts["cells"], facts["done"], facts["failed"]) == (2, 2, [])
    return out


# Where tests run in the background SIGINT may be ignored, and so it would be in what they start.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from reverie.cli import main
sys.exit(main())
"""


def start(*words):
    """Start `reverie reproduce` on the cells."""
    words = [sys.executable, "-c", INTERRUPTIBLE, "reproduce", *CELLS, *map(str, words)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, what):
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.02)


def lines_in(file):
    return len(file.read_text().splitlines()) if file.exists() else 0


def workers():
    """Return the processes at work on cells below this test's folders, by command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except OSError:
                continue
    return found


def worker_of(out):
    return [
        pid for pid, line in workers().items() if "reverie.experiments.execution.worker" in line and str(out) in line
    ]


def test_cells_are_scored_kept_and_not_run_again(whole):
    results = ResultsStore(whole)
    assert sorted(results.cells) == [KEY, (*KEY[:2], 1)]
    for key, rows in results.scores.items():
        assert [int(row["episode"]) for row in rows] == [5, 10, 15]
        assert [int(row["step"]) for row in rows] == [750, 1500, 2250]
        assert results.cells[key]["status"] == "done" and "jax" in results.cells[key]["software"]
    one, other = (rows[-1]["return_mean"] for rows in results.scores.values())
    assert one != other
    assert results.settings["reacher_single/small-naf"]["hidden"] == [100, 100]
    assert not list((whole / "work").iterdir())
    before = {file: file.read_bytes() for file in (results.cells_file, results.scores_file)}
    facts = one_object("reproduce", *CELLS, "--seeds", "2", "--out", whole)
    assert (facts["cells"], facts["done"], facts["estimated_seconds"]) == (2, 2, 0)
    assert before == {file: file.read_bytes() for file in before}
    assert facts["claims"]["C7"]["outcome"] == "not measured"
    assert (whole / "report.html").stat().st_size > 1e6


def test_a_film_of_the_first_seed_is_kept(whole):
    films = list((whole / "films").iterdir())
    assert [film.name for film in films] == ["reacher_single--small-naf--0.mp4"]
    assert 1000 < films[0].stat().st_size < 1e6


def mark(out):
    """Make the scores that are kept seem to have taken ages, which only a cell that goes on from them will tell."""
    file = out / SCORES
    file.write_text(re.sub(r",[\d.]+$", f",{AGES}", file.read_text(), flags=re.MULTILINE))


def went_on(out):
    return float(ResultsStore(out).cells[KEY]["seconds"]) > AGES


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])  # the latter lets a learner end its step
def test_a_cell_whose_process_is_killed_goes_on_to_the_same_bytes(how, whole, tmp_path):
    out = tmp_path / "out"
    process = start("--seeds", "1", "--out", out)
    for scores in (0, 1):  # that there are when it dies: while it learns for the first, and for the second
        wait_for(lambda scores=scores: lines_in(out / SCORES) >= 1 + scores, "a score")
        time.sleep(0.1)
        (worker,) = worker_of(out)
        os.kill(worker, how)
        wait_for(lambda worker=worker: worker not in workers(), "its end")
    mark(out)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    assert ResultsStore(out).scores[KEY] == ResultsStore(whole).scores[KEY]
    assert went_on(out)


def test_a_cell_whose_learner_is_past_a_score_that_was_lost_starts_over(whole, tmp_path):
    """A power cut may take the last rows of a table."""
    out = tmp_path / "out"
    process = start("--seeds", "1", "--out", out)
    wait_for(lambda: lines_in(out / SCORES) >= 3, "two scores")
    process.kill()
    process.communicate()
    wait_for(lambda: not worker_of(out), "the worker's end")
    mark(out)
    lines = (out / SCORES).read_text().splitlines(keepends=True)
    (out / SCORES).write_text(lines[0])
    one_object("reproduce", *CELLS, "--seeds", "1", "--out", out)
    assert ResultsStore(out).scores[KEY] == ResultsStore(whole).scores[KEY]
    assert not went_on(out)


def test_a_call_that_is_killed_takes_its_workers_with_it_and_is_gone_on_with(whole, tmp_path):
    out = tmp_path / "out"
    process = start("--seeds", "2", "--jobs", "1", "--out", out)
    wait_for(lambda: lines_in(out / SCORES) >= 2, "a score")
    (worker,) = worker_of(out)
    process.kill()
    process.communicate()
    wait_for(lambda: worker not in workers(), "the worker's end")
    mark(out)
    assert not ResultsStore(out).cells
    one_object("reproduce", *CELLS, "--seeds", "2", "--jobs", "2", "--out", out)
    assert (out / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    assert went_on(out)


def test_ctrl_c_says_that_the_same_command_goes_on(tmp_path):
    out = tmp_path / "out"
    process = start("--seeds", "1", "--out", out)
    wait_for(lambda: worker_of(out), "a worker")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130 and output == "" and "continues from there" in errors and "Traceback" not in errors
    assert not worker_of(out)


def test_a_cell_that_fails_is_kept_with_its_error_and_done_when_called_again(tmp_path):
    out, key = tmp_path / "out", ("cartpole", "naf", 0)
    words = [
        "table1",
        "--domains",
        "cartpole",
        "--variants",
        "naf,random",
        "--episodes",
        "1",
        "--seeds",
        "1",
        "--quiet",
    ]
    in_the_way = out / "work" / "cartpole--naf--0" / "run"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("no folder")
    status, text, errors = reverie("reproduce", *words, "--out", out, "--json")
    facts = json.loads(text)
    assert (status, errors, facts["done"], facts["failed"]) == (1, "", 1, ["cartpole naf 0"])
    results = ResultsStore(out)
    assert results.cells[key]["status"] == "failed" and str(in_the_way) in results.cells[key]["error"]
    assert results.is_done(("cartpole", "random", 0)) and len(results.scores["cartpole", "random", 0]) == 1
    in_the_way.unlink()
    one_object("reproduce", *words, "--out", out)
    assert ResultsStore(out).is_done(key) and ResultsStore(out).scores[key][-1]["episode"] == 1


def test_a_dry_run_writes_nothing_and_says_what_it_would_cost(tmp_path):
    facts = one_object("reproduce", "all", "--dry-run", "--out", tmp_path / "out")
    assert facts["cells"] > 200 and facts["done"] == 0 and facts["estimated_seconds"] > 3600
    text = done("reproduce", "table1", "--dry-run", "--domains", "peg", "--seeds", "3", "--out", tmp_path / "out")
    assert text.splitlines()[1].split()[:5] == ["peg", "naf", "760", "3", "3"] and "9 of 9 cells to do" in text
    search = one_object("reproduce", "table1", "--search", "--dry-run", "--domains", "peg", "--out", tmp_path / "out")
    assert search["cells"] == 5 * (3 + 2 * 18)
    assert not (tmp_path / "out").exists()


def test_a_score_that_is_no_number_is_a_result(tmp_path):
    """A walker that falls is never seen at the end of an episode, where rest is measured."""
    facts = one_object(
        "reproduce",
        "table1",
        "--domains",
        "walker2d",
        "--variants",
        "random",
        "--seeds",
        "1",
        "--out",
        tmp_path / "out",
    )
    assert facts["done"] == facts["cells"] == 1
    (row,) = ResultsStore(tmp_path / "out").scores["walker2d", "random", 0]
    assert np.isnan(row["rest_speed"]) and np.isfinite(row["return_mean"])


@pytest.mark.parametrize(
    ("variants", "cells"),
    [("naf", 1 + 18), ("random,ddpg", 2 + 18), ("naf-0.001-none-0.3", 1), ("naf-0.01-none-1,ddpg", 1 + 1 + 18)],
)
def test_a_search_is_of_the_agents_and_configurations_that_are_named(tmp_path, variants, cells):
    search = ["reproduce", "table1", "--search", "--dry-run", "--domains", "peg", "--seeds", "1", "--out", tmp_path]
    assert one_object(*search, "--first-seed", "100", "--variants", variants)["cells"] == cells


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX's, of Ray's processes: they exec at once
def test_a_cluster_gives_the_same_bytes_though_a_worker_dies(whole, tmp_path):
    ray = pytest.importorskip("ray")
    panels = chosen(EXPERIMENTS["fig2"].panels, ["reacher_single"], ["small-naf"])
    cells, deaths = cells_of(panels, 2, 15), []

    def kill_one_worker(cell, row):
        assert row["episode"] in (5, 10, 15)
        if not deaths:
            victims = [
                pid for pid, line in workers().items() if line.startswith("ray::") and "work" in line.split(" ")[0]
            ]
            deaths.append(victims[0])
            os.kill(deaths[0], signal.SIGKILL)

    results = ResultsStore(tmp_path)
    try:
        ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="error")
        outcomes = {cell.key: outcome for cell, outcome in ray_backend.run(cells, kill_one_worker)}
    finally:
        ray.shutdown()
    assert deaths and not any(outcome.error for outcome in outcomes.values())
    for key in sorted(outcomes):
        results.add(key, outcomes[key])
    assert results.scores_file.read_bytes() == (whole / "scores.csv").read_bytes()


def test_an_iterator_that_is_closed_early_leaves_no_process_behind(tmp_path):
    cells = cells_of(chosen(EXPERIMENTS["fig2"].panels, ["reacher_single"], ["small-naf"]), 2, 15)
    running = local_backend.run(cells, tmp_path, 2, lambda cell, row: (_ for _ in ()).throw(InterruptedError("enough")))
    with pytest.raises(InterruptedError):
        next(running)
    assert not worker_of(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system does not say which cores a process may use"
)
def test_each_process_keeps_to_a_core_of_its_own(tmp_path):
    cells = cells_of(chosen(EXPERIMENTS["fig2"].panels, ["reacher_single"], ["small-naf"]), 2, 15)
    own, seen = sorted(os.sched_getaffinity(0)), {}

    def look(cell, row):
        for pid in worker_of(tmp_path):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                # Of all its threads but the one in which Mesa, once a film is drawn, keeps its shaders: that frees itself.
                tasks = [t for t in Path(f"/proc/{pid}/task").iterdir() if ":disk$" not in (t / "comm").read_text()]
                seen[pid] = [os.sched_getaffinity(int(task.name)) for task in tasks]

    assert not any(outcome.error for _, outcome in local_backend.run(cells, tmp_path, 2, look))
    wanted = {frozenset(core) for core in process_pool.cores(2)}
    assert len(seen) == 2
    assert {frozenset(core) for threads in seen.values() for core in threads} == wanted
    assert len(wanted) == min(2, len(own))


# ---- wrong input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table9"], "invalid choice: 'table9'"),
        (["table1", "--domains", "reachr"], "unknown domain of these experiments 'reachr'; did you mean 'reacher'?"),
        (["table1", "--variants", "nav"], "unknown variant of these experiments 'nav'; did you mean 'naf'?"),
        (["table1", "--domains", "point_mass"], "unknown domain of these experiments 'point_mass'"),
        (["table1", "--backend", "rey"], "unknown backend 'rey'; did you mean 'ray'?"),
        (["table1", "--seeds", "0"], "0 is too few"),
        (
            ["table2", "--search"],
            "--search tries settings of naf and ddpg, and neither is among these cells; table1 has both",
        ),
    ],
)
def test_wrong_words_get_one_line(words, message, tmp_path):
    assert message in refusal("reproduce", *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_settings_and_other_versions_are_named_and_not_mixed(whole, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    words = [word if word != "15" else "20" for word in CELLS]
    assert "holds reacher_single/small-naf with episodes=15, not 20" in refusal("reproduce", *words, "--out", out)
    words[words.index("small-naf")] = "layer-naf"
    said = "reacher_single/small-naf has 15 episodes and reacher_single/layer-naf 20: they would be compared; choose another"
    assert said in refusal("reproduce", *words, "--out", out)
    facts = json.loads((out / "settings.json").read_text())
    (out / "settings.json").write_text(json.dumps(facts | {"reverie": "0.0.9"}))
    said = refusal("report", whole, out, "-o", tmp_path / "report.html")
    assert "by reverie 0.1.0 and" in said and "by reverie 0.0.9: results of two versions do not mix" in said
    assert "was filled by reverie 0.0.9" in refusal("reproduce", *CELLS, "--out", out)
    (out / "settings.json").write_text(json.dumps(facts | {"format": 99}))
    assert "has format 99" in refusal("reproduce", *CELLS, "--out", out)
    assert "has format 99" in refusal("report", out, "-o", tmp_path / "report.html")
    assert (
        ResultsStore(whole).scores.keys() and (out / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    )


# ---- reports


def test_a_report_of_runs_and_results(whole, tmp_path):
    fast = [word for setting in ("hidden=16,16", "updates_per_step=1") for word in ("--set", setting)]
    for seed in (0, 1):
        run = tmp_path / f"run{seed}"
        words = ["train", "naf", "Pendulum-v1", *fast, "--steps", "400", "--evaluate-every", "200", "--quiet"]
        done(*words, "--evaluate-episodes", "1", "--seed", seed, "--out", run)
    page = tmp_path / "page.html"
    facts = one_object("report", tmp_path / "run0", tmp_path / "run1", whole, "-o", page)
    assert facts["report"] == str(page) and set(facts["claims"]) == {f"C{i}" for i in range(1, 11)}
    text = page.read_text()
    for words in ("Pendulum-v1", "small-naf", "run0", "reacher_single"):
        assert words in text


def test_a_folder_that_is_neither_is_named(tmp_path):
    assert "holds neither results" in refusal("report", tmp_path, "-o", tmp_path / "page.html")
    assert "there is no folder" in refusal("report", tmp_path / "nowhere", "-o", tmp_path / "page.html")
