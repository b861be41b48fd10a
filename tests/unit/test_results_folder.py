"""A folder of results keeps what ended, once, whatever dies meanwhile, and mixes nothing."""

import errno
import json
import os
import subprocess
import sys

import pytest

import reverie as rv
from result_folders import KEY, OTHER, SETTINGS, filled, outcome
from reverie.cli import main
from reverie.core.errors import ConfigError, StorageError
from reverie.experiments.execution import results_store
from reverie.experiments.execution.results_store import ResultsStore
from reverie.storage import files


def returns(results, key):
    return [float(row["return_mean"]) for row in results.scores[key]]


def tables(results):
    return {file: file.read_bytes() for file in (results.cells_file, results.scores_file, results.settings_file)}


def test_what_went_in_comes_out(tmp_path):
    filled(tmp_path / "out", {KEY: outcome([-3.0, -1.25]), OTHER: outcome([float("-inf")], film=b"mp4")}).close()
    found = ResultsStore(tmp_path / "out")
    assert sorted(found.cells) == sorted(found.scores) == [OTHER, KEY]
    assert returns(found, KEY) == [-3.0, -1.25] and returns(found, OTHER) == [float("-inf")]
    assert [(row["episode"], row["step"], row["rest_speed"]) for row in found.scores[KEY]] == [
        (10, 50, 0.25),
        (20, 100, 0.25),
    ]
    row = found.cells[KEY]
    assert [row[name] for name in ("status", "episodes", "seconds", "error")] == ["done", 20, 3.0, ""]
    assert (row["software"], row["machine"]) == ("reverie 1", "a machine")
    assert (found.version, found.settings, found.commands) == ("1.0", SETTINGS, ["reverie reproduce table1"])
    assert found.is_done(KEY) and found.is_done(OTHER) and not found.is_done(("reacher", "naf", 1))


def test_a_folder_that_is_not_there_is_empty_and_stays_away(tmp_path):
    found = ResultsStore(tmp_path / "out")
    assert not found.cells and not found.scores and found.version is None
    found.require("2.0", SETTINGS)
    assert not (tmp_path / "out").exists()


def test_the_bytes_do_not_depend_on_the_order_in_which_cells_end(tmp_path):
    cells = {KEY: outcome([-3.0]), OTHER: outcome([-2.0]), ("peg", "ddpg", 20): outcome([-1.0])}
    one, two = filled(tmp_path / "one", cells), filled(tmp_path / "two", dict(reversed(cells.items())))
    assert one.scores_file.read_bytes() == two.scores_file.read_bytes()
    assert [line.split(b",")[:3] for line in one.cells_file.read_bytes().splitlines()[1:]] == [
        [b"peg", b"ddpg", b"3"],
        [b"peg", b"ddpg", b"20"],
        [b"reacher", b"naf", b"0"],
    ]


def test_the_same_cell_again_takes_the_place_of_the_first(tmp_path):
    results = filled(tmp_path, {KEY: outcome([-9.0, -8.0, -7.0], error="it broke"), OTHER: outcome([-2.0])})
    results.add(KEY, outcome([-5.0, -4.0]))
    for found in (results, ResultsStore(tmp_path)):
        assert returns(found, KEY) == [-5.0, -4.0] and returns(found, OTHER) == [-2.0]
        assert found.is_done(KEY) and found.cells[KEY]["error"] == ""
    assert len(results.scores_file.read_text().splitlines()) == 1 + 2 + 1


def test_a_failed_cell_is_kept_with_its_error_and_is_not_done(tmp_path):
    filled(tmp_path, {KEY: outcome([-3.0], error='no "disk", left\nat all'), OTHER: outcome([], error="at once")})
    found = ResultsStore(tmp_path)
    assert found.cells[KEY]["error"] == 'no "disk", left\nat all' and found.cells[KEY]["status"] == "failed"
    assert not found.is_done(KEY) and returns(found, KEY) == [-3.0]
    assert not found.is_done(OTHER) and found.cells[OTHER]["episodes"] == 0


def test_films_lie_beside_by_the_name_of_their_cell(tmp_path):
    results = filled(tmp_path, {KEY: outcome([-3.0], film=b"moving"), OTHER: outcome([-3.0])})
    assert results.film_file(KEY) == tmp_path / "films" / "reacher--naf--0.mp4"
    assert results.film_file(KEY).read_bytes() == b"moving" and not results.film_file(OTHER).exists()
    assert [file.name for file in (tmp_path / "films").iterdir()] == ["reacher--naf--0.mp4"]


def test_settings_and_commands_add_up(tmp_path):
    results = filled(tmp_path)
    results.declare("1.0", {"peg/ddpg": {"episodes": 5}}, "reverie reproduce fig2")
    results.declare("1.0", {}, "reverie reproduce table1")
    found = ResultsStore(tmp_path)
    assert found.settings == SETTINGS | {"peg/ddpg": {"episodes": 5}}
    assert found.commands == ["reverie reproduce table1", "reverie reproduce fig2"]


# ---- refused


def test_another_version_is_refused(tmp_path):
    filled(tmp_path)
    with pytest.raises(
        ConfigError, match=r"was filled by reverie 1\.0, and this is 1\.1: choose another --out"
    ) as told:
        ResultsStore(tmp_path).require("1.1", SETTINGS)
    assert str(tmp_path) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"episodes": 30}, "holds reacher/naf with episodes=20, not 30"),
        ({"hidden": [8]}, "holds reacher/naf with hidden=[8, 8], not [8]"),
        ({"noise": "ou"}, "holds reacher/naf with noise=None, not ou"),
    ],
)
def test_other_settings_are_refused(tmp_path, change, says):
    filled(tmp_path)
    with pytest.raises(ConfigError) as told:
        ResultsStore(tmp_path).require("1.0", {"reacher/naf": SETTINGS["reacher/naf"] | change})
    assert says in str(told.value) and str(tmp_path) in str(told.value) and "choose another --out" in str(told.value)
    ResultsStore(tmp_path).require("1.0", SETTINGS | {"reacher/ddpg": change})  # of cells that are not here yet


def test_a_setting_that_was_dropped_is_refused(tmp_path):
    filled(tmp_path)
    with pytest.raises(ConfigError, match=r"hidden=\[8, 8\], not None"):
        ResultsStore(tmp_path).require("1.0", {"reacher/naf": {"episodes": 20}})


def test_another_format_is_refused(tmp_path):
    results = filled(tmp_path)
    facts = json.loads(results.settings_file.read_text())
    results.settings_file.write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(StorageError, match="has format 99; this version of reverie reads 2") as told:
        ResultsStore(tmp_path)
    assert str(tmp_path) in str(told.value)


def emptied(text):
    return ""


def cut(text):
    return text[: len(text) // 2]


def renamed(text):
    return text.replace("seed", "sead", 1)


def spoilt(text):
    return text.replace("naf,0", "naf,zero", 1)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("settings.json", emptied),
        ("settings.json", cut),
        ("settings.json", lambda text: "[1]"),
        ("settings.json", lambda text: '{"format": 2}'),
        ("cells.csv", renamed),
        ("cells.csv", spoilt),
        ("scores.csv", renamed),
        ("scores.csv", spoilt),
        ("cells.csv", emptied),
        ("scores.csv", emptied),
        ("scores.csv", cut),
        ("cells.csv", lambda text: text.replace("status", "state", 1)),
    ],
)
def test_damaged_tables_are_refused(tmp_path, name, damage):
    filled(tmp_path, {KEY: outcome([-3.0, -2.0])}).close()
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(damage(text))
    with pytest.raises(StorageError, match=r"is damaged.*restore it, or choose another --out") as told:
        ResultsStore(tmp_path)
    assert str(tmp_path) in str(told.value)
    (tmp_path / name).write_text(text)
    assert ResultsStore(tmp_path).is_done(KEY)


def test_tables_without_their_settings_are_refused(tmp_path):
    results = filled(tmp_path, {KEY: outcome([-3.0])})
    results.settings_file.unlink()
    with pytest.raises(StorageError, match=r"settings\.json is missing, and .*cells\.csv cannot be read without it"):
        ResultsStore(tmp_path)


# ---- accidents


class Killed(BaseException):
    """What no handler catches."""


def killed_between_the_tables(results, monkeypatch, ended):
    """Add how KEY ended, and die after scores.csv, before cells.csv."""

    def write(path, data, *remedy):
        if path == results.cells_file:
            raise Killed
        files.write_whole(path, data, *remedy)

    with monkeypatch.context() as patch:
        patch.setattr(results_store, "write_whole", write)
        with pytest.raises(Killed):
            results.add(KEY, ended)


def test_killed_between_the_tables_nothing_is_lost_or_there_twice(tmp_path, monkeypatch):
    results = filled(tmp_path, {OTHER: outcome([-2.0])})
    killed_between_the_tables(results, monkeypatch, outcome([-3.0, -1.0]))
    results.close()
    assert "reacher" in results.scores_file.read_text() and "reacher" not in results.cells_file.read_text()
    found = ResultsStore(tmp_path)
    assert list(found.cells) == list(found.scores) == [OTHER] and not found.is_done(KEY)
    found.open()
    found.add(KEY, outcome([-3.0, -1.0]))
    found.close()
    found = ResultsStore(tmp_path)
    assert found.is_done(KEY) and returns(found, KEY) == [-3.0, -1.0] and returns(found, OTHER) == [-2.0]
    assert len(found.scores_file.read_text().splitlines()) == 1 + 2 + 1


def test_a_failed_cell_whose_second_end_was_cut_short_is_still_to_do(tmp_path, monkeypatch):
    results = filled(tmp_path, {KEY: outcome([-3.0], error="it broke")})
    killed_between_the_tables(results, monkeypatch, outcome([-3.0, -1.0]))
    found = ResultsStore(tmp_path)
    assert not found.is_done(KEY) and found.cells[KEY]["error"] == "it broke"


@pytest.mark.parametrize("full_at", ["scores.csv", "cells.csv"])
def test_a_full_disk_leaves_the_old_tables_whole(tmp_path, monkeypatch, full_at):
    results = filled(tmp_path, {OTHER: outcome([-2.0])})
    before, replace = tables(results), os.replace

    def full(new, old):
        if old.name == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(new, old)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(
            StorageError, match=r"cannot write .*\.csv: No space left on device; finished cells are kept"
        ):
            results.add(KEY, outcome([-3.0]))
    results.close()
    now = tables(results)
    assert now[results.cells_file] == before[results.cells_file]
    if full_at == "scores.csv":
        assert now == before
    assert not list(tmp_path.glob("*.new"))
    found = ResultsStore(tmp_path)
    assert list(found.cells) == list(found.scores) == [OTHER] and returns(found, OTHER) == [-2.0]
    found.open()
    found.add(KEY, outcome([-3.0]))
    assert ResultsStore(tmp_path).is_done(KEY)


def test_a_second_process_is_refused_and_may_read(tmp_path):
    results = filled(tmp_path, {KEY: outcome([-3.0])})
    code = f"""
from pathlib import Path
from reverie.experiments.execution.results_store import ResultsStore
results = ResultsStore(Path({str(tmp_path)!r}))
print(len(results.cells))
try:
    results.open()
except OSError as error:
    print(error)
"""

    def second():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert second() == f"1\n{tmp_path} is being filled by another process; wait, or choose another --out\n"
    results.close()
    assert second() == "1\n"


def test_whoever_takes_the_lock_sees_what_was_added_meanwhile(tmp_path):
    early = ResultsStore(tmp_path)
    filled(tmp_path, {KEY: outcome([-3.0])}).close()
    assert not early.is_done(KEY)
    early.open()
    assert early.is_done(KEY)
    early.close()


def test_a_lock_that_cannot_be_taken_is_told_in_a_sentence(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(StorageError, match=str(tmp_path)):
        ResultsStore(tmp_path).open()


def test_a_folder_that_cannot_be_read_is_not_kept_locked(tmp_path):
    filled(tmp_path, {KEY: outcome([-3.0])}).close()
    results = ResultsStore(tmp_path)
    whole = results.settings_file.read_text()
    results.settings_file.write_text("")
    with pytest.raises(StorageError, match="damaged"):
        results.open()
    results.settings_file.write_text(whole)
    other = ResultsStore(tmp_path)
    other.open()  # nobody holds it
    other.close()


def test_a_cell_added_later_leaves_the_rows_of_others_as_they_were(tmp_path):
    """Cells of older versions have no share at rest: an empty field, which must not come back as "nan"."""
    results = filled(tmp_path / "out", {KEY: outcome([-3.0, -1.25])})
    results.close()
    before = results.scores_file.read_text().replace(",0.5\n", ",\n")
    assert before.count(",\n") == 2
    results.scores_file.write_text(before)
    again = ResultsStore(tmp_path / "out")
    again.open()
    again.add(OTHER, outcome([-2.0]))
    again.close()
    after = results.scores_file.read_text().splitlines()
    assert [line for line in before.splitlines() if line not in after] == []
    assert "nan" not in results.scores_file.read_text()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize("kept", ["config.json", "experience/journal.bin"])
def test_results_are_not_written_into_a_run(kept, dry, tmp_path, capsys):
    (tmp_path / kept).parent.mkdir(exist_ok=True)
    (tmp_path / kept).write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    cells = ["--domains", "peg", "--variants", "random", "--seeds", "1", "--episodes", "1"]
    assert main(["reproduce", "table1", *cells, "--out", str(tmp_path), *dry]) == 2
    assert (
        capsys.readouterr().err
        == f"reverie: {tmp_path} holds a run of `reverie train`, not results: choose another --out\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_run_is_not_begun_in_a_folder_of_results(more, tmp_path, capsys):
    filled(tmp_path / "out").close()
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", "naf", "Pendulum-v1", "--steps", "1", "--out", str(tmp_path / "out"), *more]) == 2
    assert "holds results of `reverie reproduce` (settings.json); choose another directory" in capsys.readouterr().err
    with pytest.raises(StorageError, match="holds results"):
        rv.Learner(rv.NAF(), "Pendulum-v1", out=tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_settings_that_were_not_written_down_before_count_as_what_acted_then(tmp_path):
    before = {name: {**own, "noise_scale": 0.3} for name, own in SETTINGS.items()}
    filled(tmp_path / "out", settings=before).close()
    found = ResultsStore(tmp_path / "out")
    found.require("1.0", {name: {**own, "noise_theta": 0.15} for name, own in before.items()})
    with pytest.raises(ConfigError, match=r"with noise_theta=0\.15, not 0\.3: results do not mix"):
        found.require("1.0", {name: {**own, "noise_theta": 0.3} for name, own in before.items()})
