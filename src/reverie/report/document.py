"""The content of a report as plain data: sections of texts, tables, curves, films and verdicts."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

FilmKind = Literal["mp4", "gif"]
VerdictKind = Literal["held", "did not hold", "undecided", "not measured"]


class Text(NamedTuple):
    """Paragraphs for people."""

    paragraphs: Sequence[str]


class Commands(NamedTuple):
    """Lines to type in a terminal."""

    lines: Sequence[str]


class Table(NamedTuple):
    """Rows of cells: text, or None for an unknown value.  The first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    note: str = ""


class Line(NamedTuple):
    """A curve with its band: y [K] at x [K], low and high [K] (empty: no band)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dots: bool = False  # single points, which no line joins


class Level(NamedTuple):
    """A reference value, drawn across the curves."""

    name: str
    y: float


class Marks(NamedTuple):
    """Moments, drawn as lines from bottom to top: texts [K] at x [K].  They take the colour of the line called `of`."""

    name: str
    x: Sequence[float]
    texts: Sequence[str]
    of: str = ""


class Curves(NamedTuple):
    """Curves over one axis."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    note: str = ""
    marks: Sequence[Marks] = ()
    legend: bool = True  # whether names are shown: where there is one line, its title may say all


class Panels(NamedTuple):
    """Small figures, side by side where there is room."""

    figures: Sequence[Curves]


class Film(NamedTuple):
    """A film and its description."""

    title: str
    text: str
    content: bytes
    kind: FilmKind = "mp4"


class Films(NamedTuple):
    """Films side by side."""

    title: str
    films: Sequence[Film]


class Verdict(NamedTuple):
    """The verdict on one claim."""

    claim: str  # its number, such as C1
    text: str  # what is claimed, in one sentence
    where: str  # in the paper
    outcome: VerdictKind
    evidence: Sequence[str]  # numbers with intervals and counts of seeds, one per line
    so_far: str = (
        ""  # of an undecided claim that seeds alone would settle: "held" or "did not hold", by those there are
    )


class Verdicts(NamedTuple):
    """Verdicts on several claims."""

    title: str
    verdicts: Sequence[Verdict]


Part = Text | Commands | Table | Curves | Panels | Films | Verdicts


class Section(NamedTuple):
    """A heading and the parts below it."""

    title: str
    parts: Sequence[Part]


class Document(NamedTuple):
    """The whole page."""

    title: str
    lead: str  # a few sentences under the title
    sections: Sequence[Section]
