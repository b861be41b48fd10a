"""Cells of a domain that has changed since are named, and mixed with nothing."""

import dataclasses

import pytest

from result_folders import filled, outcome
from reverie.core.errors import ConfigError
from reverie.domains import DOMAINS
from reverie.experiments.analysis.paper_report import together
from reverie.experiments.execution import missing_runs
from reverie.experiments.execution.missing_runs import chosen, fill, prepare, settings_of
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.declaration import cells_of
from reverie.experiments.spec.paper import EXPERIMENTS
from reverie.training.provenance import versions

CELLS = cells_of(chosen(EXPERIMENTS["table1"].panels, ["cartpole", "peg"], ["naf", "random"]), 2, 20)


def folder(path):
    """Return a folder in which all cells are done, as versions wrote it that knew no versions of domains."""
    results = ResultsStore(path)
    results.open()
    settings = settings_of(CELLS)
    for own in settings.values():
        del own["domain_version"]
    results.declare(str(versions()["reverie"]), settings, "reverie reproduce table1")
    for cell in CELLS:
        results.add(cell.key, outcome([-3.0] * (cell.episodes // 10), film=b"old" if cell.seed == 0 else None))
    results.close()
    return ResultsStore(path)


@pytest.fixture
def changed(monkeypatch):
    """Change cartpole."""
    monkeypatch.setitem(DOMAINS, "cartpole", dataclasses.replace(DOMAINS["cartpole"], version=2))


def take_out(results, domain):
    """Delete the rows of a domain from cells.csv; return the folder as it is then."""
    rows = results.cells_file.read_text().splitlines(keepends=True)
    results.cells_file.write_text("".join(row for row in rows if not row.startswith(f"{domain},")))
    return ResultsStore(results.path)


def test_cells_of_the_domain_as_it_is_are_as_before(tmp_path):
    assert {own["domain_version"] for own in settings_of(CELLS).values()} == {1}
    results = folder(tmp_path)
    assert prepare(results, CELLS) == [] and together([results])


def test_an_older_domain_is_named_with_the_cells_that_would_be_made_anew(tmp_path, changed):
    with pytest.raises(ConfigError) as told:
        prepare(folder(tmp_path), CELLS)
    said = (
        f"{tmp_path} holds cells of an older cartpole, which has changed since: cartpole/naf (seeds 0 and 1), cartpole/random "
        f"(seeds 0 and 1) would be made anew; delete their rows from {tmp_path}/cells.csv, or choose another --out"
    )
    assert str(told.value) == said


def test_it_is_refused_also_where_only_others_are_asked_for(tmp_path, changed):
    with pytest.raises(ConfigError, match="holds cells of an older cartpole"):
        prepare(folder(tmp_path), [cell for cell in CELLS if cell.domain == "peg"])


def test_no_report_is_made_of_an_older_domain(tmp_path, changed):
    with pytest.raises(
        ConfigError, match=r"older cartpole.*cartpole/naf \(seeds 0 and 1\).*make them anew, or leave"
    ) as told:
        together([folder(tmp_path)])
    assert str(tmp_path) in str(told.value) and "\n" not in str(told.value)


def test_cells_that_were_taken_out_are_made_anew_from_nothing(tmp_path, changed, monkeypatch):
    results = take_out(folder(tmp_path), "cartpole")
    missing = prepare(results, CELLS)
    assert [cell.key for cell in missing] == [("cartpole", who, seed) for seed in (0, 1) for who in ("naf", "random")]
    half_done = results.work / "cartpole--naf--0" / "run"
    half_done.mkdir(parents=True)
    seen = []

    def run(cells, work, jobs, on_row):
        seen.append(half_done.exists())
        yield from ((cell, outcome([-1.0, -1.0])) for cell in cells)

    monkeypatch.setattr(missing_runs.local_backend, "run", run)
    results.open()
    assert len(list(fill(results, missing, "local", 1, lambda cell, row: None))) == 4
    results.close()
    assert seen == [False]
    found = ResultsStore(tmp_path)
    assert found.settings["cartpole/naf"]["domain_version"] == 2 and "domain_version" not in found.settings["peg/naf"]
    assert not found.film_file(("cartpole", "naf", 0)).exists() and found.film_file(("peg", "naf", 0)).exists()
    assert prepare(found, CELLS) == [] and together([found])


def test_other_settings_of_cells_that_were_taken_out_are_still_refused(tmp_path, changed):
    results = take_out(folder(tmp_path), "cartpole")
    with pytest.raises(ConfigError, match="holds cartpole/naf with episodes=20, not 30"):
        prepare(results, [cell._replace(episodes=30) for cell in CELLS if cell.variant.name == "naf"])


def test_a_domain_that_nobody_knows_any_more_has_no_version(tmp_path):
    results = filled(
        tmp_path, {("windmill", "naf", 0): outcome([-1.0])}, {"windmill/naf": {"episodes": 10, "test_seed": 1}}
    )
    assert together([results])
