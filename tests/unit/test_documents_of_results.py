"""What reports say of small folders of results and of runs: ours beside the paper's, and nothing made up."""

import dataclasses

import numpy as np
import pytest

import reverie as rv
from result_folders import filled, outcome
from reverie.core.errors import ConfigError, StorageError
from reverie.experiments.analysis import paper_report, runs_report
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.hyperparameter_search import configurations
from reverie.report.document import Commands, Curves, Films, Table, Text, Verdicts
from reverie.storage import episodes
from reverie.storage.run import RunDirectory
from reverie.storage.tables import Table as File
from reverie.training import evaluation
from reverie.training.provenance import configuration

SEARCHED = [variant.name for variant in configurations("naf")[:2]]


def parts_of(sections, kind, title=None):
    return [p for s in sections for p in s.parts if isinstance(p, kind) and (title is None or p.title == title)]


def table_of(sections, title):
    (table,) = parts_of(sections, Table, title)
    for row in table.rows:
        assert len(row) == len(table.columns) and all(value is None or isinstance(value, str) for value in row)
    return table


def read(path, cells):
    filled(path, cells).close()
    return ResultsStore(path)


def sections_of(path, cells):
    return paper_report.sections_of([read(path, cells)])


@pytest.fixture
def table1(tmp_path):
    """Reacher with three contenders, peg with DDPG alone, and failures."""
    cells = {("reacher", "naf", seed): outcome([-9.0, -0.5, -0.25 - seed**2]) for seed in range(4)}
    cells |= {("reacher", "ddpg", seed): outcome([-9.0, -8.0, -2.0]) for seed in range(3)}
    cells |= {("reacher", "random", seed): outcome([-2.0 - seed]) for seed in range(2)}
    cells |= {("peg", "ddpg", 0): outcome([-3.0, -1.5])}
    cells |= {
        ("peg", "naf", 0): outcome([-7.0], error="the arm fell off"),
        ("ant", "naf", 1): outcome([], error="lost"),
    }
    return sections_of(tmp_path / "out", cells)


def test_sections_without_anything_to_say_are_left_out(table1, tmp_path):
    titles = [section.title for section in table1]
    assert titles == ["The paper's claims", "Table 1: NAF and DDPG", "How this was made"]
    assert [s.title for s in sections_of(tmp_path / "empty", {})] == ["The paper's claims", "How this was made"]


def test_table_1_has_ours_beside_the_papers(table1):
    table = table_of(table1, "Best test scores")
    assert (table.columns[0], table.columns[3], table.columns[5]) == ("domain", "DDPG", "NAF")
    assert [i for i, name in enumerate(table.columns) if name == "the paper"] == [2, 4, 6]
    reacher = table.rows[0]
    assert reacher[:3] == ["reacher", "-2.5", "-2.3"]  # at random, on the mean of seeds
    assert reacher[3:5] == ["-2 [-2, -2]", "-0.509"]
    # NAF's best scores are -.25 and three times -.5: the middle half is -.5, and three of four come there after 20 episodes.
    assert reacher[5].startswith("-0.5 [-0.5, -0.") and reacher[6] == "-0.331"
    table = table_of(table1, "Episodes to the best")
    assert [name for name in table.columns if "median" in name] == [table.columns[i] for i in (1, 3, 5)]
    # Three of four never come to the paper's -.331.
    assert table.rows[0] == ["reacher", "30", "1370", "20", "1260", "never"]
    table = table_of(table1, "NAF against DDPG")
    gap, chance, *run = table.rows[0][1:]
    assert gap.startswith("1.5 [1.5, 1.") and chance == "1 [1, 1]" and run == ["4 and 3", "30", "1370"]


def test_the_median_of_episodes_is_the_middle(tmp_path):
    """After 10, 20, 40 and 50 episodes they are at their best; one of two is never at the paper's NAF score."""
    scores = [[-1.0, -9.0, -9.0, -9.0, -9.0], [-9.0, -1.0], [-9.0, -9.0, -9.0, -1.0], [-9.0, -9.0, -9.0, -9.0, -1.0]]
    cells = {("peg", "naf", s): outcome(own + [own[-1]] * (5 - len(own))) for s, own in enumerate(scores)}
    table = table_of(sections_of(tmp_path, cells), "Episodes to the best")
    assert table.rows[0][3] == "30" and "the mean of the two in the middle" in table.note


def test_both_agents_are_told_together_on_one_scale(table1):
    table = table_of(table1, "All together")
    assert [row[0] for row in table.rows] == ["NAF", "DDPG"] and [row[2] for row in table.rows] == ["4", "3"]
    # From -2.3 at random to the paper's NAF at -.331: -.5 is .914 of the way and -2 is .152.
    assert table.rows[0][1].startswith("0.914 [0.914, ") and table.rows[1][1] == "0.152 [0.152, 0.152]"
    assert "scores on reacher, where" in table.note and "probability 1 [1, 1]" in table.note


def test_what_was_not_measured_is_none(table1):
    table = table_of(table1, "Best test scores")
    assert [row[0] for row in table.rows] == ["reacher", "peg"]  # of ant there is a failure alone
    assert table.rows[1] == ["peg", None, "-11", "-1.5", "-0.95", None, "-0.438"]
    assert table_of(table1, "Episodes to the best").rows[1] == ["peg", "20", "690", None, "130", None]
    assert table_of(table1, "NAF against DDPG").rows[1] == ["peg", None, None, "1", "20", "690"]


def test_learning_curves_have_bands_and_the_papers_scores(table1):
    reacher, peg = parts_of(table1, Curves)
    assert (reacher.title, peg.title) == ("reacher", "peg") and reacher.x_label == "real episodes"
    naf, ddpg = reacher.lines
    assert (naf.name, ddpg.name) == ("NAF", "DDPG") and naf.x == [10, 20, 30]
    assert naf.y == [-9.0, -0.5, -2.75]  # of -.25, -1.25, -4.25, -9.25 the middle two
    assert naf.low[1] == naf.high[1] == -0.5 and naf.low[2] < -2.75 < naf.high[2]
    assert [(level.name, level.y) for level in reacher.levels] == [
        ("the paper's NAF", -0.331),
        ("the paper's DDPG", -0.509),
    ]
    assert [line.name for line in peg.lines] == ["DDPG"]
    assert list(peg.lines[0].low) == list(peg.lines[0].high) == []  # one seed has no band
    assert "3 to 4 seeds" in reacher.note


def test_failed_cells_are_told_with_their_errors_and_count_for_nothing(table1):
    failed = table_of(table1, "Cells that failed")
    assert failed.rows == [["ant", "naf", "1", "lost"], ["peg", "naf", "0", "the arm fell off"]]
    done = table_of(table1, "Cells")
    assert [row[:4] for row in done.rows] == [
        ["peg", "ddpg", "1", "20"],
        ["reacher", "ddpg", "3", "30"],
        ["reacher", "naf", "4", "30"],
        ["reacher", "random", "2", "10"],
    ]
    assert [row[4] for row in done.rows] == ["3 s", "4 s", "4 s", "2 s"]  # 1.5 s a score


def test_it_is_said_how_it_was_made(table1, tmp_path):
    (commands,) = parts_of(table1, Commands)
    report = f"reverie report {tmp_path / 'out'} -o report.html"
    assert commands.lines == ["reverie reproduce table1", report]
    (text,) = parts_of(table1, Text)
    assert text.paragraphs == ["10 cells took 38 s of one core's time in all.", "On a machine.", "With reverie 1."]


def test_claims_come_first(table1):
    (found,) = parts_of(table1[:1], Verdicts)
    assert [verdict.claim for verdict in found.verdicts] == [f"C{i}" for i in range(1, 11)]
    c1, c7 = found.verdicts[0], found.verdicts[6]
    assert c1.outcome == "undecided"  # one domain, and DDPG has three seeds
    count, reacher, short, few = c1.evidence
    assert count == "On 1 of 10 domains; the other 9 count as open:"
    assert few == "Fewer than 6 seeds settle no ranking."
    assert short == "Too short to count on reacher: fewer than half of the episodes, and scores still change."
    assert reacher.startswith("reacher: NAF wins, 1.5 [1.5, 1.")
    assert reacher.endswith("up to 0.0394 is a tie (4 and 3 seeds; 30 episodes, 1370 in the paper).")
    assert (c7.outcome, c7.evidence) == (
        "not measured",
        ["Needs at least 2 seeds of small-naf and fitted on one domain."],
    )


def test_table_2_and_figure_2_compare_with_plain_naf(tmp_path):
    cells = {("cheetah", "true-naf", s): outcome([1.0, 7.0]) for s in range(2)}
    cells |= {("cheetah", "true-both", s): outcome([8.0, 8.0]) for s in range(3)}
    cells |= {("reacher", "true-imagined", 0): outcome([-1.0, -0.5])}
    cells |= {("gripper_single", "small-naf", s): outcome([1.0, 2.0, 3.0, 4.0]) for s in range(2)}
    cells |= {("gripper_single", "fitted", s): outcome([1.0, 5.0, 5.0, 4.0]) for s in range(2)}
    cells |= {("reacher_single", "fitted", s): outcome([1.0, 4.0, 4.0, 4.0]) for s in range(2)}
    sections = sections_of(tmp_path, cells)
    reacher = table_of(sections, "reacher, with the simulator's own physics").rows
    assert reacher == [["imagination", "-0.5", "-0.448", "20", "450", None, "1", "20"]]  # no plain NAF to compare with
    cheetah = table_of(sections, "cheetah, with the simulator's own physics").rows
    assert cheetah[0] == ["NAF", "7 [7, 7]", "7", "20", "580", None, "2", "20"]
    assert cheetah[1][1:] == ["8 [8, 8]", "7.29", "10", "740", "1 [1, 1]", "3", "20"]
    gripper, reacher = table_of(sections, "gripper_single"), table_of(sections, "reacher_single")
    assert [row[0] for row in gripper.rows] == ["NAF", "imagination, linear models, pooled prior of strength 10"]
    assert gripper.rows[0][1:] == ["4 [4, 4]", "4 [4, 4]", "1 [1, 1]", "2", "40"]
    assert gripper.rows[1][1:] == ["4 [4, 4]", "5 [5, 5]", "2 [2, 2]", "2", "40"]
    assert [row[3] for row in reacher.rows] == [None]
    assert [part.title for part in parts_of(sections, Curves)] == [
        "reacher",
        "cheetah",
        "reacher_single",
        "gripper_single",
    ]
    assert all(not part.levels for part in parts_of(sections, Curves))  # the paper prints none that these compare with


def test_figure_3_draws_shaped_noise_beside_the_other_two(tmp_path):
    cells = {("canada2d", name, 0): outcome([-9.0, -5.0]) for name in ("naf", "ddpg", "naf-p")}
    (section,) = [s for s in sections_of(tmp_path, cells) if s.title.startswith("Figure 3")]
    assert [line.name for line in section.parts[0].lines] == ["NAF", "NAF, noise shaped by P (appendix 8.2)", "DDPG"]


def test_the_search_tells_what_honest_picking_gives(tmp_path):
    one, other = SEARCHED
    cells = {("peg", one, s): outcome([score, -8.0]) for s, score in enumerate([9.0, 0.0, 0.0])}
    cells |= {("peg", other, s): outcome([4.0]) for s in range(4)}  # the fourth seed is in one of the two alone
    table = table_of(sections_of(tmp_path, cells), "The best of the paper's configurations")
    name = next(variant.text for variant in configurations("naf") if variant.name == other)
    assert table.rows == [["peg", name, "4", "1.33", "3", "2"]]


def test_a_search_under_way_says_nothing_yet(tmp_path):
    cells = {("peg", SEARCHED[0], 0): outcome([9.0])}
    assert not parts_of(sections_of(tmp_path, cells), Table, "The best of the paper's configurations")


def test_a_search_whose_configurations_share_no_seed_says_nothing_yet(tmp_path):
    cells = {("peg", name, seed): outcome([9.0]) for seed, name in enumerate(SEARCHED)}
    assert not parts_of(sections_of(tmp_path, cells), Table, "The best of the paper's configurations")


def test_films_are_of_finished_cells_and_say_whose(tmp_path):
    cells = {("peg", "naf", 0): outcome([-3.0, -2.5], film=b"good")}
    cells |= {("peg", "ddpg", 0): outcome([-9.0], film=b"bad", error="no")}
    (films,) = parts_of(sections_of(tmp_path, cells), Films)
    (film,) = films.films
    assert film.content == b"good" and film.title == "peg, naf"
    assert film.text == "The final policy of NAF on peg, seed 0; its last score was -2.5."


def test_films_that_would_make_the_page_too_large_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paper_report, "LARGEST", 10)
    sizes = {"ant": 4, "cheetah": 8, "peg": 5, "reacher": 2}
    cells = {(domain, "naf", 0): outcome([-9.0], film=b"x" * bytes_) for domain, bytes_ in sizes.items()}
    sections = sections_of(tmp_path, cells)
    (films,) = parts_of(sections, Films)
    assert [film.title for film in films.films] == ["ant, naf", "reacher, naf"]  # the smallest, in their order
    (section,) = [s for s in sections if s.title == "Films"]
    (said,) = section.parts[1].paragraphs
    assert "cheetah--naf--0.mp4 (8 bytes), " in said and "peg--naf--0.mp4 (5 bytes)." in said


def test_contenders_with_the_same_words_are_told_apart_by_their_names(tmp_path):
    cells = {("reacher", name, 0): outcome([-3.0], film=b"mp4") for name in ("naf", "true-naf")}
    sections = sections_of(tmp_path, cells)
    (films,) = parts_of(sections, Films)
    assert [film.title for film in films.films] == ["reacher, naf", "reacher, true-naf"]
    assert [row[:2] for row in table_of(sections, "Cells").rows] == [["reacher", "naf"], ["reacher", "true-naf"]]


def test_a_run_that_diverged_is_a_result(tmp_path):
    cells = {("peg", "naf", s): outcome([-3.0, -np.inf] if s else [-np.inf, -np.inf]) for s in range(3)}
    cells |= {("peg", "ddpg", s): outcome([-np.inf, -np.inf]) for s in range(3)}
    sections = sections_of(tmp_path, cells)
    row = table_of(sections, "Best test scores").rows[0]
    assert row[3] == "diverged [diverged, diverged]" and row[5].startswith("diverged [diverged, ")
    assert parts_of(sections, Curves)[0].lines[1].y == [-np.inf, -np.inf]


# ---- folders together


def test_folders_are_told_together(tmp_path):
    one = read(tmp_path / "one", {("peg", "naf", s): outcome([-2.0]) for s in range(2)})
    two = read(tmp_path / "two", {("peg", "ddpg", s): outcome([-3.0]) for s in range(2)})
    sections = paper_report.sections_of([one, two])
    assert table_of(sections, "Best test scores").rows[0][3] == "-3 [-3, -3]"
    assert table_of(sections, "Best test scores").rows[0][5] == "-2 [-2, -2]"
    (commands,) = parts_of(sections, Commands)
    assert commands.lines[-1] == f"reverie report {tmp_path / 'one'} {tmp_path / 'two'} -o report.html"


def test_folders_that_hold_the_same_contender_are_refused(tmp_path):
    one = read(tmp_path / "one", {("peg", "naf", 0): outcome([-2.0]), ("peg", "ddpg", 0): outcome([-2.0])})
    two = read(tmp_path / "two", {("peg", "naf", 1): outcome([-3.0])})
    with pytest.raises(ConfigError, match="holds peg/naf, as another of these folders does; leave one out") as told:
        paper_report.together([one, two])
    assert str(two.path) in str(told.value)
    other = read(tmp_path / "other", {("peg", "naf", 1): outcome([-3.0], error="it broke")})
    assert paper_report.together([one, other]).keys() == {
        ("peg", "naf"),
        ("peg", "ddpg"),
    }  # what failed is no contender


# ---- runs


NAF = rv.NAF(hidden=(8,), batch_size=4)
ENDED = {"terminated": 0, "truncated": 1, "seconds": 0.5}


def run(path, agent=NAF, seed=0, env="worlds:LinearWorld", scores=((100, -5.0), (200, -2.0)), film=None):
    """Lay out a run directory as training would; return its path."""
    spec = rv.EnvSpec(observation_dim=2, action_low=[-1], action_high=[1])
    directory = RunDirectory(path)
    path.mkdir()
    config = configuration(agent, env, spec, seed, tensorboard=False)
    directory.write_config(config.changed(command=f"reverie train {path.name}"), sign=False)
    table = File(directory.evaluations_file, evaluation.COLUMNS)
    for step, score in scores:
        table.append(
            {"step": step, "episode": step // 20, "return_mean": score, "return_std": 0.0, "returns": repr(score)}
        )
    table = File(directory.episodes_file, episodes.COLUMNS)
    for episode in range(1, 11):
        table.append({"step": 20 * episode, "episode": episode, "return": -1.0, "length": 20, **ENDED})
    if film is not None:
        (path / "film.mp4").write_bytes(film)
    return path


def test_runs_that_differ_in_seed_are_one_curve(tmp_path):
    paths = [
        run(tmp_path / f"run{s}", seed=s, scores=[(100, -5.0), (200, -2.0 - s), (300, 0.0)][: 3 - s]) for s in (0, 1)
    ]
    (section,) = runs_report.sections_of(paths)
    assert section.title == "worlds:LinearWorld"
    (curves,) = parts_of([section], Curves)
    (line,) = curves.lines
    assert (line.name, line.x, line.y) == ("naf", [100, 200], [-5.0, -2.5])  # where all were evaluated
    assert line.low[0] == line.high[0] == -5.0 and (line.low[1], line.high[1]) == (-3.0, -2.0)
    table = table_of([section], "Runs")
    assert table.rows == [
        [str(paths[0]), "naf", "0", "200", "10", "0", "0"],
        [str(paths[1]), "naf", "1", "200", "10", "-3", "-3"],
    ]
    assert parts_of([section], Commands)[0].lines == ["reverie train run0", "reverie train run1"]
    assert not parts_of([section], Films)


def test_runs_that_differ_otherwise_are_told_apart_by_what_differs(tmp_path):
    dreaming = rv.Imagination(NAF, rv.LinearGaussian(episodes=3))
    paths = [
        run(tmp_path / "plain"),
        run(tmp_path / "quick", dataclasses.replace(NAF, learning_rate=0.01)),
        run(tmp_path / "dreaming", dreaming, film=b"mp4"),
    ]
    (section,) = runs_report.sections_of(paths)
    (curves,) = parts_of([section], Curves)
    names = [line.name for line in curves.lines]
    assert len(set(names)) == 3 and "learning_rate=0.01" in names[1] and names[2].startswith("naf + linear")
    assert [row[0] for row in table_of([section], "Runs").rows] == list(map(str, paths))
    assert all(len(line.low) == len(line.high) == 0 for line in curves.lines)  # a seed each
    (film,) = parts_of([section], Films)[0].films
    assert film.title == "dreaming: film.mp4" and film.content == b"mp4"


def test_each_environment_has_its_section(tmp_path):
    paths = [
        run(tmp_path / "a", env="worlds:LinearWorld"),
        run(tmp_path / "b", env="worlds:Line"),
        run(tmp_path / "c", env=None),
        run(tmp_path / "d", env="worlds:Line", seed=1),
    ]
    found = runs_report.sections_of(paths)
    assert [section.title for section in found] == ["worlds:LinearWorld", "worlds:Line", "world"]
    assert [row[0] for row in table_of(found[1:2], "Runs").rows] == [str(paths[1]), str(paths[3])]


def test_a_run_without_evaluations_has_a_row_and_the_curve_of_its_training(tmp_path):
    (section,) = runs_report.sections_of([run(tmp_path / "run", scores=())])
    assert [curves.title for curves in parts_of([section], Curves)] == ["Training returns"]
    assert table_of([section], "Runs").rows[0][-2:] == [None, None]


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(StorageError, match=f"{tmp_path} holds no run"):
        runs_report.sections_of([tmp_path])


def test_runs_that_differ_in_a_fifth_setting_are_told_apart(tmp_path):
    many = {"batch_size": 5, "discount": 0.9, "hidden": (9,), "learning_rate": 0.01}
    agents = [NAF, dataclasses.replace(NAF, **many), dataclasses.replace(NAF, **many, noise_scale=0.5)]
    (section,) = runs_report.sections_of([run(tmp_path / str(i), agent) for i, agent in enumerate(agents)])
    assert len({line.name for line in parts_of([section], Curves)[0].lines}) == 3


def test_a_run_given_twice_is_one_run(tmp_path):
    path = run(tmp_path / "run")
    (section,) = runs_report.sections_of([path, path])
    assert len(table_of([section], "Runs").rows) == 1
