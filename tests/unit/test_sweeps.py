"""Sweeps: the grid, the names of cells, the folder that keeps them, one cell's work, and the table."""

import json
import re

import pytest

import reverie as rv
from reverie.core.errors import ConfigError, DivergedError, StorageError
from reverie.experiments.analysis import sweep_report
from reverie.experiments.analysis.sweep_report import setting_results
from reverie.experiments.execution import sweep_worker
from reverie.experiments.execution.sweep_store import SweepStore
from reverie.experiments.execution.sweep_worker import Ended, SweepResult, moving_means
from reverie.experiments.spec.declaration import RunSpec
from reverie.experiments.spec.paper import NAF
from reverie.experiments.spec.sweep_grid import (
    SweepCell,
    combinations,
    in_words,
    require_few,
    seeds_first,
    values_of,
)
from reverie.storage.episodes import COLUMNS as EPISODES
from reverie.storage.tables import read_table
from reverie.training.agent_config import read, written

AGENT = rv.NAF(hidden=(4,), batch_size=4, warmup_steps=0, updates_per_step=1)
ASKED = {"agent": "naf", "env": "worlds:LinearWorld", "steps": 43, "evaluate_every": 20}


def cell(seed=0, agent=AGENT, steps=43, every=20, **settings):
    """A cell; settings: those of --set, as words."""
    command = ["reverie", "train", "naf", "worlds:LinearWorld", "--seed", str(seed)]
    return SweepCell(written(agent), "worlds:LinearWorld", settings, seed, steps, every, 2, None, False, command)


def ended(last, best=None, status="done"):
    return SweepResult(Ended(status, 43, 2, last, last if best is None else best, 0.5))


@pytest.fixture
def store(tmp_path):
    """An open folder of a sweep."""
    store = SweepStore(tmp_path / "out")
    store.open()
    store.declare("sweep", "1.0", ASKED, "reverie sweep", [cell(discount="0.9", hidden="4")])
    yield store
    store.close()


# ---- the grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-4,1e-3", ["1e-4", "1e-3"]),
        ("64x64,200x200x50", ["64,64", "200,200,50"]),
        ("64", ["64"]),
        ("(64,64),[8]", ["(64,64)", "[8]"]),
        ('"64,64",8', ["64,64", "8"]),
        ("relu, tanh", ["relu", "tanh"]),
        ("0x10,x", ["0,10", "x"]),
        ("1,,2", ["1", "", "2"]),
        ("", []),
    ],
)
def test_values_are_listed_between_commas(text, values):
    assert values_of(text) == values


def test_a_grid_has_each_combination_once_and_the_last_setting_changes_first():
    found = combinations([("a", ["1", "2"]), ("b", ["x", "y", "z"])])
    assert found == [[("a", a), ("b", b)] for a in "12" for b in "xyz"]


def test_draws_are_distinct_the_same_each_time_and_fewer_are_the_first_of_more():
    grid = [(name, [str(i) for i in range(100)]) for name in "abcdef"]  # 10**12 combinations
    many = combinations(grid, 50)
    assert len({tuple(pairs) for pairs in many}) == 50
    assert combinations(grid, 20) == many[:20]
    small = [("a", ["1", "2", "3"])]
    assert sorted(combinations(small, 3)) == combinations(small)


@pytest.mark.parametrize(
    ("grid", "draws", "message"),
    [
        ([("a", ["1"]), ("b", [])], None, "--set b= has no values, so the grid is empty"),
        ([("a", ["1", "2"])], 3, "--random 3 is more than the 2 combinations"),
        ([("a", ["1"] * 101), ("b", ["1"] * 100)], None, "the grid has 10,100 cells, and a sweep at most 10,000"),
        ([("a", ["1"] * 10**4), ("b", ["1"] * 10**4)], 10_001, "the grid has 10,001 cells"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(grid, draws, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        combinations(grid, draws)


def test_ten_thousand_cells_are_not_too_many():
    require_few(10_000)
    with pytest.raises(ConfigError, match="10,001 cells"):
        require_few(10_001)


@pytest.mark.parametrize(
    ("value", "words"),
    [(1e-3, "0.001"), (1e-5, "1e-05"), ((64, 64), "64x64"), ((8,), "8"), ((), "()"), (True, "true"), (7, "7")],
)
def test_values_in_words(value, words):
    assert in_words(value) == words


def test_names_of_cells_say_their_settings_and_are_names_of_folders():
    one = cell(3, discount="0.9", hidden="64x64")
    assert one.folder_name == "discount=0.9--hidden=64x64--seed-3"
    assert one.key == ("discount=0.9 hidden=64x64", "seed 3")
    assert cell(3).folder_name == "seed-3" and cell(3).key == ("seed 3",)
    odd = [cell(0, hidden=value).folder_name for value in ("()", "[]", "x" * 500, "x" * 501)]
    assert len(set(odd)) == 4
    assert all(len(name) < 200 and re.fullmatch(r"[\w.+=-]+", name) for name in odd)


def test_all_of_the_first_seed_come_first():
    found = seeds_first([[cell(seed, discount=value) for seed in (0, 1)] for value in ("0.9", "0.8")])
    assert [c.folder_name for c in found] == [
        f"discount={value}--seed-{seed}" for seed in (0, 1) for value in ("0.9", "0.8")
    ]


def test_cells_of_both_kinds_name_a_module_that_does_them():
    from reverie.experiments.execution.cells import worker_of

    for one in (cell(), RunSpec("peg", NAF, 0, 10, 5, 5)):
        worker = worker_of(one)
        assert worker.lost("it died").error == "it died"
        assert all(callable(getattr(worker, name)) for name in ("write", "learn", "collect", "packed"))


# ---- a cell at work


def without_seconds(path):
    return [{**row, "seconds": 0} for row in read_table(path, EPISODES)]


def test_a_cell_is_an_ordinary_run_and_goes_on_from_where_it_was_killed(tmp_path):
    whole, cut, told = tmp_path / "whole", tmp_path / "cut", []
    for folder in (whole, cut):
        sweep_worker.write(cell(1), folder)
        found = sweep_worker.read(folder)
        assert read(found.agent) == AGENT and found.key == cell(1).key and found.command == cell(1).command
    assert "without a result" in sweep_worker.collect(whole, "").error
    sweep_worker.learn(cell(1), whole, told.append)
    with rv.Learner(AGENT, "worlds:LinearWorld", seed=1, out=cut) as learner:
        learner.learn(20, callbacks=[rv.Evaluate(20, 2)])  # an episode's end
    assert sweep_worker.steps_done(cut) == 20
    sweep_worker.learn(cell(1), cut, told.append)
    assert without_seconds(whole / "episodes.csv") == without_seconds(cut / "episodes.csv")
    assert (whole / "evaluations.csv").read_bytes() == (cut / "evaluations.csv").read_bytes()
    result = sweep_worker.collect(whole, "")
    assert (result.error, result.ended.status, result.ended.steps, result.ended.episodes) == ("", "done", 43, 2)
    last = (whole / "evaluations.csv").read_text().splitlines()[-1].split(",")
    assert last[0] == "40" and float(last[2]) == result.ended.last
    config = json.loads((whole / "config.json").read_text())
    assert config["command"] == "reverie train naf worlds:LinearWorld --seed 1" and config["seed"] == 1
    assert (whole / "checkpoint" / "best.safetensors").exists()


def test_a_run_that_cannot_be_read_has_no_steps_behind_it_until_it_is_tried(tmp_path):
    assert sweep_worker.steps_done(tmp_path) == 0
    (tmp_path / "experience").mkdir()
    (tmp_path / "experience" / "journal.bin").write_bytes(b"torn")
    assert sweep_worker.steps_done(tmp_path) == 0
    sweep_worker.write(cell(), tmp_path)
    with pytest.raises(StorageError):
        sweep_worker.learn(cell(), tmp_path, print)


def test_a_run_that_diverges_is_a_result(tmp_path, monkeypatch):
    def diverge(self, *arguments, **named):
        raise DivergedError("not finite")

    monkeypatch.setattr(rv.Learner, "learn", diverge)
    sweep_worker.write(cell(), tmp_path)
    sweep_worker.learn(cell(), tmp_path, print)
    result = sweep_worker.collect(tmp_path, "")
    assert (result.error, result.ended.status, result.ended.last) == ("", "diverged", None)


def test_a_cell_that_failed_says_why(tmp_path):
    assert sweep_worker.collect(tmp_path, "beam lost") == SweepResult(error="beam lost")


def test_runs_that_are_not_evaluated_are_scored_by_their_last_training_returns():
    assert moving_means([]) == []
    assert moving_means([1.0, 2.0]) == [1.5]
    assert moving_means([float(i) for i in range(12)]) == [4.5, 5.5, 6.5]


# ---- the folder


def test_a_finished_run_has_a_row_and_is_not_run_again(store):
    one, other = cell(0, discount="0.9", hidden="4"), cell(1, discount="0.9", hidden="4")
    assert store.missing([one, other]) == [one, other]
    sweep_worker.write(one, store.runs("sweep") / one.folder_name)
    store.add(one, ended(-1.5, -1.0))
    assert not (store.runs("sweep") / one.folder_name / "cell.json").exists()
    assert store.missing([one, other]) == [other]
    text = store.cells_file.read_text().splitlines()
    assert text[0] == "run,seed,status,steps,episodes,last,best,seconds,ended,set.discount,set.hidden"
    assert text[1].startswith("discount=0.9--hidden=4--seed-0,0,done,43,2,-1.5,-1.0,0.5,")
    again = SweepStore(store.path)
    assert again.rows.keys() == store.rows.keys() and again.rows[one.folder_name]["last"] == -1.5
    assert again.directories == {one.folder_name: store.path / "runs" / one.folder_name}


def test_another_grid_adds_columns_and_a_torn_row_is_left_out(store):
    store.add(one := cell(0, discount="0.9"), ended(-1.0))
    with store.cells_file.open("a") as file:
        file.write("hidden=4--se")
    store.close()
    again = SweepStore(store.path)
    again.open()
    again.declare("sweep", "1.0", ASKED, "another", [two := cell(0, learning_rate="0.1")])
    again.add(two, ended(None, status="diverged"))
    again.close()
    rows = SweepStore(store.path).rows
    assert sorted(rows) == sorted([one.folder_name, two.folder_name])
    assert rows[two.folder_name]["set.learning_rate"] == "0.1" and rows[two.folder_name]["last"] is None
    assert SweepStore(store.path).facts.commands == ["reverie sweep", "another"]


def test_a_run_made_elsewhere_is_written_here_whole(store, tmp_path):
    one = cell(0, discount="0.9")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "checkpoint").mkdir(parents=True)
    (elsewhere / "config.json").write_text("{}")
    (elsewhere / "checkpoint" / "latest").write_bytes(b"\0")
    (elsewhere / ".lock").touch()
    here = store.runs("sweep") / one.folder_name
    here.mkdir(parents=True)
    (here / "left.csv").write_text("of an earlier call")
    store.add(one, sweep_worker.packed(ended(1.0), elsewhere))
    assert sorted(p.relative_to(here).as_posix() for p in here.rglob("*") if p.is_file()) == [
        "checkpoint/latest",
        "config.json",
    ]


@pytest.mark.parametrize(
    ("verb", "version", "change", "message"),
    [
        ("sweep", "1.0", {"steps": 50}, "holds runs with steps=43, not 50: results do not mix"),
        ("sweep", "1.0", {"agent": "sac"}, "holds runs with agent=naf, not sac"),
        ("sweep", "1.0", {"env": "peg"}, "holds runs with env=worlds:LinearWorld, not peg"),
        ("sweep", "2.0", {}, "was filled by reverie 1.0, and this is 2.0"),
        ("train", "1.0", {}, "was filled by `reverie sweep`"),
    ],
)
def test_other_runs_do_not_mix_with_those_of_a_folder(verb, version, change, message, store):
    store.require("sweep", "1.0", ASKED)
    with pytest.raises(ConfigError, match=re.escape(message)):
        store.require(verb, version, ASKED | change)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "holds a run of `reverie train`, not a sweep"),
        ("settings.json", "holds results of `reverie reproduce`, not a sweep"),
        ("photo.png", "holds photo.png, not a sweep"),
    ],
)
def test_a_folder_that_is_something_else_is_refused(file, message, tmp_path):
    (tmp_path / file).write_text("{}")
    with pytest.raises(ConfigError, match=re.escape(message)):
        SweepStore(tmp_path).require("sweep", "1.0", ASKED)


def test_a_second_process_is_refused_and_a_run_is_not_begun_in_a_sweep(store):
    with pytest.raises(StorageError, match="is being filled by another process"):
        SweepStore(store.path).open()
    with pytest.raises(StorageError, match="holds the runs of a sweep"):
        rv.Learner(AGENT, "worlds:LinearWorld", out=store.path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sweep.json", "{}"),
        ("sweep.json", '{"format": 9, "reverie": "1", "verb": "sweep", "asked": {}, "commands": []}'),
        ("cells.csv", "run,seed\n"),
        ("cells.csv", "run,seed,status,steps,episodes,last,best,seconds,ended\n../x,0,done,1,1,1,1,1,now\n"),
    ],
)
def test_damaged_files_are_named(file, text, store):
    (store.path / file).write_text(text)
    with pytest.raises(StorageError, match=r"is damaged|has format 9"):
        SweepStore(store.path)


# ---- the table


def test_settings_are_compared_by_their_mean_with_an_interval(store):
    for seed, (low, high) in enumerate([(-3.0, 1.0), (-5.0, 3.0)]):
        store.add(cell(seed, discount="0.8", hidden="4"), ended(low, best=9.0 if seed else 0.0))
        store.add(cell(seed, discount="0.9", hidden="4"), ended(high))
    store.add(cell(0, discount="0.1", hidden="4"), ended(7.0))
    store.add(cell(1, discount="0.1", hidden="4"), ended(None, status="diverged", best=8.0))
    first, second, third = setting_results(store)
    assert [r.settings["discount"] for r in (first, second, third)] == ["0.9", "0.8", "0.1"]
    assert (second.mean, second.best, second.seeds) == (-4.0, 9.0, [0, 1])
    # Student's t with one degree of freedom is 12.706 at 97.5 %; the standard error of -3 and -5 is 1.
    assert second.interval_95 == pytest.approx([-16.706, 8.706], abs=1e-3)
    assert (third.mean, third.diverged, list(third.interval_95)) == (None, 1, [None, None])
    assert sweep_report.lines(store) == [
        "setting       seeds  mean of last evaluation  95 % interval  best",
        "discount=0.9  2      2                        [-10.7, 14.7]  3",
        "discount=0.8  2      -4                       [-16.7, 8.71]  9",
        "discount=0.1  2      1 of 2 diverged          -              8",
        "all with hidden=4",
    ]
    assert json.dumps([r.facts for r in (first, second, third)], allow_nan=False)


def test_a_sweep_without_a_finished_run_has_a_page_that_says_so(store):
    (section,) = sweep_report.sections_of([store])
    assert section.parts[0].paragraphs == ["No run has finished yet."]
    assert sweep_report.lines(store) == []
