"""What a study is: one question, what is compared, where, with which seeds, and what is scored.

A study with a table is run cell by cell.  A cell is one tuple of values of the key's columns, for instance (task, variant,
seed).  One process computes one cell, and `run(*cell)` yields its rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reverie.core.errors import ConfigError, unknown

ROOT = Path(__file__).parents[1]  # of the repository
DOCS = ROOT / "docs"

Cell = tuple[Any, ...]
Row = dict[str, Any]
Seeds = int | Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A declaration.  What it does not give has the default of a study that keeps a table of one file, NAME.csv."""

    name: str
    question: str
    variants: tuple[str, ...]  # what is compared
    tasks: tuple[str, ...]
    seeds: Seeds  # how many, or how many by task or by variant
    scored: str  # what a row of the table holds
    minutes: float  # that the committed rows took, one cell at a time
    quoted: tuple[str, ...]  # files in which its figures or pictures stand
    columns: tuple[str, ...] = ()  # of the table; none: it keeps no table
    key: tuple[str, ...] = ()  # the columns that name a cell
    cells: tuple[Cell, ...] = ()
    run: Callable[..., Iterator[Row]] | None = None  # (*cell) -> the cell's rows
    split: bool = False  # a file for each value of the first column of the key, named after it
    more: tuple[str, ...] = ()  # further files of the same columns, which nothing fills
    sort_by: tuple[str, ...] = ()  # columns that order the rows; none: the order of `cells`
    verdict: Callable[[list[Row]], Iterable[str]] | None = None  # lines that say what came out
    facts: Callable[[list[Row]], dict[str, Any]] | None = None  # the same as figures, for the settings file
    settings: Callable[[str], dict[str, Any]] | None = None  # what decides the numbers of a file
    pictures: Mapping[str, Callable[[list[Row], Path], None]] = field(default_factory=dict)  # by path below docs/
    tables: Mapping[str, Callable[[], list[str]]] = field(default_factory=dict)  # in `quoted`, as lines, by name
    commands: tuple[str, ...] = ()  # of `reverie`, which run the study if no cells do; each gets an --out
    measure: Callable[[], dict[str, Any]] | None = None  # figures of this machine, which no table keeps

    def __post_init__(self):
        if sum((bool(self.columns), bool(self.commands), self.measure is not None)) > 1:
            raise ValueError(f"{self.name} is run in two ways")

    @property
    def files(self) -> tuple[str, ...]:
        """The stems of the files that its table lies in."""
        if not self.columns:
            return ()
        return tuple(dict.fromkeys(cell[0] for cell in self.cells)) if self.split else (self.name,)

    def file_of(self, cell: Cell) -> str:
        """Return the stem of the file that holds a cell."""
        return cell[0] if self.split else self.name

    def cell_of(self, row: Row) -> Cell:
        """Return the cell that a row belongs to."""
        return tuple(row[column] for column in self.key)

    def parsed(self, words: Sequence[str]) -> Cell:
        """Return the declared cell whose values are written as `words`."""
        by_words = {tuple(map(str, cell)): cell for cell in self.cells}
        if (cell := by_words.get(tuple(words))) is None:
            raise ConfigError(f"{self.name} has no cell {' '.join(words)}")
        return cell

    def chosen(self, wanted: Iterable[str], seeds: int | None = None) -> list[Cell]:
        """Return the cells whose columns have wanted values.

        wanted: words such as "task=peg,reacher".  seeds: keep seeds below this number alone.  Raises ConfigError where a
        column or value is unknown.
        """
        cells = list(self.cells)
        for word in wanted:
            column, equals, values = word.partition("=")
            if not equals:
                raise ConfigError(f"{word!r} chooses nothing; write COLUMN=VALUE, for instance {self.example}")
            if column not in self.key:
                raise unknown(f"column of {self.name}", column, self.key)
            place = self.key.index(column)
            known = {str(cell[place]) for cell in self.cells}
            asked = values.split(",")
            for value in asked:
                if value not in known:
                    raise unknown(f"{column} of {self.name}", value, known)
            cells = [cell for cell in cells if str(cell[place]) in asked]
        if seeds is not None and "seed" in self.key:
            cells = [cell for cell in cells if cell[self.key.index("seed")] < seeds]
        return cells

    @property
    def example(self) -> str:
        """Words that choose some cells."""
        return f"{self.key[0]}={self.cells[0][0]}" if self.key else "nothing: it is run whole"


def product(tasks: Iterable[str], variants: Iterable[str], seeds: Seeds) -> tuple[Cell, ...]:
    """Return the cells (task, variant, seed), all of seed 0 first.  seeds: how many, or how many by task or by variant."""
    tasks, variants = tuple(tasks), tuple(variants)

    def most(task: str, variant: str) -> int:
        return seeds if isinstance(seeds, int) else seeds[task if task in seeds else variant]

    pairs = [(task, variant) for task in tasks for variant in variants]
    last = max(most(*pair) for pair in pairs)
    return tuple((*pair, seed) for seed in range(last) for pair in pairs if seed < most(*pair))
