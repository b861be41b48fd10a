"""How a supervisor reaches its collectors, whatever carries the messages: local processes or Ray actors."""

from typing import NamedTuple, Protocol

from reverie.collecting.messages import Request, Setup


class Message(NamedTuple):
    """What came from a collector.  kind: "ready", "chunk" or "failed", as in `messages`, or "ended", with a reason."""

    channel: "Channel"
    kind: str
    content: bytes


class Channel(Protocol):
    """The way to one collector process."""

    def send(self, request: Request) -> None:
        """Ask for steps.  Returns at once, also where the collector is slow, hangs or has died."""
        ...

    def kill(self) -> None:
        """End the collector.  What it sent before still comes, and "ended" after that."""
        ...


class Backend(Protocol):
    """Starts collectors."""

    def start(self, setup: Setup) -> Channel:
        """Start a collector."""
        ...

    def messages(self, seconds: float) -> list[Message]:
        """Return what has come; wait for it up to so many seconds where nothing has."""
        ...

    def close(self) -> None:
        """End all collectors."""
        ...
