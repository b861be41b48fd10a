"""The page at the end: what was learnt from how many points, what the response matrix does beside it, and the books."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from examples.beamline import books
from examples.beamline.alignment import ALIGNED, SHOTS, Verification
from reverie.experiments.analysis import run_page
from reverie.experiments.analysis.run_data import runs_by_env
from reverie.logs.experience_arrays import experience_of
from reverie.report.document import Curves, Document, Level, Line, Section, Table
from reverie.report.page import write_page
from reverie.storage.run import RunDirectory


class ByHand(NamedTuple):
    """What the response-matrix controller did, and what it cost."""

    points: int
    verification: Verification


def verifications(file: Path) -> list[tuple[int, Verification]]:
    """Return points and verification after each shift."""
    with file.open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    return [
        (int(row["points"]), Verification(int(row["aligned"]), int(row["cases"]), float(row["shots"]))) for row in rows
    ]


def write(
    run: Path, log: Path, learnt: Sequence[tuple[int, Verification]], by_hand: ByHand, logged: int, output: Path
) -> None:
    """Write the page of a run: own sections first, then those of `reverie report`.

    learnt: points and verification after each shift.  logged: points of the log of earlier shifts.
    """
    count = books.compare(log, run)
    points, found = learnt[-1]
    hand = by_hand.verification
    lead = (
        f"NAF aligns the beam at {found.aligned} of {found.cases} settings after {points} real points and {logged} of a poor "
        f"controller's log; a response matrix does at {hand.aligned} after {by_hand.points}. The control program was "
        "stopped twice and killed once."
    )
    sections = [
        Section("What came out", [_results(learnt, by_hand), _progress(learnt, by_hand), _orbits(run)]),
        Section("What the machine did", [_machine(books.read_log(log), run)]),
        Section("Nothing lost", [_books(count)]),
        *run_page.sections_of(runs_by_env([run])),
    ]
    write_page(Document("Beam line: three shifts", lead, sections), output)


def _results(learnt: Sequence[tuple[int, Verification]], by_hand: ByHand) -> Table:
    rows = [(f"NAF, after shift {i}", *_cells(points, found)) for i, (points, found) in enumerate(learnt, 1)]
    rows.append(("response matrix", *_cells(by_hand.points, by_hand.verification)))
    note = (
        f"Verified without noise: each setting counts where the root mean square of the orbit falls below {ALIGNED} mm "
        f"within {SHOTS} shots. Points are shots with a reading that were learnt from; for the response matrix all shots."
    )
    return Table("Real points and verification", ("controller", "real points", "aligned", "shots needed"), rows, note)


def _cells(points: int, found: Verification) -> tuple[str, str, str]:
    return str(points), f"{found.aligned} of {found.cases}", f"{found.shots:.1f}"


def _progress(learnt: Sequence[tuple[int, Verification]], by_hand: ByHand) -> Curves:
    line = Line("NAF", [points for points, _ in learnt], [found.aligned for _, found in learnt])
    level = Level(f"response matrix, {by_hand.points} points", by_hand.verification.aligned)
    return Curves("Settings aligned after each shift", "real points", "settings aligned", [line], [level])


def _orbits(run: Path) -> Curves:
    """Draw the orbit at the first and at the last reading of each episode, with exploration."""
    found, spec = experience_of(RunDirectory(run))
    monitors = spec.observation_dim - spec.action_dim
    episodes = found.by_episode()
    before = [_rms(found.observations[part[0], :monitors]) for part in episodes]
    after = [_rms(found.next_observations[part[-1], :monitors]) for part in episodes]
    x = [float(found.step[part[-1]]) for part in episodes]
    lines = [Line("first reading", x, before), Line("last reading", x, after)]
    level = Level("aligned", ALIGNED)
    return Curves("Orbit while learning", "real points", "root mean square, mm", lines, [level])


def _rms(orbit: np.ndarray) -> float:
    return float(np.sqrt(np.mean(orbit**2)))


def _machine(rows: Sequence[dict[str, Any]], run: Path) -> Table:
    """Return a table of what the machine's log and the journal say, all programs together."""
    real = [row for row in rows if row.get("case") is None]
    kinds = Counter(row.get("failed") or row["kind"] for row in real)
    found, spec = experience_of(RunDirectory(run))
    gaps = np.abs(found.asked - found.actions)
    cells = [
        ("shots with a reading, all programs", str(kinds["shot"])),
        ("shots that failed", str(kinds["no reading"])),
        ("beam losses", str(kinds["beam lost"])),
        ("hours between shifts", f"{sum(row['hours'] for row in rows if row['kind'] == 'wait'):g}"),
    ]
    cells += [
        (
            f"{name}: asked and executed apart, median and 95 %",
            f"{np.median(gap):.3f} A, {np.quantile(gap, 0.95):.3f} A",
        )
        for name, gap in zip(spec.actuator_names, gaps.T, strict=True)
    ]
    return Table("Counted in the machine's log and in the journal", ("what", "how much"), cells)


def _books(count: books.Count) -> Table:
    meanings = {
        "acknowledged": "shots of which the control program said that it had learnt from them",
        "journalled": "transitions in the journal",
        "lost": "acknowledged, but not in the journal",
        "doubled": "in the journal more than once",
        "foreign": "in the journal, but not in the machine's log",
        "cut_off": "read, but not learnt from: the program was killed in between",
    }
    rows = [(meanings[name], str(value)) for name, value in count._asdict().items()]
    return Table("The machine's log against the learner's journal", ("shots", "number"), rows)
