"""The report as one self-contained page: no network, no other files, and readable without JavaScript."""

import base64
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.report.document import Commands, Curves, Document, Film, Films, Line, Part, Section, Table, Text, Verdicts
from reverie.storage.output_file import output_at

LineStyles = dict[str, dict[str, int | None]]  # by name: colour (None: that of text) and dash

COLOURS = 7  # --line-0 to --line-6 of page.css
STYLES = 3 * COLOURS  # each colour solid, dotted and dash-dotted
NOTE = ' class="note"'
SHOWN = 12  # values of a line in the table below a figure
SYMBOLS = {"held": "✓", "did not hold": "✗", "undecided": "?", "not measured": "–"}
# a number, with no words but short ones such as "of" and "ms"
NUMERIC = re.compile(r"[-+−±<>≤≥≈~(\[ ]*(\d|\.\d|inf|nan)(?!.*[^\W\d_]{5})")
HINT = (
    "In the curves, click a name, or press Enter on it, to hide its line or to bring it back; double-click it to see that line "
    "alone."
)
NO_SCRIPT = "JavaScript draws the curves here; their figures are in the table below."


def write_page(document: Document, output: Path) -> int:
    """Write the page, completely or not at all; return its size in bytes.

    Raises ConfigError where there are curves and plotly is missing, StorageError where `output` cannot be written.
    """
    place = output_at(output)
    data = html_of(document).encode("utf-8", "replace")
    place.write(data)
    return len(data)


def html_of(document: Document) -> str:
    """Return the page as HTML.  Its security policy forbids all network access and all scripts but those put here."""
    figures = [part for section in document.sections for part in section.parts if isinstance(part, Curves)]
    looks = _looks(figures)
    sections = list(zip(_anchors(document.sections), document.sections, strict=True))
    scripts = [_plotly(), _asset("page.js")] if figures else []
    contents = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, (title, _) in sections)
    body = "\n".join(_section(anchor, section, looks) for anchor, section in sections)
    return f"""<!DOCTYPE html>
<html lang="en"><head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(document.title)}</title>
<link rel="icon" href="data:,">
<style>{_asset("page.css")}</style>
</head><body>
<a class="skip" href="#main">Skip to the content</a>
<header><h1>{escape(document.title)}</h1><p class="lead">{escape(document.lead)}</p></header>
<nav aria-label="Contents"><p>Contents</p><ol>{contents}</ol></nav>
<main id="main" tabindex="-1">
{body}
</main>
{f"<footer><p>{HINT}</p></footer>" if figures else ""}{"".join(f"<script>{script}</script>" for script in scripts)}
</body></html>
"""


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ConfigError("the report's curves need a package: pip install 'reverie[report]'") from None
    return _inside_script(get_plotlyjs())


def _asset(name: str) -> str:
    return _inside_script(resources.files("reverie.report").joinpath(name).read_text(encoding="utf-8"))


def _inside_script(code: str) -> str:
    """Return code as the browser will read it, so that its hash matches: no early end tag, and one kind of line end."""
    return re.sub("</(?=script|style)", r"<\\/", code, flags=re.IGNORECASE).replace("\r\n", "\n").replace("\r", "\n")


def _policy(scripts: Sequence[str]) -> str:
    """Return the security policy: only these scripts and what is in the page itself may load.

    Inline styles are allowed, since plotly writes some.
    """
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; media-src data:"


def _anchors(sections: Sequence[Section]) -> list[str]:
    """Return a stable link name per section: the letters of its title, with a number where the name is taken."""
    anchors = ["main"]
    for i, section in enumerate(sections):
        anchor = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        anchors.append(f"{anchor}--{i}" if anchor in anchors else anchor)
    return anchors[1:]


def _section(anchor: str, section: Section, looks: LineStyles) -> str:
    raise_if_interrupted()
    parts = "\n".join(_part(part, looks) for part in section.parts)
    return f'<section id="{anchor}">\n<h2>{escape(section.title)}</h2>\n{parts}\n</section>'


def _part(part: Part, looks: LineStyles) -> str:
    match part:
        case Text(paragraphs):
            return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
        case Commands(lines):
            code = "\n".join(f"<code>{escape(line)}</code>" for line in lines)
            return f'<pre role="region" tabindex="0" aria-label="Commands">{code}</pre>'
        case Table(title, columns, rows, note):
            return _grid(title, title, columns, rows) + _if_any(note, "p", NOTE)
        case Curves():
            return _curves(part, looks)
        case Films(title, films):
            return f'{_if_any(title, "h3")}<div class="films">{"".join(map(_film, films))}</div>'
        case Verdicts():
            return _verdicts(part)


def _if_any(text: str, tag: str, kind: str = "") -> str:
    return f"<{tag}{kind}>{escape(text)}</{tag}>" if text else ""


def _grid(name: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """Return a table that scrolls sideways on narrow screens, also by keyboard; numeric columns are right-aligned."""
    known = [[row[i] for row in rows if row[i] is not None] for i in range(len(columns))]
    kinds = [' class="number"' if cells and all(NUMERIC.match(c or "") for c in cells) else "" for cells in known]
    head = "".join(f'<th scope="col"{kind}>{escape(c)}</th>' for c, kind in zip(columns, kinds, strict=True))
    body = ""
    for row in rows:
        first, *rest = ("–" if cell is None else escape(cell) for cell in row)
        cells = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(rest, kinds[1:], strict=True))
        body += f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>\n'
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}"><table>'
        f"<caption><span>{escape(caption)}</span></caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _film(film: Film) -> str:
    source = (
        "data:video/mp4;base64," + base64.b64encode(film.mp4).decode() + "#t=0.001"
    )  # without this, iOS shows no first picture
    return (
        f'<figure><video controls preload="metadata" playsinline muted loop src="{source}"'
        f' aria-label="{escape(film.title)}: {escape(film.text)}"></video>'
        f"<figcaption><strong>{escape(film.title)}</strong> {escape(film.text)}</figcaption></figure>"
    )


def _verdicts(verdicts: Verdicts) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts.verdicts)
    tally = "".join(f"<li><b>{counts[outcome]}</b> {_outcome(outcome)}</li>" for outcome in SYMBOLS if counts[outcome])
    cards = "\n".join(
        f'<li data-outcome="{outcome}"><p>{_outcome(outcome)}</p><div><p><b>{escape(claim)}</b> {escape(text)}</p>'
        f'<ul class="evidence">{"".join(f"<li>{escape(line)}</li>" for line in evidence)}</ul>'
        f'<p class="where">{escape(where)}</p></div></li>'
        for claim, text, where, outcome, evidence in verdicts.verdicts
    )
    return f'{_if_any(verdicts.title, "h3")}<ul class="tally">{tally}</ul>\n<ul class="verdicts">{cards}</ul>'


def _outcome(outcome: str) -> str:
    symbol = f'<span aria-hidden="true">{SYMBOLS[outcome]}</span>'
    return f'<span class="outcome" data-outcome="{outcome}">{symbol} {outcome}</span>'


def _looks(figures: Sequence[Curves]) -> LineStyles:
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


def _curves(curves: Curves, looks: LineStyles) -> str:
    data = json.dumps(_data(curves, looks), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<figure class="curves">{_if_any(curves.title, "h3")}'
        f'<div class="figure" role="group" aria-label="{escape(_in_words(curves))}"></div>'
        f'<script type="application/json">{data}</script><noscript><p{NOTE}>{NO_SCRIPT}</p></noscript>'
        + _if_any(curves.note, "p", NOTE)
        + f"<details><summary>The figures behind it</summary>{_behind(curves)}</details></figure>"
    )


def _data(curves: Curves, looks: LineStyles) -> dict[str, object]:
    """Return the data for page.js: numbers with no more digits than are visible, None for a gap."""

    def finite(value: float) -> float | None:
        return float(f"{value:.8g}") if math.isfinite(value) else None

    lines = [
        {"name": line.name, **looks[line.name]}
        | {axis: [finite(value) for value in getattr(line, axis)] for axis in ("x", "y", "low", "high")}
        for line in curves.lines
    ]
    levels = [{"name": name, **looks[name], "y": finite(y)} for name, y in curves.levels]
    return {"x": curves.x_label, "y": curves.y_label, "lines": lines, "levels": levels}


def _in_words(curves: Curves) -> str:
    """Return a description of the figure for screen readers: its axes, its lines, and where each line ends."""
    ends = [f"{curves.title}: {curves.y_label} against {curves.x_label}"]
    for line in curves.lines:
        known = [i for i, y in enumerate(line.y) if math.isfinite(y)]
        end = [f"ends at {_value(line, i)}, {curves.x_label} {_number(line.x[i])}" for i in known[-1:]]
        ends.append(f"{line.name} {end[0] if end else 'has no values'}")
    return "; ".join(ends + [f"{name} is at {_number(y)}" for name, y in curves.levels]) + "."


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
        tables += _grid(f"{curves.title}: {', '.join(names)}", caption, [curves.x_label, *names], rows)
    return tables + _if_any("; ".join(f"{name}: {_number(y)}" for name, y in curves.levels), "p", NOTE)


def _value(line: Line, i: int) -> str | None:
    """Return value i of a line with its band in words, or None where there is no value."""
    if not math.isfinite(line.y[i]):
        return None
    return _number(line.y[i]) + (f" ({_number(line.low[i])} to {_number(line.high[i])})" if len(line.low) else "")


def _number(value: float) -> str:
    """Return a value as text, with a minus sign that screen readers read."""
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}"
    return text.replace("-", "−")
