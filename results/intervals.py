"""How often the report's intervals see a difference between equals: `python results/intervals.py` fills `intervals.csv`.

Best scores of two contenders are drawn from one normal distribution, and their difference is judged as claims are: an
interval of 95 % that leaves out zero would be a verdict, and a false one.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from reverie.experiments.analysis.statistics import difference

FILE = Path(__file__).with_suffix(".csv")
SEEDS, PAIRS = (2, 3, 4, 5, 6, 10), 4000


def main() -> None:
    """Fill the table, and print it."""
    generator = np.random.default_rng(0)
    with open(FILE, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        for row in (("seeds", "pairs", "false_share"), *((n, PAIRS, share(n, generator)) for n in SEEDS)):
            table.writerow(row)
            print(*row, file=sys.stderr)


def share(seeds: int, generator: np.random.Generator) -> float:
    """Return in which share of pairs the interval leaves out zero."""
    gaps = [difference(*generator.standard_normal((2, seeds))) for _ in range(PAIRS)]
    return round(sum(gap.above or gap.below for gap in gaps) / PAIRS, 4)


if __name__ == "__main__":
    main()
