"""Processes on this machine, some at a time: each is kept to one core, and all end with the block that started them."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple


class Exit(NamedTuple):
    """How a process ended."""

    status: int  # its exit status; negative: the signal that killed it
    error: str  # its last line on stderr, or its status in words; "" where the status is 0


class ProcessPool:
    """Runs commands, `jobs` at a time.  Leaving its `with` block kills the processes that are still at work."""

    def __init__(self, jobs: int):
        self._lock, self._is_closed = threading.Lock(), False
        self._processes: set[subprocess.Popen[str]] = set()
        self._threads = ThreadPoolExecutor(jobs, initializer=_keep_to_next, initargs=(iter(cores(jobs)),))

    def __enter__(self) -> "ProcessPool":
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._is_closed = True
            for process in self._processes:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def is_closed(self) -> bool:
        """Whether the block has ended, so that `run` starts no more processes."""
        return self._is_closed

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in one of the pool's threads.  The processes that it starts with `run` share a core."""
        return self._threads.submit(function, *arguments)

    def run(self, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], object]) -> Exit:
        """Run a command to its end, and call `on_line` with each line of its stdout as it comes.

        The process can see on stdin, which stays open and empty, when this one dies.
        """
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with self._lock:
            if self._is_closed:
                return Exit(1, "interrupted")
            # A session of its own: only this process gets Ctrl-C, and ends the others.
            process: Any = subprocess.Popen(command, env=environment, start_new_session=True, text=True, **pipes)
            self._processes.add(process)
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
        reader.start()
        for line in process.stdout:
            on_line(line)
        status = process.wait()
        reader.join()
        with self._lock:
            self._processes.discard(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        return Exit(status, _error(status, errors))


def _error(status: int, errors: Sequence[str]) -> str:
    if status == 0:
        return ""
    if status < 0:
        return f"killed by signal {-status}"
    return errors[-1].strip() if errors else f"exit status {status}"


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores(jobs: int) -> list[set[int]]:
    """Return the core of each of `jobs` processes, of those that this one may use; empty sets where it cannot be chosen.

    A process that is not kept to a core takes half a core more, to look ahead: two then get in each other's way.
    """
    if not hasattr(os, "sched_setaffinity"):
        return [set()] * jobs
    usable = sorted(os.sched_getaffinity(0))
    return [{usable[job % len(usable)]} for job in range(jobs)]


def _keep_to_next(cores: Iterator[set[int]]) -> None:
    """Keep this thread to the next core, and so every process that it starts."""
    if core := next(cores):
        with contextlib.suppress(OSError):  # the core was taken from this process since: then any core will do
            os.sched_setaffinity(0, core)
