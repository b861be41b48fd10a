"""Cells on this machine: a process each, pinned to one thread, as many at a time as asked."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from reverie.core.interrupts import EXIT_STATUS, look
from reverie.experiments.execution.cells import Cell, Tell, worker_of
from reverie.experiments.spec.declaration import PINNED
from reverie.storage.reading import decode

RETRIES = 2  # of a cell whose process was killed
LOOK = 0.2  # seconds between looks for an interrupt


class _Ended(NamedTuple):
    """How a cell ended."""

    result: Any


def run(cells: Sequence[Cell], folder: Path, jobs: int, tell: Tell) -> Generator[tuple[Any, Any]]:
    """Yield each cell and its result as it ends.  tell: called with each row on the way.

    folder: where cells under way are kept; one that was left there goes on from its last score.  Closing the iterator ends
    every process.
    """
    events: queue.Queue[tuple[Cell, dict[str, Any] | _Ended | BaseException]] = queue.Queue()
    pool = _Pool(folder, lambda cell, event: events.put((cell, event)))
    threads = ThreadPoolExecutor(jobs, initializer=keep_to_next, initargs=(iter(cores(jobs)),))
    try:
        for cell in cells:
            threads.submit(pool.work, cell)
        left = len(cells)
        while left:
            look()
            try:
                cell, event = events.get(timeout=LOOK)
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, _Ended):
                left -= 1
                yield cell, event.result
            else:
                tell(cell, event)
    finally:
        pool.end()
        threads.shutdown(wait=True, cancel_futures=True)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores(jobs: int) -> list[set[int]]:
    """Return the core of each of so many processes, of those that this one may use; empty sets where the system has no say.

    A process that is left alone takes half a core more, to look ahead: two then get in each other's way.
    """
    if not hasattr(os, "sched_setaffinity"):
        return [set()] * jobs
    own = sorted(os.sched_getaffinity(0))
    return [{own[job % len(own)]} for job in range(jobs)]


def keep_to_next(cores: Iterator[set[int]]) -> None:
    """Keep this thread to the next core, and so every process that it starts."""
    if core := next(cores):
        with contextlib.suppress(OSError):  # taken from us since: then wherever there is room
            os.sched_setaffinity(0, core)


class _Pool:
    """The processes at work."""

    def __init__(self, folder: Path, put: Callable[[Cell, Any], None]):
        self._folder, self._put = folder, put
        self._lock, self._over = threading.Lock(), False
        self._processes: set[subprocess.Popen[str]] = set()

    def work(self, cell: Cell) -> None:
        """Have a cell done; say how it goes and how it ended."""
        folder = self._folder / cell.folder_name
        try:
            worker = worker_of(cell)
            worker.write(cell, folder)
            error, tries = "", 1 + RETRIES
            while tries and not self._over:
                status, error = self._attempt(cell, folder)
                tries = tries - 1 if status < 0 or status == EXIT_STATUS else 0
            if not self._over:
                self._put(cell, _Ended(worker.collect(folder, error)))
        except BaseException as error:  # a full disk, say: whoever waits for this cell must hear of it
            self._put(cell, error)

    def _attempt(self, cell: Cell, folder: Path) -> tuple[int, str]:
        """Run the process to its end; return its exit status, and what went wrong or ""."""
        words = [sys.executable, "-m", cell.worker, str(folder)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with self._lock:
            if self._over:
                return 0, ""
            # A session of its own: Ctrl-C is for us, who end it.
            process: Any = subprocess.Popen(words, env=os.environ | PINNED, start_new_session=True, text=True, **pipes)
            self._processes.add(process)
        complaints: list[str] = []
        reader = threading.Thread(target=lambda: complaints.extend(process.stderr), daemon=True)
        reader.start()
        for line in process.stdout:
            self._put(cell, decode(line, dict[str, Any]))
        status = process.wait()
        reader.join()
        with self._lock:
            self._processes.discard(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        error = complaints[-1].strip() if complaints else f"exit status {status}"
        return status, "" if status == 0 else f"killed by signal {-status}" if status < 0 else error

    def end(self) -> None:
        """Kill what is at work: it goes on from its last score when it is called again."""
        with self._lock:
            self._over = True
            for process in self._processes:
                process.kill()
