"""How many points the learner needs, over several seeds: a table of verifications.

    python -m examples.beamline.seeds --first 20 --seeds 10 -o examples/beamline/seeds.csv
    python -m examples.beamline.seeds --read examples/beamline/seeds.csv

The second command measures nothing and prints what a table says.  The functions are those of the shifts, but machine and
learner are in one process, which saves the start of programs.
"""

import argparse
import contextlib
import csv
import itertools
import math
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from examples.beamline import control, earlier_shifts, response_matrix
from examples.beamline.alignment import Verification, verify
from examples.beamline.link import Link
from examples.beamline.machine import Machine
from examples.beamline.server import Service, serve
from reverie.maths.bootstrap import interval

POINTS = (100, 200, 300, 400, 500)
SPEED = 20.0
LEVELS = (25, 35, 45)  # cases aligned, of 50


def measured(seed: int, folder: Path, logged: int) -> Iterator[tuple[str, int, Verification]]:
    """Yield controller, points and verification for one seed of machine and learner.

    logged: points of a log of earlier shifts, which the learner learns from too; 0: it has none.
    """
    with (
        contextlib.closing(Service(Machine(seed=seed), folder / "machine.jsonl", SPEED)) as service,
        serve(service) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Link(server.server_address[1]) as link:
            by_hand = response_matrix.measure(link)
            correct = response_matrix.controller(link, by_hand.response)
            yield "response matrix", by_hand.points, verify(link, correct)
            earlier = folder / "earlier.csv" if logged else None
            if earlier is not None:
                earlier_shifts.write(link, logged, earlier, seed)
            with control.open_learner(folder / "learner", link.line, seed, earlier) as learner:
                for until in POINTS:
                    control.shift(learner, link, until)
                    yield "naf", learner.steps, control.verified(learner, link)
        server.shutdown()


def needed(rows: list[dict[str, str]], logged: str, level: int) -> np.ndarray:
    """Return the real points [S] after which each seed first had `level` cases aligned; never: inf."""
    found: dict[str, float] = {}
    for row in rows:
        if row["controller"] == "naf" and row["logged"] == logged:
            reached = int(row["points"]) if int(row["aligned"]) >= level else math.inf
            found[row["seed"]] = min(found.get(row["seed"], math.inf), reached)
    return np.array([found[seed] for seed in sorted(found)])


def summary(rows: list[dict[str, str]]) -> Iterator[str]:
    """Yield, for each log of a table, how many real points were needed beside those without one, seed by seed."""
    for logged in sorted({row["logged"] for row in rows} - {"0"}, key=int):
        for level in LEVELS:
            without, with_log = needed(rows, "0", level), needed(rows, logged, level)

            def ratio(seeds: np.ndarray, one: np.ndarray = with_log, other: np.ndarray = without) -> np.ndarray:
                return one[seeds].mean(-1) / other[seeds].mean(-1)

            seeds = np.arange(len(without))
            low, high = interval(ratio, [seeds], np.random.default_rng(0))
            yield (
                f"{level} aligned: {without.mean():.0f} points without a log, {with_log.mean():.0f} with {logged} logged "
                f"ones; ratio {ratio(seeds):.2f} ({low:.2f} ... {high:.2f})"
            )


def main() -> None:
    """Measure, and write the table; or print what one says."""
    parser = argparse.ArgumentParser(description="Points that the learner needs, over several seeds.")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--logged", type=int, nargs="+", default=[0, 200], help="points of a log to learn from too")
    goes_to = parser.add_mutually_exclusive_group(required=True)
    goes_to.add_argument("-o", "--output", type=Path, help="FILE.csv")
    goes_to.add_argument("--read", type=Path, help="print what FILE.csv says")
    options = parser.parse_args()
    if options.read is not None:
        with options.read.open(newline="", encoding="utf-8") as table:
            print(*summary(list(csv.DictReader(table))), sep="\n")
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("seed", "logged", "controller", "points", *Verification._fields))
        for logged, seed in itertools.product(options.logged, range(options.first, options.first + options.seeds)):
            with tempfile.TemporaryDirectory() as folder:
                for controller, points, found in measured(seed, Path(folder), logged):
                    cells = (found.aligned, found.cases, f"{found.shots:.2f}")
                    rows.writerow((seed, logged, controller, points, *cells))
                    table.flush()


if __name__ == "__main__":
    main()
