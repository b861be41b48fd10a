"""A limit for how long an environment may take to answer.

The thread that watches for signals also watches the current call.  One that takes longer than the limit is interrupted
with an exception, in Python code as in a system call that waits.  Where that has no effect (in compiled code, or where
the environment swallows every exception), the thread ends the process: with one line, and the journal on the disk.
"""

import contextlib
import math
import os
import threading
from collections.abc import Callable, Generator
from typing import NoReturn, Protocol

from reverie.core.errors import ConfigError, ReverieError, one_line
from reverie.core.interrupts import raise_if_interrupted
from reverie.environments.blocking_calls import CALLS_UNDER_WAY
from reverie.storage.journal import Journal
from reverie.training import last_words
from reverie.training.deferred_interrupts import NUDGE, handling

EXIT_STATUS = 2  # of a process whose environment could not be interrupted


class Guard(Protocol):
    """What a learner puts around its use of environments."""

    def __call__(self, strict: bool = True) -> contextlib.AbstractContextManager[None]:
        """Return a block with the limit.

        strict: raise ConfigError where calls cannot be interrupted; otherwise there is no limit then.
        """
        ...


def around_run(limit: float | None, name: str, journal: Journal) -> Guard:
    """Return a guard with a limit for the environments of a run, which has everything in its journal."""

    def guard(strict: bool = True) -> contextlib.AbstractContextManager[None]:
        if not strict and not _can_interrupt():
            return contextlib.nullcontext()
        return hang_guard(limit, name, lambda: f"{journal.path} has every step", journal.sync)

    return guard


def _can_interrupt() -> bool:
    """Return whether a call that is made here can be interrupted."""
    return NUDGE is not None and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def hang_guard(
    limit: float | None, name: str, saved: Callable[[], str], save: Callable[[], object] = bool
) -> Generator[None]:
    """Let `reset`, `step`, `render` and `close` of environments take `limit` seconds at most within the block.

    A call that takes longer raises WorldError.  None: no limit.  Does nothing in a nested block.
    name: of the environment.  saved: what is kept where the process must be ended, for its last line.
    save: puts it on the disk; it is called in another thread.
    Raises ConfigError outside the main thread, and where the system has no such signals.
    """
    if limit is None or CALLS_UNDER_WAY.limit < math.inf:
        yield
        return
    if not _can_interrupt():
        raise ConfigError(
            "hang_after works in the main thread of a process on Linux or macOS, the only one that Python can interrupt; "
            "leave it out here"
        )

    def give_up() -> NoReturn:
        try:
            call = CALLS_UNDER_WAY.call
            what = "answer" if call is None else f"answer in {call.name}"
            text = f"{name} did not {what} within {limit:g} s (hang_after), and cannot be interrupted: the process ends"
            last_words.write(f"reverie: {one_line(f'{text}; {saved()}')}")
            with contextlib.suppress(ReverieError):
                save()
            last_words.end_children()
        finally:
            os._exit(EXIT_STATUS)

    with handling():
        CALLS_UNDER_WAY.limit, CALLS_UNDER_WAY.give_up = limit, give_up
        try:
            yield
        finally:
            CALLS_UNDER_WAY.unlimit()
        raise_if_interrupted()
