"""Collectors as actors of a Ray cluster, wherever there is room.

A cluster is found as `ray.init()` finds it (RAY_ADDRESS, or one that runs here); where there is none, one is started on
this machine.  Each node needs `reverie[ray]` and the environment.  Weights are put into the object store once for each
policy, and a learner waits for answers with `ray.wait`.
"""

import contextlib
import importlib
import importlib.util
import os
import signal
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Generator
from typing import Any

import numpy as np

from reverie.collecting.channels import Channel, Message
from reverie.collecting.collector import Collector
from reverie.collecting.local_collectors import END_SECONDS, THREADS
from reverie.collecting.messages import Failed, Request, Setup, json_of, setup_of
from reverie.core.errors import ConfigError, ReverieError, sentence

CONNECT_SECONDS = 5.0

Answer = tuple[str, bytes]  # kind and content of a message


class CollectorActor:
    """The actor: a collector, and its errors as messages."""

    def __init__(self):
        self._collector: Collector | None = None

    def begin(self, setup: bytes) -> Answer:
        """Make the environment."""
        return self._answer(lambda: ("ready", json_of(self._begun(setup_of(setup)).ready())))

    def collect(self, request: bytes, weights: Any) -> Answer:
        """Take steps.  weights: of the newest policy, uint8; None where this collector has them."""
        asked = Request.of(request)
        if weights is not None:
            asked = asked._replace(weights=weights.tobytes())
        assert self._collector is not None
        collector = self._collector
        return self._answer(lambda: ("chunk", collector.collect(asked).to_bytes()))

    def end(self) -> None:
        """Close the environment."""
        if self._collector is not None:
            self._collector.close()

    def _begun(self, setup: Setup) -> Collector:
        self._collector = Collector(setup)
        return self._collector

    def _answer(self, work: Any) -> Answer:
        try:
            return work()
        except Exception as error:  # an environment may raise anything
            text = str(error) if isinstance(error, ReverieError) else sentence(error)
            return "failed", json_of(Failed(type(error).__name__, text))


class RayChannel:
    """An actor, and its answers that are to come."""

    def __init__(self, backend: "RayCollectors", actor: Any, setup: Setup):
        self._backend, self._actor = backend, actor
        self.answers: deque[Any] = deque([actor.begin.remote(json_of(setup))])

    def send(self, request: Request) -> None:
        """Ask for steps."""
        weights = self._backend.stored(request.weights) if request.weights else None
        self.answers.append(self._actor.collect.remote(request._replace(weights=b"").to_bytes(), weights))

    def end(self) -> Any:
        """Have the actor close its environment; return the reference of that."""
        return self._actor.end.remote()

    def kill(self) -> None:
        """End the actor's process."""
        self._backend.ray.kill(self._actor)


class RayCollectors:
    """Starts actors.  count: how many there will be at a time."""

    def __init__(self, count: int):
        self.ray = connected()
        has_cores = self.ray.cluster_resources().get("CPU", 0) >= count
        self._actor = self.ray.remote(
            num_cpus=1 if has_cores else 0,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": THREADS},
        )(CollectorActor)
        self._channels: list[RayChannel] = []
        self._stored: tuple[bytes, Any] | None = None

    def start(self, setup: Setup) -> Channel:
        """Start an actor."""
        self._channels.append(RayChannel(self, self._actor.remote(), setup))
        return self._channels[-1]

    def stored(self, weights: bytes) -> Any:
        """Return the reference of weights in the object store, which has each policy's once."""
        if self._stored is None or self._stored[0] is not weights:
            self._stored = weights, self.ray.put(np.frombuffer(weights, np.uint8))
        return self._stored[1]

    def messages(self, seconds: float) -> list[Message]:
        """Return what has come, in order for each actor; wait for it up to so many seconds where nothing has."""
        found: list[Message] = []
        while True:
            first = {channel.answers[0]: channel for channel in self._channels if channel.answers}
            if not first:
                time.sleep(0.0 if found else seconds)
                return found
            come, _ = self.ray.wait(list(first), num_returns=len(first), timeout=0)
            if not come and not found and seconds:
                come, _ = self.ray.wait(list(first), timeout=seconds)
                seconds = 0
            if not come:
                return found
            found += [self._answer(first[reference]) for reference in come]

    def _answer(self, channel: RayChannel) -> Message:
        reference = channel.answers.popleft()
        try:
            return Message(channel, *self.ray.get(reference))
        except self.ray.exceptions.RayError as error:
            channel.answers.clear()
            self._channels.remove(channel)
            return Message(channel, "ended", (str(error).splitlines() or [type(error).__name__])[0].encode())

    def close(self) -> None:
        """End all actors, those that do not close their environment in time too."""
        with contextlib.suppress(Exception):  # the cluster may have gone
            ends = [channel.end() for channel in self._channels]
            self.ray.wait(ends, num_returns=len(ends), timeout=END_SECONDS)
        for channel in self._channels:
            with contextlib.suppress(Exception):
                channel.kill()
        self._channels.clear()


def require() -> None:
    """Raise ConfigError where Ray is not installed, or where there is no cluster."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--backend ray needs a package: pip install 'reverie[ray]'")
    connected()


def connected() -> Any:
    """Return Ray, connected to a cluster.  Raises ConfigError where that is impossible."""
    ray: Any = importlib.import_module("ray")
    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        _require_listening(address)
        with _same_signal_handlers(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)  # by Ray
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
    except Exception as error:
        where = f"at RAY_ADDRESS={address}" if address else "here"
        remedy = "start one with `ray start --head`" + (", or unset RAY_ADDRESS" if address else "")
        raise ConfigError(f"no Ray cluster was found or started {where}; {remedy} ({sentence(error)})") from error
    return ray


def _require_listening(address: str) -> None:
    """Raise OSError where nothing listens at "host:port": Ray itself would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


@contextlib.contextmanager
def _same_signal_handlers() -> Generator[None]:
    """Put back the handlers of signals that Ray replaces: how a learner stops is its own affair."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
