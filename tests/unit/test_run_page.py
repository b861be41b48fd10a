"""The page of single runs: what it draws from their files, how large it may become, and what damage does to it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import reverie as rv
from cases import CASES
from commands import done, refusal
from reverie.cli.run_report import document_of_runs
from reverie.core.errors import StorageError
from reverie.experiments.analysis import run_films
from reverie.experiments.analysis.metric_topics import OTHERS, by_topic
from reverie.experiments.analysis.run_data import labels_of, runs_by_env
from reverie.experiments.analysis.run_page import MOST_EVENTS
from reverie.report.document import Commands, Curves, Document, Films, Panels, Table, Text
from reverie.report.page import html_of
from reverie.storage.tables import table_of

ENV = CASES["naf"].line
HOSTILE = "<img src=x onerror=alert(1)></script>&"


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A run of 600 steps in episodes of 6, which was evaluated twice."""
    path = tmp_path_factory.mktemp("runs") / "learnt"
    with rv.Learner(CASES["naf"].make(), CASES["naf"].line, out=path, evaluation_env=CASES["naf"].line) as own:
        for _ in range(2):
            own.learn(300)
            own.evaluate(3)
    return path


@pytest.fixture
def run(learnt, tmp_path):
    return shutil.copytree(learnt, tmp_path / "one")


def write(file, columns, rows):
    file.write_bytes(table_of(columns, [dict(zip(columns, row, strict=True)) for row in rows]))


def events(run, *rows):
    write(run / "events.csv", ("step", "episode", "kind", "text"), rows)


def page(*paths, damaged=None):
    document = document_of_runs(paths, damaged) if damaged else document_of_runs(paths)
    return document, {section.title: section.parts for section in document.sections}


def figures(parts):
    """Return the figures of a section by title."""
    return {
        f.title: f
        for p in parts
        for f in (p.figures if isinstance(p, Panels) else [p] if isinstance(p, Curves) else [])
    }


def sentences(parts):
    return [sentence for part in parts if isinstance(part, Text) for sentence in part.paragraphs]


def test_a_run_has_a_section_for_each_thing_that_it_measured(run):
    document, sections = page(run)
    assert list(sections) == [
        ENV,
        "Training",
        "Evaluations",
        "Losses",
        "Values",
        "Exploration",
        "Events",
        "Commands",
    ]
    assert (document.title, document.lead) == ("Run one", f"naf on {ENV}: 600 steps, 100 episodes.")
    assert {"loss"} <= figures(sections["Losses"]).keys() and {"q_mean", "value_mean"} <= figures(
        sections["Values"]
    ).keys()
    assert not figures(sections[ENV])  # what it would show over seeds is below
    assert sentences(sections["Events"]) == ["Nothing was noticed."]
    assert isinstance(sections["Commands"][0], Commands)


def test_training_returns_and_single_returns_of_evaluations_are_drawn(run):
    _, sections = page(run)
    mean, each = figures(sections["Training"])["Training returns"].lines
    assert (mean.name, each.name, each.dots) == ("mean of the last 10 episodes", "each episode", True)
    assert len(mean.x) == 91 and len(each.x) == 100 and mean.x[0] == 60
    np.testing.assert_allclose(mean.y[0], np.mean(each.y[:10]))
    mean, each = figures(sections["Evaluations"])["Evaluations"].lines
    assert mean.x == [300, 600] and len(each.x) == 6 and each.dots
    for i, (low, high) in enumerate(zip(mean.low, mean.high, strict=True)):
        values = np.array(each.y[3 * i : 3 * i + 3])
        half = 4.302652730 * values.std(ddof=1) / 3**0.5  # Student's t at 2 degrees of freedom
        np.testing.assert_allclose([mean.y[i], low, high], values.mean() + np.array([0, -half, half]), atol=1e-9)


def test_several_runs_share_figures_and_have_a_line_each(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    document, sections = page(run, other)
    assert (document.title, document.lead) == ("Runs", "2 runs.")
    drawn = {**figures(sections["Training"]), **figures(sections["Losses"]), **figures(sections["Evaluations"])}
    for title in ("Training returns", "Evaluations", "loss"):
        assert [line.name for line in drawn[title].lines] == ["one", "other"] and drawn[title].legend
    assert "Learning curves" in figures(sections[ENV])  # both have the same settings: one curve over seeds
    assert not figures(page(run)[1]["Losses"])["loss"].legend


def test_runs_of_several_environments_have_sections_of_their_own(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(re.sub('"env": ?"[^"]*"', '"env": "Pendulum-v1"', config))
    _, sections = page(run, other)
    assert f"{ENV}: losses" in sections and "Pendulum-v1: losses" in sections and "Losses" not in sections


def test_events_are_a_table_and_marks_in_the_curves(run):
    events(run, (200, 34, "outlier", "sensor 3"), (200, 34, "clipped", "sensor 1"), (400, 67, "value", "too high"))
    _, sections = page(run)
    (table,) = sections["Events"]
    assert table.rows[0] == ["400", "67", "value", "too high"] and len(table.rows) == 3
    assert table.note == "In all: outlier (1), clipped (1), value (1)."
    for title in ("Training", "Evaluations", "Losses", "Values", "Exploration"):
        for figure in figures(sections[title]).values():
            (marks,) = figure.marks
            assert (list(marks.x), marks.name) == ([200, 400], "events")
            assert list(marks.texts) == ["outlier: sensor 3, clipped: sensor 1", "value: too high"]


def test_of_many_events_the_newest_are_listed_and_some_are_marked(run, tmp_path):
    events(run, *((step, 1, "missed", f"tick {step}") for step in range(1, 501)))
    other = shutil.copytree(run, tmp_path / "other")
    _, sections = page(run, other)
    (table,) = sections["Events"]
    assert table.columns[0] == "run" and len(table.rows) == MOST_EVENTS and table.rows[0][1] == "500"
    assert "of 1,000" in table.note and "missed (1000)" in table.note
    mine, others = figures(sections["Losses"])["loss"].marks
    assert (mine.name, others.name, mine.of) == ("events of one", "events of other", "one")
    assert mine.x[0] == 1 and mine.x[-1] == 500 and len(mine.x) == 40


def test_missed_ticks_and_unknown_columns_are_drawn(run):
    columns = ("step", "loss", "missed_ours", "missed_machine", "missed_else", "colour", "empty", "calm")
    write(run / "metrics.csv", columns, [(200 * i, 0.5 * i, i, 2 * i, 3 * i, i % 3, "", 7) for i in range(1, 6)])
    _, sections = page(run)
    assert list(figures(sections["Missed ticks"])) == ["missed_ours", "missed_machine", "missed_else"]
    assert figures(sections["Missed ticks"])["missed_machine"].lines[0].y == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert list(figures(sections[OTHERS])) == ["colour"]
    assert sentences(sections[OTHERS]) == ["calm was 7 throughout."]
    write(run / "metrics.csv", ("step", "loss"), [])
    assert "Losses" not in page(run)[1]


@pytest.mark.parametrize("name", CASES)
def test_each_metric_of_each_algorithm_has_a_topic(name):
    with rv.Learner(CASES[name].make(), CASES[name].line) as own:
        names = own.trainer.metric_names
    assert OTHERS not in dict(by_topic(names))
    assert all(meaning for title, columns in by_topic(names) for _, meaning in columns)


def test_a_run_without_an_episode_waits_for_it(tmp_path):
    with rv.Learner(CASES["naf"].make(), CASES["naf"].line, out=tmp_path / "a") as own:
        document, sections = page(tmp_path / "a")  # while it is open
        own.learn(3)
    assert "Waiting for the first episode: none has ended yet." in sentences(sections[ENV])
    assert document.lead == f"naf on {ENV}: 0 steps, 0 episodes." and "Training" not in sections
    assert "Waiting for the first episode" in html_of(document)
    assert page(tmp_path / "a")[0].lead == f"naf on {ENV}: 3 steps, 0 episodes."


def test_text_of_files_is_shown_and_does_nothing(run):
    events(run, (200, 34, HOSTILE, HOSTILE))
    write(run / "metrics.csv", ("step", "loss", HOSTILE), [(200, 1.0, 2.0), (400, 2.0, 3.0)])
    html = html_of(page(run)[0])
    assert HOSTILE not in html and "<img" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html


def test_a_million_rows_make_a_small_page(run):
    head = (run / "metrics.csv").read_text().splitlines()[0]
    rest = ",".join("0.12345678901234567" for _ in head.split(",")[1:])
    (run / "metrics.csv").write_text(
        head + "\n" + "".join(f"{200 * i},{rest[:-1]}{i % 7}\n" for i in range(1, 1_000_001))
    )
    write(
        run / "episodes.csv",
        ("step", "episode", "return", "length", "terminated", "truncated", "seconds"),
        [(6 * i, i, 0.001 * i, 5 + i % 2, 0, 1, 0.5) for i in range(1, 30_001)],
    )
    document, sections = page(run)
    assert len(html_of(document)) < 4_000_000
    assert all(len(line.x) <= 400 for parts in sections.values() for f in figures(parts).values() for line in f.lines)
    assert "30,000 episodes" in document.lead
    assert "10,000 of 30,000 episodes are drawn" in figures(sections["Training"])["Training returns"].note
    mean = figures(sections["Training"])["Training returns"].lines[0]
    np.testing.assert_allclose(mean.y, 0.001 / 6 * np.array(mean.x), atol=0.1)
    assert figures(sections["Training"])["Length of episodes"].lines[0].high[-1] == 6.0


def test_films_of_both_kinds_are_shown_until_the_page_is_full(run):
    (run / "film.mp4").write_bytes(b"m" * 100)
    (run / "other.GIF").write_bytes(b"g" * 50)
    (run / "notes.txt").write_bytes(b"not a film")
    (run / "link.mp4").symlink_to(run / "film.mp4")
    (run / "folder.mp4").mkdir()
    _, sections = page(run)
    (films,) = sections["Films"]
    assert isinstance(films, Films)
    assert {(film.title, film.kind, len(film.content)) for film in films.films} == {
        ("film.mp4", "mp4", 100),
        ("other.GIF", "gif", 50),
    }
    html = html_of(Document("", "", document_of_runs([run]).sections))
    assert "data:image/gif;base64,Z2dn" in html and "data:video/mp4;base64,bW1t" in html
    (runs,) = runs_by_env([run]).values()
    parts = run_films.films_of(runs, "", most=60)
    assert [film.title for film in parts[0].films] == ["other.GIF"]
    assert sentences(parts) == [f"Left out, because the page would become too large: {run / 'film.mp4'} (100 bytes)."]


def test_runs_have_short_names_that_differ():
    assert labels_of([Path("/a/b/one")]) == ["one"]
    assert labels_of([Path("/a/b/one"), Path("/a/b/two")]) == ["one", "two"]
    assert labels_of([Path("/a/b/one"), Path("/a/c/one")]) == ["b/one", "c/one"]
    assert labels_of([Path("/a/b"), Path("/a/b/one")]) == ["b", "b/one"]


# ---- asked and executed


def asked(path, share, steps=300):
    """Make a run in episodes of 6 steps whose second actuator executes a share of what it is asked for.

    Returns what was asked of it at each step, in its units.
    """
    names = {"action_names": ["quad", "corrector"], "action_units": ["A", "mrad"]}
    spec = rv.EnvSpec(observation_dim=2, action_low=[-1, -4], action_high=[1, 4], name="line 7", **names)
    found = []
    with rv.Learner(CASES["naf"].make(), spec=spec, out=path) as own:
        for step in range(1, steps + 1):
            action = own.ask(np.zeros(2))
            found.append(action[1])
            own.tell(0.5, np.zeros(2), False, step % 6 == 0, action=action * np.array([1.0, share]))
    return np.array(found)


@pytest.mark.filterwarnings("ignore:.*was executed otherwise than asked", "ignore:.*the reward has been")
def test_what_was_executed_is_drawn_against_what_was_asked(tmp_path):
    wanted = asked(tmp_path / "one", share=0.5)
    _, sections = page(tmp_path / "one")
    drawn = figures(sections["Asked and executed"])
    difference = drawn["Executed minus asked"]
    (line,) = difference.lines
    assert line.name == "actuator 1 (corrector, mrad)" and difference.y_label == "% of the actuator's range"
    assert list(line.x) == list(range(1, 301))
    np.testing.assert_allclose(line.y, 100 * -0.5 * wanted / 8, atol=1e-4)  # the range is 8 mrad
    figure = drawn[line.name]
    assert figure.y_label == "mrad" and [own.name for own in figure.lines] == ["asked", "executed"]
    for own, share in zip(figure.lines, (1.0, 0.5), strict=True):
        assert list(own.x) == list(range(295, 301))  # the last episode
        np.testing.assert_allclose(own.y, share * wanted[-6:], atol=1e-5)
    assert sentences(sections["Asked and executed"]) == ["The newest 6 steps of episode 50:"]


def test_of_several_runs_each_has_a_figure_of_its_actions(tmp_path):
    asked(tmp_path / "one", share=0.5, steps=12)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    titles = list(figures(page(tmp_path / "one", tmp_path / "other")[1]["Asked and executed"]))
    assert titles == ["Executed minus asked: one", "Executed minus asked: other"]


def test_actions_that_were_executed_as_asked_are_not_drawn(run, tmp_path):
    asked(tmp_path / "same", share=1.0, steps=12)
    for path in (run, tmp_path / "same"):
        assert "Asked and executed" not in page(path)[1]


# ---- bad input


def test_a_damaged_table_is_refused_or_said_where_the_page_must_stay(run):
    for name in ("episodes.csv", "evaluations.csv", "metrics.csv", "events.csv"):
        before = (run / name).read_bytes()
        (run / name).write_bytes(before + b"oops\n")
        assert f"{name} is damaged" in refusal("report", run)
        faults = []
        document, sections = page(run, damaged=faults.append)
        assert name in str(faults[0]) and isinstance(faults[0], StorageError)
        assert "Commands" in sections and html_of(document)
        (run / name).write_bytes(before + b"7,")  # a row that is being written
        assert page(run)[0].lead == f"naf on {ENV}: 600 steps, 100 episodes."
        (run / name).write_bytes(before)


def test_a_damaged_journal_leaves_the_rest_of_the_page(run):
    file = run / "experience" / "journal.bin"
    data = bytearray(file.read_bytes())
    data[-2000] ^= 255
    file.write_bytes(data)
    _, sections = page(run)
    assert "damaged" in sentences(sections["Asked and executed"])[0] and "Losses" in sections


def test_there_is_no_page_of_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds neither results" in refusal("report", tmp_path / "empty")
    assert "there is no folder" in refusal("report", tmp_path / "nowhere")


def test_report_writes_the_page_of_a_run(run):
    assert "report.html: 2." in done("report", run)
    text = (run / "report.html").read_text()
    assert "Run one" in text and "Training returns" in text
    table = [part for part in page(run)[1][ENV] if isinstance(part, Table)]
    assert table[0].rows[0][3] == "600"
