"""The machine as a program of its own: lines of JSON over TCP, on the loopback interface only.

    python -m examples.beamline.server --log machine.jsonl --speed 20

It prints {"port": …} and serves one client after another until it is killed.  Each request is a line, and so is each
answer (`learnt` has none).  The log has a line for each shot that was answered, written before the answer is sent.

| request | answer |
|---|---|
| {"op": "describe"} | names and bounds of monitors and correctors, and the largest number of a shot so far |
| {"op": "begin", "case": null} | the first reading of a new setting of the machine, or of a numbered one |
| {"op": "tick"} | {}, at the next trigger, of which there are 10 in a second |
| {"op": "shot", "number": 7, "set": [0.1, …]} | a reading, or {"failed": "no reading"} or {"failed": "beam lost"} |
| {"op": "learnt", "number": 7} | none: the control program says that it has learnt from this shot |
| {"op": "reset"} | {}: the interlock is reset, and the magnets are at the reference |
| {"op": "wait", "hours": 16} | {}: the clock went on |
"""

import argparse
import contextlib
import json
import socketserver
import time
from pathlib import Path
from typing import Any

import numpy as np

from examples.beamline.machine import SHOT, BeamLost, Design, Machine, NoReading, Reading

MOVING = 0.2  # of a period, from the set points to the reading
NO_READING, BEAM_LOST = "no reading", "beam lost"


class Service:
    """Answers requests to a machine, and writes the log.

    speed: seconds of the machine's clock per second.
    """

    def __init__(self, machine: Machine, log: Path, speed: float):
        self.machine = machine
        self._log = log.open("a", encoding="utf-8")
        self._last = 0  # number of the last shot
        self._case: int | None = None  # of verification, which nothing waits for
        self._began = time.monotonic()
        self.period = SHOT / speed  # seconds between triggers

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a request, or None where it has none.  Raises ValueError for one that makes no sense."""
        match request:
            case {"op": "describe"}:
                return self._description()
            case {"op": "begin"}:
                self._case = request.get("case")
                return self._written("begin", reading=self.machine.begin(self._case))
            case {"op": "tick"}:
                time.sleep(self.period - (time.monotonic() - self._began) % self.period)
                return {}
            case {"op": "shot", "number": int(number), "set": list(values)}:
                return self._shot(number, np.array(values, float))
            case {"op": "learnt", "number": int(number)}:
                self._write({"kind": "learnt", "number": number})
                return None
            case {"op": "reset"}:
                self.machine.reset()
                return {}
            case {"op": "wait", "hours": float(hours) | int(hours)}:
                self.machine.wait(hours)
                self._write({"kind": "wait", "hours": hours})
                return {}
            case _:
                raise ValueError(f"not a request: {request}")

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _description(self) -> dict[str, Any]:
        design, machine = self.machine.design, self.machine
        return {
            "monitors": [f"bpm_{i + 1}" for i in range(design.monitors)],
            "correctors": [f"cor_{j + 1}" for j in range(design.correctors)],
            "most_current": design.most_current,
            "period": self.period,
            "step": design.rate * SHOT,
            "reference": machine.reference.tolist(),
            "last_number": self._last,
        }

    def _shot(self, number: int, set_points: np.ndarray) -> dict[str, Any]:
        if number <= self._last:
            raise ValueError(f"shot {number} comes after shot {self._last}")
        if set_points.shape != (self.machine.design.correctors,) or not np.isfinite(set_points).all():
            raise ValueError(f"{set_points} is not a current for each corrector")
        self._last = number
        if self._case is None:
            time.sleep(MOVING * self.period)
        facts = {"number": number, "set": set_points.tolist()}
        try:
            return self._written("shot", facts, self.machine.shot(set_points))
        except NoReading:
            return self._written("shot", facts, failed=NO_READING)
        except BeamLost:
            return self._written("shot", facts, failed=BEAM_LOST)

    def _written(
        self, kind: str, facts: dict[str, Any] | None = None, reading: Reading | None = None, failed: str = ""
    ) -> dict[str, Any]:
        """Write a row of the log, and return the answer."""
        if reading is None:
            answer: dict[str, Any] = {"failed": failed}
        else:
            answer = {"orbit": reading.orbit.tolist(), "currents": reading.currents.tolist(), "time": reading.time}
        self._write({"kind": kind, "case": self._case, **(facts or {}), **answer})
        return answer

    def _write(self, row: dict[str, Any]) -> None:
        self._log.write(json.dumps(row) + "\n")
        self._log.flush()


def serve(service: Service, port: int = 0) -> socketserver.TCPServer:
    """Return a server on 127.0.0.1, to be run by `serve_forever`.  port: 0: a free one."""

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client died: the log has its shots
                for line in self.rfile:
                    if line.endswith(b"\n"):  # no request that it had not finished
                        self._respond(line)

        def _respond(self, line: bytes) -> None:
            try:
                answer = service.answer(json.loads(line))
            except ValueError as error:
                answer = {"error": str(error)}
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    return socketserver.TCPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="A made-up beam line on the loopback interface.")
    parser.add_argument("--log", type=Path, required=True, help="file to append to: a line per shot")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--correctors", type=int, default=4, help="4 to 16")
    parser.add_argument("--seed", type=int, default=0, help="of noise, failures and error kicks")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than real time")
    options = parser.parse_args()
    machine = Machine(Design(correctors=options.correctors), options.seed)
    with contextlib.closing(Service(machine, options.log, options.speed)) as service:
        with serve(service, options.port) as server:
            print(json.dumps({"port": server.server_address[1]}), flush=True)
            server.serve_forever()


if __name__ == "__main__":
    main()
