"""The process of one cell: it reads the cell from a folder, does it, and says on stdout how it gets on."""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reverie.core.errors import ReverieError
from reverie.core.interrupts import EXIT_STATUS

WRONG = 2  # exit status: the cell cannot be done; the last line on stderr says why


def serve(work: Callable[[Path, Callable[[dict[str, Any]], None]], None]) -> int:
    """Do the cell in the folder that is this process's first argument; return the exit status.

    work: (folder, on_row).  Each row that `on_row` gets is printed on stdout as one line of JSON.
    """
    folder, lines = Path(sys.argv[1]), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no row
    _end_with_parent()
    try:
        work(folder, lambda row: print(json.dumps(row), file=lines, flush=True))
    except ReverieError as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return EXIT_STATUS  # what is done is kept, and another try continues
    return 0


def _end_with_parent() -> None:
    """End this process when the one that holds our stdin does: nobody would gather what it finds."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter ends
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
