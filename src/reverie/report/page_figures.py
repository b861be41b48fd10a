"""Curves of a page: their colours, the data that page.js draws, and the same in words and in a table."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from reverie.report.document import Curves, Line
from reverie.report.page_tables import NOTE, grid, if_any

LineStyles = dict[str, dict[str, int | None]]  # by name: colour (None: that of text) and dash

COLOURS = 7  # --line-0 to --line-6 of page.css
NO_COLOUR: dict[str, int | None] = {"colour": None}  # that of text
STYLES = 3 * COLOURS  # each colour solid, dotted and dash-dotted
SHOWN = 12  # values of a line in the table below a figure
NO_SCRIPT = "JavaScript draws the curves here; their figures are in the table below."


def looks_of(figures: Sequence[Curves]) -> LineStyles:
    """Give each name one colour and dash on the whole page, different from the other lines of its figures.

    All colours are used before one is shared.  Names that never occur in one figure share a colour before a line is
    dotted.
    """
    styles: dict[str, int] = {}
    groups = [[line.name for line in figure.lines] for figure in figures]
    for name in dict.fromkeys(name for group in groups for name in group):
        taken = {styles[other] for group in groups if name in group for other in group if other in styles}
        uses = Counter(styles.values())
        styles[name] = min(range(STYLES), key=lambda s: (s in taken, s // COLOURS, uses[s], s))
    looks: LineStyles = {name: {"colour": style % COLOURS, "dash": style // COLOURS} for name, style in styles.items()}
    for i, name in enumerate(dict.fromkeys(level.name for figure in figures for level in figure.levels)):
        looks.setdefault(name, {"colour": None, "dash": i})
    return looks


def figure(curves: Curves, looks: LineStyles) -> str:
    """Return a figure as HTML: what page.js draws, a label in words, and a table of some of its values."""
    data = json.dumps(_data(curves, looks), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<figure class="curves">{if_any(curves.title, "h3")}'
        f'<div class="figure" role="group" aria-label="{escape(_in_words(curves))}"></div>'
        f'<script type="application/json">{data}</script><noscript><p{NOTE}>{NO_SCRIPT}</p></noscript>'
        + if_any(curves.note, "p", NOTE)
        + f"<details><summary>The figures behind it</summary>{_behind(curves)}</details></figure>"
    )


def _data(curves: Curves, looks: LineStyles) -> dict[str, object]:
    """Return the data for page.js: numbers with no more digits than are visible, None for a gap."""

    def finite(value: float) -> float | None:
        return float(f"{value:.8g}") if math.isfinite(value) else None

    lines = [
        {"name": line.name, **looks[line.name], "dots": line.dots}
        | {axis: [finite(value) for value in getattr(line, axis)] for axis in ("x", "y", "low", "high")}
        for line in curves.lines
    ]
    levels = [{"name": name, **looks[name], "y": finite(y)} for name, y in curves.levels]
    marks = [
        {"name": name, "colour": looks.get(of, NO_COLOUR)["colour"], "x": list(map(finite, x)), "texts": list(texts)}
        for name, x, texts, of in curves.marks
    ]
    drawn: dict[str, object] = {"x": curves.x_label, "y": curves.y_label, "legend": curves.legend}
    return drawn | {"lines": lines, "levels": levels, "marks": marks}


def _in_words(curves: Curves) -> str:
    """Return a description of the figure for screen readers: its axes, its lines, and where each line ends."""
    ends = [f"{curves.title}: {curves.y_label} against {curves.x_label}"]
    for line in curves.lines:
        known = [i for i, y in enumerate(line.y) if math.isfinite(y)]
        end = [f"ends at {_value(line, i)}, {curves.x_label} {_number(line.x[i])}" for i in known[-1:]]
        ends.append(f"{line.name} {end[0] if end else 'has no values'}")
    ends += [f"{name} is at {_number(y)}" for name, y in curves.levels]
    ends += [f"{marks.name} at {', '.join(map(_number, marks.x))}" for marks in curves.marks if len(marks.x)]
    return "; ".join(ends) + "."


def _behind(curves: Curves) -> str:
    """Return a selection of the values in tables, one table for all lines with the same x."""
    groups: dict[tuple[float, ...], list[Line]] = {}
    for line in curves.lines:
        groups.setdefault(tuple(line.x), []).append(line)
    tables = ""
    for x, lines in groups.items():
        names = [line.name for line in lines]
        # all of them if there are few
        shown = sorted({round(i * (len(x) - 1) / (SHOWN - 1)) for i in range(SHOWN if x else 0)})
        some = f": {len(shown)} of {len(x)} points" if len(shown) < len(x) else ""
        caption = f"{curves.y_label} against {curves.x_label}{some}"
        rows = [[_number(x[i]), *(_value(line, i) for line in lines)] for i in shown]
        tables += grid(f"{curves.title}: {', '.join(names)}", caption, [curves.x_label, *names], rows)
    return tables + if_any("; ".join(f"{name}: {_number(y)}" for name, y in curves.levels), "p", NOTE)


def _value(line: Line, i: int) -> str | None:
    """Return value i of a line with its band in words, or None where there is no value."""
    if not math.isfinite(line.y[i]):
        return None
    return _number(line.y[i]) + (f" ({_number(line.low[i])} to {_number(line.high[i])})" if len(line.low) else "")


def _number(value: float) -> str:
    """Return a value as text, with a minus sign that screen readers read."""
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}"
    return text.replace("-", "−")
