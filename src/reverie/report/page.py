"""The report as one self-contained page: no network, no other files, and readable without JavaScript."""

import base64
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from reverie.core.interrupts import raise_if_interrupted
from reverie.report.document import (
    Commands,
    Curves,
    Document,
    Film,
    Films,
    Panels,
    Part,
    Section,
    Table,
    Text,
    Verdict,
    Verdicts,
)
from reverie.report.page_figures import LineStyles, figure, looks_of
from reverie.report.page_scripts import asset, plotly, policy
from reverie.report.page_tables import NOTE, grid, if_any
from reverie.storage.output_file import output_at

SYMBOLS = {"held": "✓", "did not hold": "✗", "undecided": "?", "not measured": "–"}
DRAWING = ("inflate.js", "page.js")
LIVE = '<p class="live" role="status">Live</p>'
HINT = (
    "In the curves, click a name, or press Enter on it, to hide its line or to bring it back; double-click it to see that line "
    "alone."
)


def write_page(document: Document, output: Path) -> int:
    """Write the page, completely or not at all; return its size in bytes.

    Raises ConfigError where there are curves and plotly is missing, StorageError where `output` cannot be written.
    """
    place = output_at(output)
    data = html_of(document).encode("utf-8", "replace")
    place.write(data)
    return len(data)


def html_of(document: Document, live: bool = False) -> str:
    """Return the page as HTML.  Its security policy forbids all network access and all scripts but those put here.

    live: whether the page keeps itself current from the server that sent it; it may then ask that server, and no other.
    """
    figures = [curves for section in document.sections for part in section.parts for curves in _figures_of(part)]
    looks = looks_of(figures)
    sections = list(zip(_anchors(document.sections), document.sections, strict=True))
    packed = plotly() if figures or live else None  # a live page may have figures later
    scripts = [asset(name) for name in ((*DRAWING, "live.js") if live else DRAWING if figures else ())]
    drawing = f'<script type="application/deflate" data-size="{packed.size}">{packed.packed}</script>' if packed else ""
    contents = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, (title, _) in sections)
    body = "\n".join(_section(anchor, section, looks) for anchor, section in sections)
    return f"""<!DOCTYPE html>
<html lang="en"><head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(scripts, packed, live)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(document.title)}</title>
<link rel="icon" href="data:,">
<style>{asset("page.css")}</style>
</head><body>
<a class="skip" href="#main">Skip to the content</a>
<header><h1>{escape(document.title)}</h1><p class="lead">{escape(document.lead)}</p>{LIVE if live else ""}</header>
<nav aria-label="Contents"><p>Contents</p><ol>{contents}</ol></nav>
<main id="main" tabindex="-1">
{body}
</main>
{f"<footer><p>{HINT}</p></footer>" if scripts else ""}{drawing}{"".join(f"<script>{script}</script>" for script in scripts)}
</body></html>
"""


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


def _figures_of(part: Part) -> Sequence[Curves]:
    if isinstance(part, Panels):
        return part.figures
    return [part] if isinstance(part, Curves) else []


def _part(part: Part, looks: LineStyles) -> str:
    match part:
        case Text(paragraphs):
            return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
        case Commands(lines):
            code = "\n".join(f"<code>{escape(line)}</code>" for line in lines)
            return f'<pre role="region" tabindex="0" aria-label="Commands">{code}</pre>'
        case Table(title, columns, rows, note):
            return grid(title, title, columns, rows) + if_any(note, "p", NOTE)
        case Curves():
            return figure(part, looks)
        case Panels(figures):
            return f'<div class="panels">{"".join(figure(curves, looks) for curves in figures)}</div>'
        case Films(title, films):
            return f'{if_any(title, "h3")}<div class="films">{"".join(map(_film, films))}</div>'
        case Verdicts():
            return _verdicts(part)


def _film(film: Film) -> str:
    data, text = base64.b64encode(film.content).decode(), escape(f"{film.title}: {film.text}")
    if film.kind == "gif":
        shown = f'<img alt="{text}" src="data:image/gif;base64,{data}">'
    else:  # without the time at the end, iOS shows no first picture
        source = f"data:video/mp4;base64,{data}#t=0.001"
        shown = f'<video controls preload="metadata" playsinline muted loop src="{source}" aria-label="{text}"></video>'
    return f"<figure>{shown}<figcaption><strong>{escape(film.title)}</strong> {escape(film.text)}</figcaption></figure>"


def _verdicts(verdicts: Verdicts) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts.verdicts)
    tally = "".join(f"<li><b>{counts[outcome]}</b> {_outcome(outcome)}</li>" for outcome in SYMBOLS if counts[outcome])
    cards = "\n".join(map(_card, verdicts.verdicts))
    return f'{if_any(verdicts.title, "h3")}<ul class="tally">{tally}</ul>\n<ul class="verdicts">{cards}</ul>'


def _card(verdict: Verdict) -> str:
    claim, text, where, outcome, evidence, so_far = verdict
    lines = "".join(f"<li>{escape(line)}</li>" for line in evidence)
    return (
        f'<li data-outcome="{outcome}"><p>{_outcome(outcome)}{if_any(so_far and f"{so_far} so far", "small")}</p>'
        f'<div><p><b>{escape(claim)}</b> {escape(text)}</p><ul class="evidence">{lines}</ul>'
        f'<p class="where">{escape(where)}</p></div></li>'
    )


def _outcome(outcome: str) -> str:
    symbol = f'<span aria-hidden="true">{SYMBOLS[outcome]}</span>'
    return f'<span class="outcome" data-outcome="{outcome}">{symbol} {outcome}</span>'
