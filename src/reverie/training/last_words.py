"""The last line of a process that another thread ends at once."""

import contextlib
import os
import sys


def write(text: str) -> None:
    """Write a line to stderr, but do not wait for a full pipe."""
    import select

    if os.isatty(2):
        text = "\r\x1b[K\x1b[?25h" + text  # a progress bar hides the cursor
    if select.select([], [2], [], 1.0)[1]:
        os.write(2, (text + "\n").encode(errors="replace"))


def end_children() -> None:
    """Kill child processes of `multiprocessing`; the interpreter's own clean-up, which would end them, does not run."""
    known = sys.modules.get("multiprocessing.process")
    for child in () if known is None else known.active_children():
        with contextlib.suppress(OSError, ValueError):
            child.kill()
