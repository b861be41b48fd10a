"""Actions that were asked for and whose outcome has not been told yet."""

import secrets
from typing import Any, NamedTuple

import numpy as np

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError

MOST = 1000  # actions without an outcome at a time


class Asked(NamedTuple):
    """An action that was asked for, and what learning from its outcome needs."""

    ticket: str
    episode: int
    observation: np.ndarray  # [n]
    state: Any  # of the environment, if it is recorded
    action: np.ndarray  # [m], in [-1, 1]
    source: str  # who chose it, one of `storage.experience.SOURCES`
    policy: int  # number of updates of the policy that acted
    before: Any  # what `RecordedTrainer` needs to undo the asking
    begun: Any = None  # the same, but for the beginning of its episode; None where it began none


class PendingAsks:
    """The actions without an outcome, the oldest first.

    name: the environment's, for messages.  ordered: outcomes have to be told in the order of the asks.
    """

    def __init__(self, name: str, ordered: bool = False):
        self._name, self._ordered = name, ordered
        self._asked: dict[str, Asked] = {}
        # The same in no two processes: a ticket of a run that was killed since is not taken for another one.
        self._prefix, self._count = secrets.token_hex(4), 0

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def oldest(self) -> Asked | None:
        """The action that has waited longest, or None."""
        return next(iter(self._asked.values()), None)

    @property
    def newest(self) -> Asked | None:
        """The action that was asked for last, or None."""
        return next(reversed(self._asked.values()), None)

    def is_latest(self, asked: Asked) -> bool:
        """Return whether no other action was asked for after this one, with or without an outcome."""
        return asked.ticket == f"{self._prefix}-{self._count}"

    def keep_episode(self) -> None:
        """Note that the episode has a step: undoing an action no longer undoes the beginning of its episode."""
        for ticket, asked in self._asked.items():
            if asked.begun is not None:
                self._asked[ticket] = asked._replace(before=asked.begun, begun=None)

    def new_ticket(self) -> str:
        """Return a ticket that was never given before."""
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def add(self, asked: Asked) -> None:
        """Remember an action."""
        self._asked[asked.ticket] = asked

    def require_room(self, several: bool) -> None:
        """Raise ConfigError where no other action may be without an outcome.  several: MOST of them may."""
        if len(self._asked) >= (MOST if several else 1):
            times = "twice" if len(self._asked) == 1 else f"{len(self._asked) + 1} times"
            raise ConfigError(
                f"{self._name}: ask() was called {times}; call tell() with the result of the last action first, or drop() "
                "where there is none"
            )

    def require_order(self, asked: Asked) -> None:
        """Raise ConfigError where the outcome of an older action has to be told first."""
        if self._ordered and asked is not self.oldest:
            raise ConfigError(
                f"{self._name}: imagination and on-policy agents learn from steps in order; tell the outcome of the oldest "
                "action first, or drop it"
            )

    def find(self, ticket: str | None, call: str) -> Asked:
        """Return the action of a ticket, or without one the only action there is.

        call: who needs it, for messages.  Raises ConfigError where there is none.
        """
        if ticket is None:
            if not self._asked:
                raise ConfigError(f"{self._name}: {call} was called without ask(); call ask() first")
            if len(self._asked) > 1:
                raise ConfigError(
                    f"{self._name}: several actions have no outcome yet ({len(self._asked)}); say which one {call} means: "
                    "ticket= what ask(observation, ticket=True) returned"
                )
            return next(iter(self._asked.values()))
        if not isinstance(ticket, str) or ticket not in self._asked:
            raise ConfigError(
                f"{self._name}: {call} has the ticket {shown(ticket)}, and no action waits for its outcome under it: it "
                "was told or dropped already, its episode has ended, or another process asked for it"
            )
        return self._asked[ticket]

    def remove(self, asked: Asked) -> None:
        """Forget one action."""
        del self._asked[asked.ticket]

    def clear(self) -> None:
        """Forget all actions."""
        self._asked.clear()
