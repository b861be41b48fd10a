"""Collectors as processes of this machine: messages on their stdin and stdout."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from reverie.collecting.channels import Channel, Message
from reverie.collecting.messages import Failed, Request, Setup, frame, json_of, read_frame
from reverie.core.errors import StorageError

COMMAND = ("-m", "reverie.collecting.collector_process")
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # its networks are small
END_SECONDS = 2.0  # for processes to close their environments
KILL_SECONDS = 2.0  # for a process that was killed


class LocalChannel:
    """A collector process, a thread that reads what it sends, and one that writes to it: a full pipe may block."""

    def __init__(self, setup: Setup, inbox: "queue.SimpleQueue[Message]"):
        self._inbox = inbox
        # A session of its own: only the learner gets Ctrl-C, and ends the collectors.
        self._process: Any = subprocess.Popen(
            [sys.executable, *COMMAND],
            env=os.environ | THREADS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=task, daemon=True) for task in (self._read, self._write)]
        for thread in self._threads:
            thread.start()
        self._outbox.put(frame("setup", json_of(setup)))

    @property
    def process_id(self) -> int:
        """Of the collector."""
        return self._process.pid

    def send(self, request: Request) -> None:
        """Ask for steps."""
        self._outbox.put(frame("request", request.to_bytes()))

    def kill(self) -> None:
        """End the process, and both threads with it."""
        self._process.kill()

    def _read(self) -> None:
        """Pass on every message, and then how the process ended."""
        try:
            while (message := read_frame(self._process.stdout)) is not None:
                self._inbox.put(Message(self, *message))
        except StorageError as error:  # another version, installed since the learner started
            self._inbox.put(Message(self, "failed", json_of(Failed("ConfigError", f"its messages have {error}"))))
            self.kill()
        status = self._process.wait()
        self._outbox.put(None)
        self._inbox.put(Message(self, "ended", _reason(status).encode()))

    def _write(self) -> None:
        with contextlib.suppress(OSError), self._process.stdin as pipe:  # where the process has ended, `_read` says so
            while (data := self._outbox.get()) is not None:
                pipe.write(data)
                pipe.flush()

    def end(self) -> None:
        """Have the process close its environment and end."""
        self._outbox.put(None)

    def close(self, until: float = 0.0) -> None:
        """Wait for the process to end, until then in seconds of time.monotonic(); then kill it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, until - time.monotonic()))
        self.kill()
        for thread in self._threads:
            thread.join(KILL_SECONDS)
        self._process.stdout.close()


class LocalCollectors:
    """Starts collectors on this machine."""

    def __init__(self):
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._channels: list[LocalChannel] = []

    def start(self, setup: Setup) -> Channel:
        """Start a process."""
        self._channels.append(LocalChannel(setup, self._inbox))
        return self._channels[-1]

    def messages(self, seconds: float) -> list[Message]:
        """Return what has come; wait for it up to so many seconds where nothing has."""
        found: list[Message] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._inbox.get(timeout=seconds) if seconds else self._inbox.get_nowait())
            while True:
                found.append(self._inbox.get_nowait())
        for message in found:
            if message.kind == "ended" and isinstance(message.channel, LocalChannel):
                self._channels.remove(message.channel)
                message.channel.close()
        return found

    def close(self) -> None:
        """End all processes: those that do not close their environment in time are killed."""
        for channel in self._channels:
            channel.end()
        until = time.monotonic() + END_SECONDS
        for channel in self._channels:
            channel.close(until)


def _reason(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
