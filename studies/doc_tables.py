"""Tables of the docs that come from a study's data: each follows a comment that names it, and is written by a command.

The comment is `<!-- python -m studies tables STUDY: NAME -->`.  What follows it, up to the next empty line, is replaced.
"""

import re
from collections.abc import Sequence

from reverie.core.errors import unknown
from studies.study import Study

BLOCK = re.compile(r"^<!-- python -m studies tables ([\w-]+): ([\w-]+) -->\n\n(?:[^\n]+\n)+", re.MULTILINE)


def short(text: object) -> str:
    """Return figures as the docs write them: .5 for 0.5, and 1,000 for 1000."""
    bare = re.sub(r"(?<![\d.])0(?=\.\d)", "", str(text))
    return re.sub(r"(?<![\d.])\d{4,}(?![\d.])", lambda m: f"{int(m[0]):,}", bare)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a table in Markdown.  None: an empty cell."""
    lines = [columns, ["---"] * len(columns), *rows]
    return ["|" + "|".join(f" {short(c)} " if c not in (None, "") else " " for c in row) + "|" for row in lines]


def rewritten(text: str, study: Study) -> str:
    """Return a page with the study's tables written again.  Raises ConfigError for the name of none."""

    def block(found: re.Match[str]) -> str:
        owner, name = found.groups()
        if owner != study.name:
            return found[0]
        if name not in study.tables:
            raise unknown(f"table of {study.name}", name, study.tables)
        lines = "\n".join(study.tables[name]())
        return f"<!-- python -m studies tables {owner}: {name} -->\n\n{lines}\n"

    return BLOCK.sub(block, text)
