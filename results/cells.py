"""A table of cells, as the experiments here keep theirs: rows of (whose, which, seed, when, return_mean, seconds).

A cell is what one process trains; it is added whole when it ends, so that a call cut short goes on where it was.
"""

import csv
from pathlib import Path
from typing import Any

KINDS = (str, str, int, int, float, float)  # of the columns


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV; none where there is no file yet."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        table = csv.DictReader(lines)
        columns = table.fieldnames or ()
        return [{c: k(row[c]) for c, k in zip(columns, KINDS, strict=True)} for row in table]


def add(file: Path, new: list[dict[str, Any]]) -> None:
    """Write the file's rows and new ones, in order: of the file as it is now, for another call may fill it too."""
    columns = list(new[0])
    rows = sorted([*read(file), *new], key=lambda row: [row[c] for c in columns[:4]])
    with file.open("w", newline="") as lines:
        table = csv.DictWriter(lines, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
