"""The client's side of the machine's server: a method per request, and what every control program asks about a reading."""

import json
import socket
from typing import Any, NamedTuple, Self

import numpy as np

from examples.beamline.machine import BeamLost, NoReading, Reading
from examples.beamline.server import BEAM_LOST

TIMEOUT = 30.0  # seconds without an answer


class Line(NamedTuple):
    """What the machine says of itself; currents in A."""

    monitors: list[str]
    correctors: list[str]
    most_current: float  # either sign
    period: float  # seconds between triggers
    step: float  # the largest change of a corrector from shot to shot
    reference: list[float]  # the set points of the design orbit
    last_number: int  # of the shots so far


class Link:
    """A connection to the machine.

    `shot` numbers the shots, on from the last one that the machine has seen, whoever sent it.
    """

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self.line = Line(**self._ask(op="describe"))
        self._number = self.line.last_number

    def begin(self, case: int | None = None) -> Reading:
        """Change the machine's setting; return the first reading.  case: a numbered one, without noise, to verify."""
        return _reading(self._ask(op="begin", case=case))

    def tick(self) -> None:
        """Wait for the next trigger."""
        self._ask(op="tick")

    def shot(self, set_points: np.ndarray) -> Reading:
        """Send set points [correctors] in A and return the reading of the next shot.  Raises NoReading or BeamLost."""
        self._number += 1
        answer = self._ask(op="shot", number=self._number, set=set_points.tolist())
        if failed := answer.get("failed"):
            raise (BeamLost if failed == BEAM_LOST else NoReading)(failed)
        return _reading(answer)

    def learnt(self) -> None:
        """Tell the machine's log that the last shot has been learnt from."""
        self._send({"op": "learnt", "number": self._number})

    def reset(self) -> None:
        """Reset the interlock and bring the magnets to the reference."""
        self._ask(op="reset")

    def wait(self, hours: float) -> None:
        """Let the machine's clock go on."""
        self._ask(op="wait", hours=hours)

    def close(self) -> None:
        """End the connection."""
        self._answers.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        self._send(request)
        line = self._answers.readline()
        if not line:
            raise ConnectionError("the machine's server has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def _send(self, request: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")


def _reading(answer: dict[str, Any]) -> Reading:
    return Reading(np.array(answer["orbit"]), np.array(answer["currents"]), answer["time"])
