"""What running cells costs, on an idle machine.

The same cells (NAF on peg, the paper's settings, seeds 0, 1, …) run one at a time, then two at a time.  Overhead: how much
longer that takes than the cells' own learning and testing, with imports, films and tables.  Throughput: how many times faster
two at a time are.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from reverie.experiments.execution import local_backend
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.declaration import DomainExperiment, cells_of
from reverie.experiments.spec.paper import NAF
from studies.study import Study

CELLS, EPISODES = 2, 60


def measure(seeds: int = CELLS, episodes: int = EPISODES) -> dict[str, Any]:
    """Return seconds (wall, and the cells' own) by cells at a time, overhead and throughput."""
    cells, found = cells_of([DomainExperiment("peg", episodes, (NAF,))], seeds), {}
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
    return found | {
        "overhead": round(one["wall"] / one["own"] - 1, 4),
        "throughput": round(one["wall"] / two["wall"], 3),
    }


STUDY = Study(
    name="overhead",
    question="What does running cells cost, and how much faster are two at a time?",
    variants=("one at a time", "two at a time"),
    tasks=("peg",),
    seeds=CELLS,
    scored="overhead and throughput on this machine, printed as JSON",
    minutes=5,
    quoted=("docs/reproduce.md",),
    measure=measure,
)
