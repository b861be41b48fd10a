"""The page of one run, or of several side by side: everything that their tables, journals and films show."""

from collections import Counter
from collections.abc import Mapping, Sequence

from reverie.core.words import count
from reverie.experiments.analysis import run_curves
from reverie.experiments.analysis.run_actions import actions_of
from reverie.experiments.analysis.run_data import RunData
from reverie.experiments.analysis.run_films import films_of
from reverie.experiments.analysis.runs_report import by_settings, curves_of, table_of
from reverie.report.document import Commands, Panels, Part, Section, Table, Text

MOST_RUNS = 8  # drawn one by one: more cannot be told apart
MOST_EVENTS = 100  # rows of a table
WAITING = "Waiting for the first episode: none has ended yet."


def sections_of(groups: Mapping[str, Sequence[RunData]]) -> list[Section]:
    """Return the sections about some runs.  groups: runs by environment.

    Raises StorageError where a table or a film cannot be read.
    """
    found: list[Section] = []
    for env, runs in groups.items():
        first, *others = _sections(env, runs)
        named = [section._replace(title=f"{env}: {section.title.lower()}") for section in others]
        found += [first, *(named if len(groups) > 1 else others)]
    return found


def heading(groups: Mapping[str, Sequence[RunData]]) -> tuple[str, str]:
    """Return the title of a page about some runs, and in a sentence how far they have come."""
    runs = [data for own in groups.values() for data in own]
    if len(runs) != 1:
        return "Runs", f"{count(len(runs), 'run')}."
    (data,) = runs
    goal = "" if data.goal is None else f" of {data.goal:,}"
    ended = data.episodes.total
    steps = "step" if data.steps == 1 and not goal else "steps"
    far = f"{data.steps:,}{goal} " + steps + f", {ended:,} episode{'' if ended == 1 else 's'}"
    return f"Run {data.label}", f"{data.config.agent.name} on {data.env}: {far}."


def _sections(env: str, runs: Sequence[RunData]) -> list[Section]:
    """Return the sections of runs on one environment, the table of all runs first."""
    groups, drawn = by_settings(runs), runs[:MOST_RUNS]
    over_seeds = curves_of(groups) if any(len(own) > 1 for _, own in groups) else []
    notes: list[Part] = [] if any(data.episodes.total for data in runs) else [Text([WAITING])]
    if len(runs) > len(drawn):
        notes.append(Text([f"The other curves are those of the first {MOST_RUNS}, of {count(len(runs), 'run')}."]))
    sections = [
        Section(env, [*notes, *over_seeds, table_of(groups)]),
        Section("Training", _training(drawn)),
        Section("Evaluations", run_curves.evaluations(drawn)),
        *_metrics(drawn),
        Section("Asked and executed", [part for data in drawn for part in actions_of(data, len(runs) == 1)]),
        Section("Events", _events(runs)),
        Section("Films", films_of(runs, title="")),
        Section("Commands", [Commands([data.config.command for data in runs])]),
    ]
    return [section for section in sections if section.parts]


def _training(runs: Sequence[RunData]) -> list[Part]:
    figures = run_curves.training(runs)
    return [*figures[:1], *([Panels(figures[1:])] if len(figures) > 1 else [])]


def _metrics(runs: Sequence[RunData]) -> list[Section]:
    return [
        Section(title, [*([figures] if figures.figures else []), *([Text(constant)] if constant else [])])
        for title, constant, figures in run_curves.metrics(runs)
    ]


def _events(runs: Sequence[RunData]) -> list[Part]:
    """Return a table of what was noticed, the newest first."""
    rows = [(data.label, row) for data in runs for row in data.events.rows]
    if not rows:
        return [Text(["Nothing was noticed."])]
    kinds = Counter(row["kind"] for _, row in rows)
    rows.sort(key=lambda found: found[1]["step"], reverse=True)
    total = sum(data.events.total for data in runs)
    note = "In all: " + ", ".join(f"{kind} ({number})" for kind, number in kinds.most_common()) + "."
    note += f" Shown are the newest {MOST_EVENTS} of {total:,}." if total > MOST_EVENTS else ""
    columns = ("step", "episode", "kind", "text")
    cells = [[str(row[name]) for name in columns] for _, row in rows[:MOST_EVENTS]]
    if len(runs) > 1:
        columns = ("run", *columns)
        cells = [[label, *own] for (label, _), own in zip(rows, cells, strict=False)]
    return [Table("What was noticed", columns, cells, note)]
