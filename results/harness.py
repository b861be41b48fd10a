"""What does running cells cost?  `python results/harness.py [--cells N] [--episodes N]` prints it as JSON, on an idle machine.

The same cells (NAF on peg, the paper's settings, seeds 0, 1, …) one at a time, then two at a time.  Overhead: how much longer
that takes than the cells' own learning and testing, with imports, films and tables.  Throughput: how many times faster two are.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from reverie.experiments.execution import local_backend
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.declaration import DomainExperiment, cells_of
from reverie.experiments.spec.paper import NAF


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--episodes", type=int, default=150)
    options = parser.parse_args()
    cells, found = cells_of([DomainExperiment("peg", options.episodes, (NAF,))], options.cells), {}
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as name:
            results, began = ResultsStore(Path(name)), time.monotonic()
            results.open()
            own = 0.0
            for cell, outcome in local_backend.run(cells, results.work, jobs, lambda cell, row: None):
                results.add(cell.key, outcome)
                own += float(outcome.rows[-1]["seconds"])
            results.close()
            found[jobs] = {"wall": round(time.monotonic() - began, 1), "own": round(own, 1)}
    one, two = found[1], found[2]
    found["overhead"] = round(one["wall"] / one["own"] - 1, 4)
    found["throughput"] = round(one["wall"] / two["wall"], 3)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
