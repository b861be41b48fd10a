"""What a folder of a sweep has to say: a table of its settings, as facts, as text and as sections of a report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reverie.core.words import count
from reverie.experiments.analysis import runs_report
from reverie.experiments.analysis.statistics import number
from reverie.experiments.execution.sweep_store import SETTING, SweepStore
from reverie.experiments.execution.sweep_worker import WIDTH
from reverie.experiments.spec.sweep_grid import label
from reverie.report.document import Commands, Part, Section, Table, Text
from reverie.storage.run import RunDirectory
from reverie.training.evaluation import summary

COLUMNS = ("setting", "seeds", "mean of last evaluation", "95 % interval", "best")
NO_SETTINGS = "as given"  # the row of runs that differ in seed alone
DRAWN = 12  # settings whose curves a page shows: more cannot be told apart


class SettingResult(NamedTuple):
    """What the seeds of one combination of settings came to."""

    settings: dict[str, str]
    seeds: list[int]
    last: list[float | None]  # of each seed; None: it diverged, or was never scored
    mean: float | None  # over seeds; None where one of them has no score
    interval_95: Sequence[float | None]  # of the mean, by Student's t; [None, None] of one seed
    best: float | None  # the highest score that any seed ever had
    diverged: int
    runs: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """Return it for JSON."""
        return self._asdict()


def setting_results(store: SweepStore) -> list[SettingResult]:
    """Return the result of each combination that has a finished run, the highest mean first."""
    groups: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = {}
    for row in store.rows.values():
        settings = ((name.removeprefix(SETTING), row[name]) for name in sorted(row) if name.startswith(SETTING))
        groups.setdefault(tuple(pair for pair in settings if pair[1]), []).append(row)
    found = [_result(dict(settings), sorted(rows, key=lambda row: row["seed"])) for settings, rows in groups.items()]
    return sorted(found, key=lambda result: -math.inf if result.mean is None else result.mean, reverse=True)


def _result(settings: dict[str, str], rows: Sequence[Mapping[str, Any]]) -> SettingResult:
    last = [row["last"] for row in rows]
    mean, interval = None, [None, None]
    if None not in last:
        facts = summary(last)
        mean, interval = facts["mean"], facts["interval_95"]
    best = max((row["best"] for row in rows if row["best"] is not None), default=None)
    diverged = sum(row["status"] == "diverged" for row in rows)
    return SettingResult(
        settings, [row["seed"] for row in rows], last, mean, interval, best, diverged, [row["run"] for row in rows]
    )


def columns(store: SweepStore) -> tuple[str, ...]:
    """Return the names of the table's columns."""
    return COLUMNS if _evaluates(store) else tuple(_of_training(name) for name in COLUMNS)


def _evaluates(store: SweepStore) -> bool:
    return store.facts is None or bool(store.facts.asked.get("evaluate_every"))


def _of_training(name: str) -> str:
    return f"mean of last {WIDTH} returns" if "evaluation" in name else name


def common(combinations: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the settings that all of several combinations share; of one alone none, since it needs a name."""
    first = combinations[0] if len(combinations) > 1 else {}
    return {name: value for name, value in first.items() if all(own.get(name) == value for own in combinations)}


def table_rows(results: Sequence[SettingResult]) -> list[list[str | None]]:
    """Return the rows of the table; settings that all share are left out of the first column."""
    shared = common([result.settings for result in results])
    rows: list[list[str | None]] = []
    for result in results:
        name = label({key: value for key, value in result.settings.items() if key not in shared})
        low, high = result.interval_95
        interval = None if low is None or high is None else f"[{number(low)}, {number(high)}]"
        mean = None if result.mean is None else number(result.mean)
        if result.diverged:
            mean = f"{result.diverged} of {len(result.seeds)} diverged"
        best = None if result.best is None else number(result.best)
        rows.append([name or NO_SETTINGS, str(len(result.seeds)), mean, interval, best])
    return rows


def lines(store: SweepStore) -> list[str]:
    """Return the table as text."""
    results = setting_results(store)
    if not results:
        return []
    table = [list(columns(store)), *([cell or "-" for cell in row] for row in table_rows(results))]
    widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    shared = common([result.settings for result in results])
    return [*text, *([f"all with {label(shared)}"] if shared else [])]


def sections_of(stores: Sequence[SweepStore]) -> list[Section]:
    """Return the sections of some sweeps: the table, curves of the best settings, and how it was made."""
    return [section for store in stores for section in _sections(store)]


def _sections(store: SweepStore) -> list[Section]:
    results = setting_results(store)
    if store.facts is None or not results:
        return [Section(str(store.path), [Text(["No run has finished yet."])])]
    asked = store.facts.asked
    shared = common([result.settings for result in results])
    note = f"Scores are {_what(store)}. Intervals are Student's t over seeds. Best: the highest score that any seed ever had."
    note += f" All with {label(shared)}." if shared else ""
    parts: list[Part] = [Table("Settings", columns(store), table_rows(results), note)]
    shown = results[:DRAWN]
    if len(results) > DRAWN:
        parts.append(Text([f"Curves and runs: the {DRAWN} settings with the highest mean, of {len(results)}."]))
    directories = store.directories
    paths = [directories[name] for result in shown for name in result.runs if RunDirectory(directories[name]).holds_run]
    for section in runs_report.sections_of(paths):
        parts += [part for part in section.parts if not isinstance(part, Commands)]
    title = f"{asked.get('agent')} on {asked.get('env')}: {count(len(results), 'setting')}"
    return [Section(title, [*parts, Commands(store.facts.commands)])]


def _what(store: SweepStore) -> str:
    if not _evaluates(store):
        return f"means of {WIDTH} training returns, exploration included: these runs were not evaluated"
    return "mean returns of greedy test episodes"
