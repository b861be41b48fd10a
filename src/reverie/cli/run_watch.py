"""`reverie watch`: its work."""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reverie.cli import stopping
from reverie.cli.output import emit
from reverie.cli.run_report import document_of_runs
from reverie.core.errors import ReverieError
from reverie.core.interrupts import raise_if_interrupted
from reverie.report.document import Document, Section, Text
from reverie.report.live_server import LiveServer
from reverie.report.page import html_of
from reverie.storage.run import RunDirectory

LOOK = 0.2  # seconds between looks for a signal
PAUSE, SHARE = 1.0, 0.2  # seconds between two pages, at least; the most time that making them may take, as a share


def watch(options: Any) -> None:
    """Serve the page until a signal.

    Raises StorageError where a directory holds no run, ConfigError where the port cannot be used.
    """
    paths = [Path(path) for path in options.directories]
    for path in paths:
        RunDirectory(path).read_config()
    stopping.set_message("watching has ended; the run is not affected")
    server = LiveServer(CurrentPage(paths), options.port)
    try:
        server.begin()
        emit(options, {"address": server.address}, f"{server.address}  (Ctrl-C ends)")
        sys.stdout.flush()
        while True:
            raise_if_interrupted()
            time.sleep(LOOK)
    finally:
        server.end()


class CurrentPage:
    """Call it for the page of some runs as they are now, or were a moment ago: pages are not made too often."""

    def __init__(self, paths: Sequence[Path]):
        self._paths, self._lock = paths, threading.Lock()
        self._page, self._due = "", 0.0  # the last page; when another may be made

    def __call__(self) -> str:
        """Return the page as HTML."""
        with self._lock:
            if (began := time.monotonic()) >= self._due:
                self._page = html_of(document_of(self._paths), live=True)
                ended = time.monotonic()
                self._due = ended + max(PAUSE, (ended - began) / SHARE)
            return self._page


def document_of(paths: Sequence[Path]) -> Document:
    """Return the page of some runs; what cannot be read now is said on it."""
    faults: list[str] = []
    try:
        document = document_of_runs(paths, lambda error: faults.append(str(error)))
    except ReverieError as error:
        document = Document("Runs", "They cannot be read now.", [])
        faults.append(str(error))
    if not faults:
        return document
    said = Section("Not readable", [Text([f"{fault}." for fault in dict.fromkeys(faults)])])
    return document._replace(sections=[said, *document.sections])
