"""What verbs print: one JSON object, or lines for people."""

import json
import sys
from typing import Any


def emit(options: Any, facts: dict[str, Any], *lines: str) -> None:
    """Print `facts` as one JSON object with --json, else the lines."""
    if options.json:
        print(json.dumps(facts, allow_nan=False, default=str))
    else:
        print("\n".join(lines))


def note(text: str) -> None:
    """Print a remark where it cannot get into the results."""
    print(text, file=sys.stderr)
