"""Guard that lets one thread at a time use a learner, in the process that made it.

Two threads acting at once would write one step's record with the other's action.  After a fork, parent and child would
append to one journal.  Both are refused before anything is written.  A learner may be handed from one thread to
another.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Generator
from typing import Any, Concatenate, ParamSpec, TypeVar

from reverie.core.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")

_forks = 0  # number of forks between the first process and this one


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)  # asking the system at each step would cost more than all the rest


class Owner:
    """The guard itself; `acquire` and `release` run at every step and cost a third of a microsecond together."""

    def __init__(self, name: str):
        self._name, self._process, self._forks, self._lock = name, os.getpid(), _forks, threading.RLock()
        self._left = False
        self.release = self._lock.release

    @property
    def is_here(self) -> bool:
        """Whether this is the process that made the learner, not a fork."""
        return _forks == self._forks

    def require_here(self) -> None:
        """Raise ConfigError in a child process."""
        if _forks != self._forks and not self._left:
            raise ConfigError(
                f"{self._name}: this learner belongs to process {self._process}, and {os.getpid()} is a fork of it; use it "
                "there, or make one here with a directory of its own"
            )

    def acquire(self) -> None:
        """Begin a use, which `release` ends.

        Raises ConfigError in a child process, after `leave`, or while another thread uses the learner.
        """
        if _forks != self._forks:
            self.require_here()
            raise ConfigError(f"{self._name}: this learner is closed; Learner.load continues from its directory")
        if not self._lock.acquire(blocking=False):
            raise ConfigError(
                f"{self._name}: another thread is using this learner; use it from one thread at a time (a threading.Lock "
                "around your calls)"
            )

    def leave(self) -> None:
        """End all use: from now on `acquire` raises."""
        self._left, self._forks = True, -1

    @contextlib.contextmanager
    def using(self) -> Generator[None]:
        """Use the learner for the duration of the block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()


def exclusive(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Return a method that holds `self.owner` while it runs.  It raises ConfigError as `Owner.acquire` does."""

    @functools.wraps(method)
    def used(self: Any, *positional: P.args, **named: P.kwargs) -> R:
        self.owner.acquire()
        try:
            return method(self, *positional, **named)
        finally:
            self.owner.release()

    return used
