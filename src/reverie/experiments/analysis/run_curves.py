"""Curves of single runs over their real steps: returns, evaluations, metrics, each with marks where something happened."""

from collections.abc import Sequence

import numpy as np

from reverie.core.words import count, listed
from reverie.experiments.analysis.metric_topics import by_topic
from reverie.experiments.analysis.run_data import RunData
from reverie.experiments.analysis.runs_report import moving_mean
from reverie.report.document import Curves, Line, Marks, Panels
from reverie.report.reduction import MOST, reduced, thinned
from reverie.training.evaluation import summary

STEPS = "real steps"
MOST_MARKS = 40  # of a run in one figure
WIDTH = 10  # episodes of a moving mean


def training(runs: Sequence[RunData]) -> list[Curves]:
    """Return the training returns, and the lengths of the episodes where they differ."""
    alone, lines = len(runs) == 1, list[Line]()
    for data in runs:
        steps, returns = data.returns()
        if not len(returns):
            continue
        width = min(WIDTH, len(returns))
        mean = reduced(*moving_mean(steps, returns, width))
        lines.append(Line(_of_mean(width) if alone else data.label, mean.x, mean.y))
        if alone and width > 1:
            lines.append(Line("each episode", *thinned(steps, returns), dots=True))
    if not lines:
        return []
    notes = ["Episodes that were learnt from, exploration included."]
    notes += [] if alone else [f"Lines are means of the last {count(WIDTH, 'episode')}."]
    notes += [_some(data) for data in runs if not data.episodes.is_whole]
    note = " ".join(notes)
    found = [Curves("Training returns", STEPS, "return of a training episode", lines, note=note, marks=marks_of(runs))]
    lengths = [(data, np.array([row["length"] for row in data.episodes.rows], float)) for data in runs]
    if any(len(set(own.tolist())) > 1 for _, own in lengths):
        drawn = [Line(data.label, *reduced(data.returns()[0], own)) for data, own in lengths if len(own)]
        found.append(_figure("Length of episodes", "steps of an episode", drawn, runs))
    return found


def _of_mean(width: int) -> str:
    return f"mean of the last {count(width, 'episode')}" if width > 1 else "each episode"


def _some(data: RunData) -> str:
    return f"Of {data.label}, {len(data.episodes.rows):,} of {data.episodes.total:,} episodes are drawn, evenly spaced."


def evaluations(runs: Sequence[RunData]) -> list[Curves]:
    """Return the means of evaluations with their 95 % intervals, and of a single run each return."""
    lines: list[Line] = []
    for data in runs:
        rows = data.evaluations.rows
        if not rows:
            continue
        found = [summary([float(part) for part in row["returns"].split(" ")]) for row in rows]
        steps = np.array([row["step"] for row in rows])
        kept = np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(int))
        low, high = ([_known(facts["interval_95"][i], facts["mean"]) for facts in found] for i in (0, 1))
        mean = [facts["mean"] for facts in found]
        x, y, below, above = ([values[i] for i in kept] for values in (steps.tolist(), mean, low, high))
        lines.append(Line("mean" if len(runs) == 1 else data.label, x, y, below, above))
        if len(runs) == 1 and any(len(facts["returns"]) > 1 for facts in found):
            each = [(step, value) for step, facts in zip(steps, found, strict=True) for value in facts["returns"]]
            lines.append(Line("each episode", *thinned(*np.array(each, float).T, most=2 * MOST), dots=True))
    if not lines:
        return []
    note = "Greedy test episodes. The band is the 95 % interval of the mean (Student's t)."
    return [Curves("Evaluations", STEPS, "return of a test episode", lines, note=note, marks=marks_of(runs))]


def _known(bound: float | None, mean: float) -> float:
    """Return a bound of an interval; of a single episode, which has none, its return."""
    return mean if bound is None else bound


def metrics(runs: Sequence[RunData]) -> list[tuple[str, list[str], Panels]]:
    """Return (title, sentences about columns that never change, figures) for each topic of the columns of metrics.csv."""
    names = [name for data in runs for name in (data.metrics.rows[-1] if data.metrics.rows else {})]
    found = []
    for title, columns in by_topic(names):
        figures, constant = list[Curves](), list[str]()
        for name, meaning in columns:
            values = [(data, *data.metric(name)) for data in runs]
            known = np.concatenate([own for _, _, own in values])
            if not len(known):
                continue
            if len(set(known.tolist())) == 1:
                constant.append(f"{name} was {known[0]:.4g} throughout{meaning and f' ({meaning})'}.")
                continue
            lines = [Line(data.label, *reduced(steps, own)) for data, steps, own in values if len(own)]
            figures.append(_figure(name, "", lines, runs, meaning))
        if figures or constant:
            found.append((title, constant, Panels(figures)))
    return found


def _figure(title: str, y_label: str, lines: Sequence[Line], runs: Sequence[RunData], note: str = "") -> Curves:
    ranged = any(len(line.low) for line in lines)
    note = note[:1].upper() + note[1:] + "." if note else ""
    note += " Means of stretches; the band is their range." if ranged else ""
    return Curves(title, STEPS, y_label, lines, note=note.strip(), marks=marks_of(runs), legend=len(runs) > 1)


def marks_of(runs: Sequence[RunData]) -> list[Marks]:
    """Return a mark for each step with events; of many steps only the first and the last ones."""
    found = []
    for data in runs:
        texts: dict[int, list[str]] = {}
        for row in data.events.rows:
            texts.setdefault(row["step"], []).append(f"{row['kind']}: {row['text']}")
        steps = list(texts)
        if len(steps) > MOST_MARKS:
            steps = [*steps[: MOST_MARKS // 2], *steps[-(MOST_MARKS // 2) :]]
        if steps:
            name, of = ("events", "") if len(runs) == 1 else (f"events of {data.label}", data.label)
            found.append(Marks(name, steps, [listed(texts[step], 3) for step in steps], of))
    return found
