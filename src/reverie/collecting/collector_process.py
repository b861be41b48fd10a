"""The process of a local collector: messages come on stdin and go out on stdout (`local_collectors`)."""

import contextlib
import os
import queue
import sys
import threading
import time
from typing import IO

from reverie.collecting.collector import Collector
from reverie.collecting.messages import Failed, Request, frame, json_of, read_frame, setup_of
from reverie.core.errors import ReverieError, sentence

GRACE_SECONDS = 5.0  # for the environment to be closed, once the learner has gone

Inbox = queue.SimpleQueue[tuple[str, bytes] | None]


def main() -> int:
    """Serve the learner that holds our stdin until it closes it, or until collecting fails; return the exit status."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an environment prints is no message
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_read, args=(os.fdopen(os.dup(0), "rb"), inbox), daemon=True).start()
    try:
        with contextlib.suppress(BrokenPipeError):  # the learner has gone
            _serve(inbox, out)
    except Exception as error:  # an environment may raise anything, also while it is imported
        failed = Failed(type(error).__name__, str(error) if isinstance(error, ReverieError) else sentence(error))
        with contextlib.suppress(OSError):  # the learner has gone
            _send(out, "failed", json_of(failed))
        return 1
    return 0


def _serve(inbox: Inbox, out: IO[bytes]) -> None:
    if (message := inbox.get()) is None:
        return
    collector = Collector(setup_of(message[1]))
    with contextlib.closing(collector):
        _send(out, "ready", json_of(collector.ready()))
        while (message := inbox.get()) is not None:
            _send(out, "chunk", collector.collect(Request.of(message[1])).to_bytes())


def _send(out: IO[bytes], kind: str, content: bytes) -> None:
    out.write(frame(kind, content))
    out.flush()


def _read(file: IO[bytes], inbox: Inbox) -> None:
    """Pass on what the learner sends.  End this process with the learner: nobody would gather what it finds."""
    with contextlib.suppress(Exception):  # foreign bytes: nothing sensible can follow them
        while (message := read_frame(file)) is not None:
            inbox.put(message)
    inbox.put(None)
    time.sleep(GRACE_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
