"""The temporary directory of a run that was given none; it lasts as long as its learner."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable


def temporary_run(owner: object) -> tuple[str, Callable[[], object]]:
    """Return a new directory that is removed with `owner`, and a function that removes it earlier.

    A forked process removes nothing.
    """
    folder = tempfile.mkdtemp(prefix="reverie-")
    return folder, weakref.finalize(owner, _remove, folder, os.getpid())


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
