"""How many points the learner needs, over several seeds: a table of verifications.

    python -m examples.beamline.seeds --first 20 --seeds 10 -o examples/beamline/seeds.csv

The same functions as in the shifts, but machine and learner are in one process, which saves the start of programs.
"""

import argparse
import contextlib
import csv
import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from examples.beamline import control, earlier_shifts, response_matrix
from examples.beamline.alignment import Verification, verify
from examples.beamline.link import Link
from examples.beamline.machine import Machine
from examples.beamline.server import Service, serve

POINTS = (100, 200, 300, 400, 500)
SPEED = 20.0


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


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description="Points that the learner needs, over several seeds.")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--logged", type=int, nargs="+", default=[0, 200], help="points of a log to learn from too")
    parser.add_argument("-o", "--output", type=Path, required=True, help="FILE.csv")
    options = parser.parse_args()
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
