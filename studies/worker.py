"""One cell in a process of its own: `python -m studies.worker STUDY VALUE …` prints each row as a line of JSON.

It imports no more than its study needs, since every cell starts one.
"""

import json
import os
import sys
from collections.abc import Sequence

from reverie.core.errors import ReverieError
from studies.catalogue import find

WRONG = 2  # exit status: the input was wrong


def main(arguments: Sequence[str]) -> int:
    """Compute one cell.  Its rows alone go to stdout; what libraries print goes to stderr."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        study = find(arguments[0])
        cell = study.parsed(arguments[1:])
        assert study.run is not None
        for row in study.run(*cell):
            print(json.dumps(row), file=lines, flush=True)
    except ReverieError as error:
        print(error, file=sys.stderr)
        return WRONG
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
