"""The report's content about runs: curves of test episodes, or of training episodes where none were tested."""

from pathlib import Path

import numpy as np
import pytest

import reverie as rv
from cases import CASES
from reverie.cli import main
from reverie.experiments.analysis.runs_report import sections_of
from reverie.report.curve import draw_curve
from reverie.report.document import Curves, Document, Text
from reverie.report.document import Table as Drawn
from reverie.report.page import write_page
from reverie.storage import episodes, journal_format
from reverie.storage.tables import Table
from reverie.training.recovery import recover


def run(path, returns, seed=0, evaluated=False):
    """Make a run directory whose episodes, of 20 steps, had these returns."""
    with rv.Learner(
        CASES["naf"].make(), CASES["naf"].line, seed=seed, out=path, evaluation_env=CASES["naf"].line
    ) as own:
        own.learn(6)
        if evaluated:
            own.evaluate(2)
    (path / "episodes.csv").unlink()
    table = Table(path / "episodes.csv", episodes.COLUMNS)
    ended = {"length": 20, "terminated": 0, "truncated": 1, "seconds": 0.5}
    for i, value in enumerate(returns, 1):
        table.append({"step": 20 * i, "episode": i, "return": value, **ended})
    return path


def curves_of(*paths):
    (section,) = sections_of(paths)
    return {part.title: part for part in section.parts if isinstance(part, Curves)}, section


def test_training_returns_stand_in_where_nothing_was_evaluated(tmp_path):
    returns = np.random.default_rng(0).standard_normal(40).cumsum()
    curves, section = curves_of(run(tmp_path / "a", returns))
    assert list(curves) == ["Training returns"]
    mean, each = curves["Training returns"].lines
    assert (mean.name, each.name) == ("naf, mean of the last 10 episodes", "naf, each episode")
    np.testing.assert_allclose(each.y, returns, rtol=1e-6)
    np.testing.assert_allclose(each.x, 20 * np.arange(1, 41))
    np.testing.assert_allclose(mean.y, [returns[i - 10 : i].mean() for i in range(10, 41)], rtol=1e-6)
    assert mean.x[0] == 200
    page = tmp_path / "page.html"
    write_page(Document("Runs", "1 run.", [section]), page)
    assert "mean of the last 10 episodes" in page.read_text() and "exploration included" in page.read_text()


def test_seeds_share_a_curve_with_a_band(tmp_path):
    paths = [run(tmp_path / str(seed), [float(seed)] * (30 + seed), seed) for seed in range(3)]
    (line,) = curves_of(*paths)[0]["Training returns"].lines
    np.testing.assert_allclose(line.y, 1.0, atol=1e-6)
    assert line.x[0] == 200 and line.x[-1] == 600 and len(line.low) == len(line.x)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_episodes_are_drawn_or_the_page_says_there_are_none(tmp_path, number):
    curves, section = curves_of(run(tmp_path / "a", [1.0] * number))
    if number:
        assert len(curves["Training returns"].lines) == number
    else:
        (text,) = [part for part in section.parts if isinstance(part, Text)]
        assert not curves and "No episode has ended yet" in text.paragraphs[0]


def test_an_evaluated_run_shows_its_test_episodes(tmp_path):
    curves, _ = curves_of(run(tmp_path / "a", [1.0] * 20, evaluated=True))
    assert list(curves) == ["Learning curves"]


def told(path):
    """Return what the page says of a run, by column."""
    (section,) = sections_of([path])
    (table,) = [part for part in section.parts if isinstance(part, Drawn)]
    return dict(zip(table.columns, table.rows[0], strict=True))


@pytest.mark.parametrize(("steps", "ended"), [(0, 0), (5, 0), (15, 2)])
@pytest.mark.parametrize("left", ["all", "no journal", "no checkpoint", "tables alone"])
def test_a_run_has_the_steps_that_its_files_vouch_for_in_the_midst_of_an_episode_too(tmp_path, steps, ended, left):
    with rv.Learner(CASES["naf"].make(), CASES["naf"].line, out=tmp_path) as own:
        own.learn(steps)
    if left in ("no journal", "tables alone"):
        (tmp_path / "experience" / "journal.bin").unlink()
    if left in ("no checkpoint", "tables alone"):
        for file in (tmp_path / "checkpoint").iterdir():
            file.unlink()
    known = 6 * ended if left == "tables alone" else steps
    assert (told(tmp_path)["steps"], told(tmp_path)["episodes ended"]) == (str(known), str(ended))


def test_a_long_journal_is_not_read_to_count_its_steps(tmp_path, monkeypatch):
    path, read = run(tmp_path / "a", [1.0]), []
    monkeypatch.setattr(journal_format, "read_regular", read.append)
    assert told(path)["steps"] == "6" and not read


@pytest.mark.parametrize("missing", [["episodes.csv"], ["evaluations.csv"], ["episodes.csv", "evaluations.csv"]])
def test_a_table_that_is_missing_is_an_empty_one(tmp_path, missing):
    path = run(tmp_path / "a", [1.0, 2.0], evaluated=True)
    for name in missing:
        (path / name).unlink()
    curves, section = curves_of(path)
    assert ("Learning curves" in curves) == ("evaluations.csv" not in missing)
    (table,) = (part for part in section.parts if isinstance(part, Drawn))
    assert table.rows[0][3:5] == ["6", "0" if "episodes.csv" in missing else "2"]
    draw_curve(path, tmp_path / "curve.png", "a")


def test_what_recover_saved_is_reported(tmp_path):
    out = recover(run(tmp_path / "a", [1.0], evaluated=True)).out
    assert list(curves_of(Path(out))[0]) == ["Learning curves"]
    assert main(["report", out, "-o", str(tmp_path / "page.html")]) == 0
