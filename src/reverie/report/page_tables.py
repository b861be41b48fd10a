"""Tables of a page, and small pieces of HTML that several of its parts need."""

import re
from collections.abc import Sequence
from html import escape

NOTE = ' class="note"'
# a number, with no words but short ones such as "of" and "ms"
NUMERIC = re.compile(r"[-+−±<>≤≥≈~(\[ ]*(\d|\.\d|inf|nan)(?!.*[^\W\d_]{5})")


def if_any(text: str, tag: str, kind: str = "") -> str:
    """Return text in a tag, or nothing where there is none.  kind: attributes of the tag."""
    return f"<{tag}{kind}>{escape(text)}</{tag}>" if text else ""


def grid(name: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
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
