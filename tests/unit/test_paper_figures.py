"""Figures of the paper's experiments in the docs are those of the committed cells: tables, and numbers in sentences."""

import csv
import re

import numpy as np
import pytest

from reverie.experiments.analysis.statistics import difference, mean_score, number, times_to_common_goal
from reverie.maths.bootstrap import interquartile_mean
from studies.catalogue import MODULES, find
from studies.doc_tables import BLOCK, rewritten, short
from studies.paper_tables import FOLDER, TABLES, found
from studies.store import DATA, Store
from studies.study import ROOT

TABLED = [study for study in map(find, MODULES) if study.tables]
PAPER = find("paper")
CELLS = found()


def text_of(page):
    return (ROOT / page).read_text()


def flat(text):
    """Return a text in one line, as sentences are read."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("study", TABLED, ids=lambda study: study.name)
def test_tables_are_those_of_the_committed_data(study):
    for page in study.quoted:
        assert rewritten(text_of(page), study) == text_of(page), f"run: python -m studies tables {study.name}"


@pytest.mark.parametrize("study", TABLED, ids=lambda study: study.name)
def test_every_table_is_in_a_page(study):
    found = [BLOCK.findall(text_of(page)) for page in study.quoted]
    assert {name for blocks in found for owner, name in blocks if owner == study.name} == set(study.tables)


def test_a_table_that_is_wrong_is_written_again():
    page = "# Title\n\n<!-- python -m studies tables paper: rest -->\n\n| wrong |\n| --- |\n\nAfter it.\n"
    lines = "\n".join(TABLES["rest"]())
    assert rewritten(page, PAPER) == page.replace("| wrong |\n| --- |", lines)
    other = page.replace("paper: rest", "dyna: rest")
    assert rewritten(other, PAPER) == other


def test_figures_are_written_as_in_the_docs():
    assert short("0.5 [-0.25, 10.05]") == ".5 [-.25, 10.05]"
    assert short("1000 of 23456, -1234, 0") == "1,000 of 23,456, -1,234, 0"


# ---- numbers in sentences


def gap(domain, one, other, what="best"):
    return short(difference(getattr(CELLS[domain, one], what), getattr(CELLS[domain, other], what)))


def at(domain, name, episode):
    """Return the scores [S] after so many episodes."""
    curve = CELLS[domain, name]
    return curve.scores[:, curve.episodes == episode].mean(1)


def ends(values, form=number):
    """Return "LOW to HIGH"; of negative values, the one closer to 0 first."""
    low, high = sorted(map(float, values), key=abs)
    return f"{short(form(low))} to {short(form(high))}"


def span(values, form=number):
    finite = [float(value) for value in values if np.isfinite(value)]
    return ends((min(finite), max(finite)), form)


def whole(value):
    return f"{value:.0f}"


def two(value):
    return f"{value:.2g}"


def seeds(values, form=number):
    return [short(form(float(value))) for value in values]


def reproduce():
    """Yield the sentences, or parts of them, with figures of the cells."""
    shaped, plain = CELLS["reacher", "naf-p"], CELLS["reacher", "naf"]
    goal, sooner = times_to_common_goal(CELLS["reacher", "ddpg"], plain)
    yield f"NAF scores higher than DDPG in every pair of seeds, by {gap('reacher', 'naf', 'ddpg')}"
    yield f"ahead by {gap('swimmer6', 'ddpg', 'naf')}, and on cheetah, so far, by {gap('cheetah', 'ddpg', 'naf')}"
    yield f"to a score that both reach ({short(number(goal))}) is {number(sooner.value)} times fewer episodes"
    yield f"until episode 400, to a best of {short(number(mean_score(CELLS['peg', 'naf'].best).value))}"
    to_paper = [span(CELLS["peg", name].to(-0.438)) for name in ("naf", "ddpg")]
    yield f"-.438 after {to_paper[0]} episodes (the paper: 130; DDPG here: {to_paper[1]})"
    yield f"One seed of four still ends at {short(two(min(CELLS['cartpole', 'naf'].last)))}"
    yield f"one seed of DDPG falls back to {short(two(min(CELLS['peg', 'ddpg'].last)))} at the end"
    yield f"NAF is ahead there, by {gap('peg', 'naf', 'ddpg', 'last')}"
    first = interquartile_mean(at("reacher_single", "fitted", 20))
    yield f"imagination is at {short(two(float(first)))} after 20 episodes; plain NAF is there after 50"
    yield f"(by {gap('reacher_single', 'fitted', 'small-naf')} in best score, against the better one)"
    arm = CELLS["reacher_single", "neural"].to(mean_score(CELLS["reacher_single", "small-naf"].last).value)
    yield f"Networks reach that score sooner ({span(arm)} episodes)"
    naf = CELLS["swimmer6", "naf"]
    after = [interquartile_mean(at("swimmer6", "naf", n)) for n in (100, 150)]
    yield f"| .003 | {span(naf.scores.mean(1), whole)} | {after[0]:.0f} | {after[1]:.0f} |"
    *others, last = seeds(CELLS["swimmer6", "ddpg"].to(-172), whole)
    yield f"after {span(naf.to(-172)).split()[0]} episodes (the paper: 190)"
    yield f"DDPG passes it after {', '.join(others)} and {last}"
    yield swimmer_at_100()
    *_, early, late = sorted(CELLS["canada2d", "naf"].to(-6), reverse=True)
    yield f"Two seeds of NAF pass -6, after {late:.0f} and {early:.0f} episodes."
    yield f"all four are between {span(CELLS['canada2d', 'naf'].last).replace(' to ', ' and ')}"
    yield f"NAF's best minus DDPG's: {gap('canada2d', 'naf', 'ddpg')}"
    yield f"DDPG's cells are between {span(CELLS['canada2d', 'ddpg'].last).replace(' to ', ' and ')}"
    best, own = (f"{max(c.best, key=abs):.3f}".replace("0.", ".") for c in (plain, shaped))
    yield f"it reaches {best} to {short(f'{max(plain.best):.3f}')}, and the paper's"
    yield f"paper's -.331 after {span(plain.to(-0.331))} episodes; with"
    yield f"noise it is {own} to {short(f'{max(shaped.best):.3f}')}, after {span(shaped.to(-0.331))}"
    for name, words in (("true-imagined", "imagination"), ("true-mpc", "MPC's episodes alone")):
        yield f"| {words} | {gap('reacher', name, 'true-naf')} | {gap('canada2d', name, 'true-naf')} |"


def swimmer_at_100():
    naf, ddpg = (span(at("swimmer6", name, 100), whole) for name in ("naf", "ddpg"))
    return f"after 100 episodes its four seeds are at {naf}, and DDPG's at {ddpg}"


@pytest.mark.parametrize("phrase", list(reproduce()))
def test_sentences_of_the_page_have_the_figures_of_the_cells(phrase):
    assert phrase in flat(text_of("docs/reproduce.md"))


def cheetah():
    """Yield the rows on cheetah's four cells."""
    naf = CELLS["cheetah", "naf"]
    columns = [at("cheetah", "naf", 130), at("cheetah", "naf", 300), naf.best, at("cheetah", "naf", 1000)]
    yield "| unchanged | " + " | ".join(", ".join(short(f"{v:.1f}") for v in own) for own in columns) + " |"
    yield "| unchanged | " + " | ".join(short(f"{own[2]:.1f}") for own in columns) + " |"


@pytest.mark.parametrize("phrase", list(cheetah()))
def test_sentences_on_naf_have_the_figures_of_the_cells(phrase):
    assert phrase in flat(text_of("docs/naf.md"))


# Figures of the section that are no results of these cells: settings, the paper's, and those of other data.
OTHERS = {
    *("-.331", "-.438", "-6.23", "-4.21", "discount .95", ".05", ".003", ".001", ".02"),
    *("3.3 [1.7, 5.0]", "-189 [-219, -176]"),  # studies/data/imagine; cells of an earlier version
    *("4.0", "3.8", "6.3", "8.3", "4.8", "8.6", "6.0", "9.8"),
    *("-3.7", "-11.5", "-6.4"),
    *("noise .1 and 1", "learning rate of .0001", "scores .98"),  # settings; studies/data/baseline-scores
}


def walkers():
    """Return what the sentence on longer trials of walker2d says."""
    rows = [row for row in Store(find("trials")).rows() if re.fullmatch(r"walker2d-.*-300", row["name"])]
    names = {row["name"] for row in rows}
    best = {a: max(row["return_mean"] for row in rows if f"-{a}-" in row["name"]) for a in ("naf", "ddpg")}
    last = max(row["return_mean"] for row in rows if row["episode"] == 300)
    assert len(names) == 14
    return f"At best NAF reaches {best['naf']:.1f} and DDPG {best['ddpg']:.1f}; all fourteen end at {last:.1f} or less"


def test_the_sentence_on_longer_trials_of_walker2d_is_that_of_the_trials():
    assert walkers() in flat(text_of("docs/reproduce.md"))


def test_no_other_figure_stands_in_the_sections_on_what_was_found():
    text = text_of("docs/reproduce.md").partition("## What was found here")[2]
    rest = flat(re.sub(r"\]\([^)]*\)|`[^`]*`", "", BLOCK.sub("", text)))
    told = [re.sub(r"\]\([^)]*\)|`[^`]*`", "", phrase) for phrase in (*reproduce(), walkers())]
    for phrase in [*told, *sorted(OTHERS, key=len)[::-1]]:
        rest = rest.replace(phrase, "")
    assert re.findall(r"\S*\d*\.\d+\S*", rest) == []


def test_the_share_of_false_verdicts_is_the_committed_one():
    with (DATA / "intervals" / "intervals.csv").open() as file:
        share = {row["seeds"]: float(row["false_share"]) for row in csv.DictReader(file)}
    cells = [f"{100 * share[n] + 1e-9:.2g} %" for n in "23456"]
    assert (
        f"| seeds | 2 | 3 | 4 | 5 | 6 | |---|---|---|---|---|---| | excludes zero in | {' | '.join(cells)} |"
        in flat(text_of("docs/reproduce.md"))
    )


def test_the_folder_is_the_one_that_the_page_names():
    assert str(FOLDER.relative_to(ROOT)) in text_of("docs/reproduce.md")
