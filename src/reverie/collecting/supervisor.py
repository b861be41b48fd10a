"""Keeps collectors at work: asks them for steps, holds them back, replaces those that die or hang.

**Limiter.** A collector has at most REQUESTS requests whose steps are not learnt from yet.  So collectors wait for a
slow learner, and the policies that act are never far behind the newest one.  No more steps are asked for than the
caller wants in all.

**Exactly once.** A request is answered by one chunk of its number.  A chunk that comes twice is dropped; after a gap the
collector is replaced.  Steps that a collector took and did not send before it died are lost; they were never
acknowledged.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reverie.collecting.channels import Backend, Channel, Message
from reverie.collecting.collector import require_version
from reverie.collecting.messages import Chunk, Ready, Request, Setup, failed_of, ready_of, step_dtype
from reverie.core import errors
from reverie.core.argument_checks import shown
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, ReverieError, WorldError
from reverie.core.words import count
from reverie.storage.experience import checks
from reverie.storage.spec import Spec

STEPS = 8  # of a request, at most
REQUESTS = 2  # of a collector under way: it takes the steps of one while those of the other are learnt from
START_SECONDS = 120.0  # for a process to start and make its environment
HANG_SECONDS = 60.0  # for an answer, or SLOWER times the longest one so far if that is more
SLOWER = 10
LOOK_SECONDS = 0.2  # between looks whether the caller still wants steps
AWAY_SECONDS = 1.0  # without listening, in an evaluation for instance, after which answers tell nothing of collectors
DRAIN_SECONDS = 2.0  # for steps under way when learning stops
KILL_SECONDS = 5.0  # for a killed process to end
BARREN = 3  # collectors in a row that end without a step, in one place, after which learning ends


class Taken(NamedTuple):
    """A step that a collector took."""

    source: int  # the collector process that took it, a number that no other has
    record: Any  # of `step_dtype`


class Ended(NamedTuple):
    """A collector process ended.  Its episode is cut off."""

    source: int
    place: int  # from 1 to the number of collectors
    reason: str


class Weights(NamedTuple):
    """A policy that collectors can act by."""

    version: int  # updates
    content: bytes  # its leaves side by side


class Wanted(NamedTuple):
    """What the supervisor is to gather."""

    collectors: int
    steps: float  # in all; infinite where the caller stops by itself
    random: int = 0  # so many first with uniformly random actions
    hang_after: float | None = None  # seconds that a call of an environment may take; None: HANG_SECONDS for an answer


class _Place:
    """A collector process and its requests; when it ends, another one takes its place."""

    def __init__(self, number: int):
        self.number, self.starts, self.barren = number, 0, 0
        self.channel: Channel | None = None
        self.begin(0)

    def begin(self, source: int) -> None:
        """Forget the process before."""
        self.source, self.is_ready, self.has_stepped = source, False, False
        self.sent: deque[tuple[Request, float]] = deque()  # requests without an answer, and when they were made
        self.unlearnt = 0  # chunks that were not learnt from yet
        self.asked = self.answered = 0  # numbers of the newest request and of the newest answer
        self.version = -1  # of the weights that it has
        self.heard = time.monotonic()
        self.why = ""  # it was killed
        self.killed_at: float | None = None


class Supervisor:
    """Gathers steps.

    backend: starts collectors, and is closed with the supervisor.  setup: (place, start) -> what a collector begins with.
    weights: returns the newest policy.  spec: what the learner's environment looks like.
    """

    def __init__(
        self,
        backend: Backend,
        wanted: Wanted,
        setup: Callable[[int, int], Setup],
        weights: Callable[[], Weights],
        spec: EnvSpec,
    ):
        self._backend, self._setup, self._weights = backend, setup, weights
        self._spec, self._dtype = spec, step_dtype(spec.observation_dim, spec.action_dim)
        self._left, self._random, self._hang_after = wanted.steps, wanted.random, wanted.hang_after
        self._got: deque[tuple[_Place, int, np.ndarray] | Ended] = deque()
        self._chunk: tuple[_Place, int, np.ndarray] | None = None  # being learnt from
        self._next = self._sources = 0
        self._has_room = False  # for a request, since the last time that there were any made
        self._longest = 0.0  # answer, in seconds
        self._listened, self._was_away = time.monotonic(), False  # when messages were last taken, and whether long ago
        self._error: ReverieError | None = None
        self._stopped: float | None = None  # when no more steps were wanted
        self._places = [_Place(number + 1) for number in range(wanted.collectors)]
        try:
            for place in self._places:
                self._start(place)
        except BaseException:
            self.close()
            raise

    # ---- what the caller uses

    def wait(self, goes_on: Callable[[], bool]) -> bool:
        """Wait for a step or the end of a collector; return False where no more will come.

        goes_on: whether more steps are wanted.  When it turns false, what is under way is still waited for, for a short
        time: these steps were taken.
        Raises WorldError or another error of a collector that cannot go on, once all that came before was taken.
        """
        if self._has_room and self._error is None and goes_on():
            self._hear(0)
            self._ask()
        while self._chunk is None and not self._got:
            wanted = goes_on() and self._error is None
            now = time.monotonic()
            if wanted:
                self._stopped = None
                self._ask()
            else:
                self._stopped = now if self._stopped is None else self._stopped
                if not any(place.sent for place in self._places) or now > self._stopped + DRAIN_SECONDS:
                    if self._error is not None:
                        raise self._error
                    return False
            self._hear(LOOK_SECONDS if wanted else LOOK_SECONDS / 4)
            self._check_deadlines()
        return True

    def take(self) -> Taken | Ended:
        """Return what `wait` has waited for."""
        if self._chunk is None:
            found = self._got.popleft()
            if isinstance(found, Ended):
                return found
            self._chunk, self._next = found, 0
        _, source, steps = self._chunk
        record = steps[self._next]
        self._next += 1
        return Taken(source, record)

    def learnt(self) -> None:
        """Say that the step that was taken last is learnt from."""
        if self._chunk is None or self._next < len(self._chunk[2]):
            return
        place, source, _ = self._chunk
        self._chunk = None
        if place.source == source:
            place.unlearnt -= 1
        self._has_room = True

    def close(self) -> None:
        """End all collectors."""
        self._backend.close()

    # ---- asking

    def _start(self, place: _Place) -> None:
        self._sources += 1
        place.begin(self._sources)
        place.channel = self._backend.start(self._setup(place.number, place.starts))
        place.starts += 1

    def _ask(self) -> None:
        """Ask every collector that has room for more steps."""
        self._has_room = False
        newest: Weights | None = None
        for _ in range(REQUESTS):
            for place in self._places:
                waits = not place.is_ready or place.killed_at is not None
                if waits or len(place.sent) + place.unlearnt >= REQUESTS or self._left <= 0:
                    continue
                newest = newest or self._weights()
                self._send(place, newest)

    def _send(self, place: _Place, newest: Weights) -> None:
        steps = int(min(STEPS, self._left))
        random = min(self._random, steps)
        self._left -= steps
        self._random -= random
        place.asked += 1
        content = b"" if place.version == newest.version else newest.content
        request = Request(place.asked, steps, random, newest.version, content)
        place.version = newest.version
        place.sent.append((request._replace(weights=b""), time.monotonic()))
        assert place.channel is not None
        place.channel.send(request)

    def _return(self, request: Request, taken: int) -> None:
        """Account for steps that were asked for and not taken."""
        self._left += request.steps - taken
        self._random += request.random - min(request.random, taken)

    # ---- hearing

    def _hear(self, seconds: float) -> None:
        self._was_away = time.monotonic() > self._listened + AWAY_SECONDS
        messages = self._backend.messages(seconds)
        self._listened = time.monotonic()
        for message in messages:
            place = next((each for each in self._places if each.channel is message.channel), None)
            if place is None:  # of a process that was given up
                continue
            try:
                self._handle(place, message)
            except ReverieError as error:
                if self._error is None:
                    self._error = type(error)(f"collector {place.number}: {error}")
            except ValueError as error:  # it sent what is no message
                self._replace(place, f"sent {error}")

    def _handle(self, place: _Place, message: Message) -> None:
        place.heard = time.monotonic()
        if message.kind == "ready":
            self._welcome(place, ready_of(message.content))
        elif message.kind == "chunk":
            self._add(place, Chunk.of(message.content, self._dtype))
        elif message.kind == "failed":
            failed = failed_of(message.content)
            kind = getattr(errors, failed.kind, WorldError)
            place.killed_at = time.monotonic()  # it ends by itself
            if not isinstance(kind, type) or not issubclass(kind, ReverieError) or kind is errors.StorageError:
                kind = WorldError  # StorageError is for files of this run
            raise kind(failed.text)
        elif message.kind == "ended":
            self._bury(place, place.why or str(message.content, errors="replace"))

    def _welcome(self, place: _Place, ready: Ready) -> None:
        require_version(ready.protocol, ready.reverie, f"the collector on {ready.host}", "the learner")
        own = Spec.of(self._spec)
        for field in ("observation_dim", "action_low", "action_high", "actions", "first_action"):
            there, here = getattr(ready.spec, field), getattr(own, field)
            if there != here:
                raise ConfigError(
                    f"its environment has {field} {shown(there)} and the learner's has {shown(here)}; make them alike"
                )
        place.is_ready = True

    def _add(self, place: _Place, chunk: Chunk) -> None:
        """Take a chunk once.  Raises ValueError for one that no collector of ours sends."""
        if chunk.number <= place.answered:
            return
        if not place.sent or chunk.number != place.answered + 1:
            raise ValueError(f"chunk {chunk.number} after {place.answered}")
        request, made = place.sent[0]
        taken = len(chunk.steps)
        if not 0 < taken <= request.steps:
            raise ValueError(f"{count(taken, 'step')} for {request.steps}")
        if (chunk.steps["policy"] > request.version).any():
            raise ValueError(f"steps of a policy after {request.version}")
        for field, fit, _ in checks(chunk.steps, self._spec.actions):
            if not np.all(fit):
                raise ValueError(f"a step with an invalid {field}")
        place.sent.popleft()
        place.answered += 1
        if not self._was_away:
            self._longest = max(self._longest, place.heard - made)
        self._return(request, taken)
        place.unlearnt += 1
        place.has_stepped, place.barren = True, 0
        self._got.append((place, place.source, chunk.steps))

    # ---- collectors that die or hang

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for place in self._places:
            since = now - max(place.heard, place.sent[0][1] if place.sent else 0.0)
            if place.killed_at is not None:
                if now > place.killed_at + KILL_SECONDS and self._error is None:
                    self._bury(place, place.why)
            elif not place.is_ready:
                if since > START_SECONDS:
                    self._replace(place, f"did not start within {START_SECONDS:.0f} s")
            elif place.sent and since > (patience := self._patience):
                self._replace(place, f"did not answer for {patience:.0f} s")

    @property
    def _patience(self) -> float:
        """How long an answer may take, in seconds."""
        if self._hang_after is not None:
            return 2 * self._hang_after  # a reset and a step; after the first step an answer is not held back
        return max(HANG_SECONDS, SLOWER * self._longest)

    def _replace(self, place: _Place, why: str) -> None:
        """Kill a collector; another one starts when what it had sent has come."""
        place.why, place.killed_at = why, time.monotonic()
        assert place.channel is not None
        place.channel.kill()

    def _bury(self, place: _Place, reason: str) -> None:
        """Give up a collector that has ended, and start another one.  Its unanswered requests are made again by others."""
        for request, _ in place.sent:
            self._return(request, 0)
        self._got.append(Ended(place.source, place.number, reason))
        place.channel, place.is_ready = None, False
        place.sent.clear()
        if self._error is not None or self._stopped is not None:
            return
        place.barren += not place.has_stepped
        if place.barren >= BARREN:
            self._error = WorldError(
                f"collector {place.number} ended {BARREN} times without a step (at last: {reason}); the environment may "
                "need something of which there is only one, or memory may be short: try fewer --collectors"
            )
            return
        self._start(place)
