"""How often the report's intervals see a difference between equals.

Best scores of two contenders are drawn from one normal distribution, and their difference is judged as claims are.  An
interval of 95 % that leaves out zero would be a verdict, and a false one.
"""

from collections.abc import Iterator

import numpy as np

from reverie.experiments.analysis.statistics import difference
from studies.study import Row, Study

SEEDS, PAIRS = (2, 3, 4, 5, 6, 10), 4000


def run() -> Iterator[Row]:
    """Yield a row for each number of seeds."""
    generator = np.random.default_rng(0)
    for seeds in SEEDS:
        yield {"seeds": seeds, "pairs": PAIRS, "false_share": share(seeds, generator)}


def share(seeds: int, generator: np.random.Generator, pairs: int = PAIRS) -> float:
    """Return in which share of pairs the interval leaves out zero."""
    gaps = [difference(*generator.standard_normal((2, seeds))) for _ in range(pairs)]
    return round(sum(gap.above or gap.below for gap in gaps) / pairs, 4)


def _verdict(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield f"{row['seeds']} seeds each: a false verdict in {row['false_share']:.2%} of {row['pairs']} pairs"


STUDY = Study(
    name="intervals",
    question="How often do the report's intervals see a difference between equals?",
    variants=tuple(f"{seeds} seeds" for seeds in SEEDS),
    tasks=("normal distribution",),
    seeds=1,
    scored="the share of pairs of equals whose interval leaves out zero",
    minutes=2,
    quoted=("docs/reproduce.md", "src/reverie/experiments/analysis/evidence.py"),
    columns=("seeds", "pairs", "false_share"),
    cells=((),),
    run=run,
    verdict=_verdict,
)
