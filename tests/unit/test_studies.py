"""The studies: what is declared, what is committed, and what the command line says of both."""

import json
import re
from pathlib import Path

import pytest

from reverie.core.errors import ConfigError
from studies.__main__ import main, parsed
from studies.analyses import intervals
from studies.catalogue import MODULES, find, imagine, table
from studies.runner import CellError, fill
from studies.store import DATA, Store
from studies.study import DOCS, ROOT, Study, product

STUDIES = {name: find(name) for name in MODULES}
TABLES = [study for study in STUDIES.values() if study.columns]
NOT_RUN = {"pendulum-plain", "reacher-plain"}  # declared, but nobody has needed them yet
names = pytest.mark.parametrize("name", STUDIES)


def files_of(study):
    return [stem for stem in (*study.files, *study.more) if stem not in NOT_RUN]


def test_list_is_the_readmes_table(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed == table()
    assert printed in (ROOT / "studies" / "README.md").read_text()


def test_links_of_the_readme_lead_somewhere():
    readme = ROOT / "studies" / "README.md"
    links = re.findall(r"\]\(([^)#]+)", readme.read_text())
    assert links and all((readme.parent / link).exists() for link in links)


@names
def test_a_study_is_declared_whole(name):
    study = STUDIES[name]
    assert study.name == name and study.question.endswith("?") and study.scored
    assert study.variants and study.tasks and study.minutes > 0 and study.quoted
    assert len(set(study.cells)) == len(study.cells)
    assert all(len(cell) == len(study.key) for cell in study.cells)
    assert set(study.key) | set(study.sort_by) <= set(study.columns)


@names
def test_a_study_is_quoted_where_it_says(name):
    study = STUDIES[name]
    own = (
        rf"studies (?:run|plot|tables|verdict) {name}\b|studies/data/{name}/|studies/(?:analyses|catalogue)/{name}\.py"
    )
    pictures = "|".join(re.escape(picture) for picture in study.pictures)
    for file in study.quoted:
        text = (ROOT / file).read_text()
        assert re.search(own, text) or (pictures and re.search(pictures, text)), f"{file} does not name {name}"
    for picture in study.pictures:
        assert (DOCS / picture).exists()


@pytest.mark.parametrize("study", TABLES, ids=lambda study: study.name)
def test_the_data_are_read_and_written_byte_for_byte(study):
    store = Store(study)
    for stem in files_of(study):
        rows = store.read(stem)
        assert rows and store.table(rows) == store.path(stem).read_bytes()


def test_every_committed_table_belongs_to_a_study():
    declared = {Store(study).path(stem) for study in TABLES for stem in files_of(study)}
    declared |= {DATA / "paper" / name for name in ("cells.csv", "scores.csv")}
    assert declared == set(DATA.rglob("*.csv"))
    folders = {path.parent.name for path in DATA.rglob("*.json")}
    assert folders <= set(STUDIES)


@pytest.mark.parametrize("study", TABLES, ids=lambda study: study.name)
def test_committed_rows_belong_to_declared_cells(study):
    assert {study.cell_of(row) for row in Store(study).rows()} <= set(study.cells)


@names
def test_verdict_says_what_came_out(name, capsys):
    assert main(["verdict", name]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: {STUDIES[name].question}\n")
    assert len(said.splitlines()) > 2
    assert "nan" not in said.lower().split()


@pytest.mark.parametrize("study", TABLES, ids=lambda study: study.name)
def test_verdict_speaks_of_one_cell_alone(study):
    rows = Store(study).rows()
    first = [row for row in rows if study.cell_of(row) == study.cells[0]]
    assert first and list(study.verdict(first))
    if study.facts:
        json.dumps(study.facts(first))


@pytest.mark.parametrize("name", ["imagine", "critique", "pilqr-halves"])
def test_facts_are_those_that_were_committed(name):
    study = STUDIES[name]
    committed = json.loads((DATA / name / f"{name}.json").read_text())
    facts = json.loads(json.dumps(study.facts(Store(study).rows())))
    expected = committed["final" if name == "pilqr-halves" else "verdict"]
    if name != "pilqr-halves":
        assert facts == expected
        return
    for task, found in expected.items():
        for method, of in found.items():
            assert facts[task][method] == of | {"interval_95": pytest.approx(of["interval_95"], rel=1e-3)}


def test_settings_are_those_that_were_committed():
    study = STUDIES["normalisation"]
    for name in ("pendulum", "pendulum-batch", "double-pendulum-plain", "reacher"):
        committed = json.loads((DATA / "normalisation" / f"{name}.json").read_text())
        settings = study.settings(name)
        assert {key: settings[key] for key in committed if key in settings} == {
            key: value for key, value in committed.items() if key not in ("command", "versions")
        }


def run(store, cells, tell=lambda cell, row: None, jobs=1):
    fill(store.study, store, cells, jobs, tell)


def test_cells_are_those_that_were_committed(tmp_path, capsys):
    study = find("dyna")
    store = Store(study, tmp_path)
    assert main(["run", "dyna", "planning_steps=50", "run=29", "--data", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("50 29 episode 1 steps ") and printed[-1].startswith("50 planning steps: ")
    committed = [row for row in Store(study).rows() if study.cell_of(row) == (50, 29)]
    assert store.rows() == committed
    facts = json.loads((tmp_path / "dyna" / "dyna.json").read_text())
    assert facts["question"] == study.question and facts["versions"]["reverie"]


def test_an_interrupted_run_goes_on_and_equals_one_in_one_go(tmp_path):
    study, cells = find("dyna"), [(5, 0), (5, 1)]
    whole, parts = (Store(study, tmp_path / name) for name in ("whole", "parts"))
    run(whole, cells, jobs=2)

    def interrupt(cell, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(parts, cells, interrupt)
    assert len(parts.missing(cells)) == 1
    came = []
    run(parts, cells, lambda cell, row: came.append(cell))
    assert set(came) == {(5, 1)}
    assert parts.path("dyna").read_bytes() == whole.path("dyna").read_bytes()


def test_the_share_of_false_verdicts_is_near_the_committed_one():
    generator = intervals.np.random.default_rng(0)
    committed = Store(STUDIES["intervals"]).rows()
    assert [row["pairs"] for row in committed] == [intervals.PAIRS] * len(intervals.SEEDS)
    assert 0.1 < intervals.share(2, generator, 40) < 0.6  # 0.32 of 4,000


def test_a_failed_cell_is_named_and_the_others_are_kept(tmp_path):
    study, tries = find("dyna"), [(5, 0), (5, 99)]  # there is no run 99
    store = Store(study, tmp_path)
    with pytest.raises(CellError, match="1 cell failed, 5 99 first: dyna has no cell 5 99; the other cells are kept"):
        run(store, tries)
    assert store.missing(tries) == [(5, 99)]


def test_cells_are_chosen_by_column():
    study = find("imagine")
    assert study.chosen(["domain=reacher", "variant=plain,imagined"], seeds=1) == [
        ("reacher", "plain", 0),
        ("reacher", "imagined", 0),
    ]
    assert product(["a", "b"], ["x"], {"a": 2, "b": 1}) == (("a", "x", 0), ("b", "x", 0), ("a", "x", 1))
    with pytest.raises(ConfigError, match="unknown variant of imagine 'plane'; did you mean 'plain'"):
        study.chosen(["variant=plane"])
    with pytest.raises(ConfigError, match="unknown column of imagine 'domian'; did you mean 'domain'"):
        study.chosen(["domian=reacher"])
    with pytest.raises(ConfigError, match="write COLUMN=VALUE"):
        study.chosen(["reacher"])


WRONG = [
    (["verdcit"], "unknown verb 'verdcit'; did you mean 'verdict'?"),
    (["run", "imagin"], "unknown study 'imagin'; did you mean 'imagine'?"),
    (["plot", "nothing-like-it"], "`python -m studies list` names all"),
    (["plot", "tour", "ilgq"], "unknown picture of tour 'ilgq'; did you mean 'ilqg'?"),
    (["tables", "dyna"], "dyna has no tables in the docs; its figures: python -m studies verdict dyna"),
    (["plot", "trials"], "trials has no pictures; its figures: python -m studies verdict trials"),
    (["run", "tour"], "tour has pictures alone: python -m studies plot tour"),
    (["run", "paper", "seed=0"], "paper has no cells to choose from: leave out seed=0"),
    (["run", "dyna", "--jobs", "none"], "argument --jobs: 'none' is no whole number of at least 1"),
    (["run"], "the following arguments are required: NAME"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_words_get_one_line(words, said, capsys):
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert not out and error.startswith("studies: ") and said in error and error.count("\n") == 1


def test_a_study_without_data_says_how_to_make_them(tmp_path, capsys):
    assert main(["verdict", "imagine", "--data", str(tmp_path)]) == 2
    out, error = capsys.readouterr()
    assert not out and "imagine has no data in" in error and "python -m studies run imagine" in error


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["plot", "dyna", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_names_the_verbs(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(verb in printed for verb in ("list", "run", "plot", "tables", "verdict"))


@pytest.mark.parametrize("name", ["normalisation", "imagine", "critique", "pilqr-halves", "dyna"])
def test_plot_draws_every_picture_from_the_data(name, tmp_path, capsys):
    assert main(["plot", name, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(line) for line in printed] == [tmp_path / picture for picture in STUDIES[name].pictures]
    assert all(Path(line).read_bytes().startswith(b"\x89PNG") for line in printed)


def test_the_papers_pictures_are_drawn_by_name(tmp_path, capsys):
    assert main(["plot", "paper", "precision", "models", "--out", str(tmp_path)]) == 0
    assert [Path(line).name for line in capsys.readouterr().out.split()] == ["precision.png", "models.png"]


def test_the_setting_files_say_what_the_variants_are():
    settings = STUDIES["imagine"].settings("imagine")["settings"]
    assert set(settings["reacher"]["variants"]) == set(imagine.variants(imagine.SETTINGS["reacher"]))


def test_a_study_is_run_in_one_way():
    with pytest.raises(ValueError, match="two ways"):
        Study(
            name="x",
            question="?",
            variants=("a",),
            tasks=("b",),
            seeds=1,
            scored="s",
            minutes=1,
            quoted=("README.md",),
            columns=("seed",),
            measure=dict,
        )


def test_names_may_follow_an_option():
    options = parsed(["run", "dyna", "seed=0", "--jobs", "2", "variant=a"])
    assert (options.cells, options.jobs) == (["seed=0", "variant=a"], 2)
