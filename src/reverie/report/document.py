"""What a report says, apart from how it looks: sections of texts, tables, curves, films and verdicts, as plain data."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

VerdictKind = Literal["held", "did not hold", "undecided", "not measured"]


class Text(NamedTuple):
    """Paragraphs for people."""

    paragraphs: Sequence[str]


class Commands(NamedTuple):
    """Lines that one types into a terminal."""

    lines: Sequence[str]


class Table(NamedTuple):
    """Rows of cells: text as it is, None for what is not known.  The first column names the row."""

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


class Level(NamedTuple):
    """A value to compare with, drawn across the curves."""

    name: str
    y: float


class Curves(NamedTuple):
    """Curves over one axis."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    note: str = ""


class Film(NamedTuple):
    """A film, and what it shows in words."""

    title: str
    text: str
    mp4: bytes


class Films(NamedTuple):
    """Films side by side."""

    title: str
    films: Sequence[Film]


class Verdict(NamedTuple):
    """What became of a claim here."""

    claim: str  # its number, such as C1
    text: str  # what is claimed, in a sentence
    where: str  # in the paper
    outcome: VerdictKind
    evidence: Sequence[str]  # figures with intervals and numbers of seeds, a line each


class Verdicts(NamedTuple):
    """The claims, one by one."""

    title: str
    verdicts: Sequence[Verdict]


Part = Text | Commands | Table | Curves | Films | Verdicts


class Section(NamedTuple):
    """A heading and what is below it."""

    title: str
    parts: Sequence[Part]


class Document(NamedTuple):
    """The whole page."""

    title: str
    lead: str  # a sentence or two under the title
    sections: Sequence[Section]
