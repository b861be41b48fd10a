"""Tables of the docs that come from a study's data: each follows a comment that names it, and is written by a command.

The comment is `<!-- python -m studies tables STUDY: NAME -->`.  What follows it, up to the next empty line, is replaced.
"""

import re

from reverie.core.errors import unknown
from studies.study import Study

BLOCK = re.compile(r"^<!-- python -m studies tables ([\w-]+): ([\w-]+) -->\n\n(?:[^\n]+\n)+", re.MULTILINE)


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
