"""Cells that are run with progress on stderr: what `reverie sweep` and `reverie reproduce` have in common."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple

from reverie.experiments.execution.cells import OnRow
from reverie.report.multi_progress import Key, MultiProgress

FAILED = 1  # exit status where a cell failed


class CellTexts(NamedTuple):
    """How progress shows cells of one kind."""

    key: Callable[[Any], Key]  # cell -> its name, in parts
    score: Callable[[Any, dict[str, Any]], tuple[int, int, float | None]]  # (cell, row) -> done, of how many, score
    ending: Callable[[Any], str]  # result -> how the cell ended


def run_cells(
    fill: Callable[[OnRow], Generator[tuple[Any, Any]]], progress: MultiProgress, texts: CellTexts
) -> list[tuple[Any, str]]:
    """Run cells to their end and show their progress; return (cell, error) for those that failed.

    fill: takes what is called with (cell, row) on the way, and yields each cell and its result once that is kept.
    """
    failed: list[tuple[Any, str]] = []
    try:
        with closing(fill(lambda cell, row: progress.score(texts.key(cell), *texts.score(cell, row)))) as run:
            for cell, result in run:
                progress.end(texts.key(cell), texts.ending(result))
                if result.error:
                    failed.append((cell, result.error))
    finally:
        progress.stop()
    return failed
