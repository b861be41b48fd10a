"""Logs of earlier shifts, as a control room has them: a poor controller, noisy, with one corrector never moved.

    python -m examples.beamline.earlier_shifts --port PORT -o earlier.csv --points 200

The file has the columns of `reverie export RUN -o FILE.csv`.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from examples.beamline.alignment import ALIGNED, SHOTS, rms
from examples.beamline.control import observe, reward, specification
from examples.beamline.link import Link
from examples.beamline.machine import BeamLost, Design, NoReading, response_matrix
from reverie.export.experience_file import csv_bytes
from reverie.logs.experience_arrays import Experience

GAIN = 0.4  # of the correction that the wrong matrix asks for
WRONG = 0.3  # relative standard deviation of the matrix's errors
NOISE = 0.3  # A, on each set point
UNUSED = 1  # the corrector that stays at its reference


def record(link: Link, points: int, seed: int = 0) -> Experience:
    """Return at least `points` transitions of the poor controller, to the end of an episode."""
    generator = np.random.default_rng(seed)
    design = response_matrix(Design(correctors=len(link.line.correctors)))
    inverse = GAIN * np.linalg.pinv(design * (1 + WRONG * generator.standard_normal(design.shape)))
    reference, most = np.array(link.line.reference), link.line.most_current
    rows: list[dict[str, Any]] = []
    episode = 0
    while len(rows) < points:
        before, episode = link.begin(), episode + 1
        began = len(rows)
        while len(rows) < began + SHOTS:
            wanted = before.currents - inverse @ before.orbit + NOISE * generator.standard_normal(len(reference))
            wanted[UNUSED] = reference[UNUSED]
            wanted = np.clip(wanted, -most, most)
            try:
                after = link.shot(wanted)
            except NoReading:
                continue
            except BeamLost:
                link.reset()
                if len(rows) > began:
                    rows[-1]["truncated"] = True
                break
            aligned = rms(after) < ALIGNED
            rows.append(
                {
                    "step": len(rows) + 1,
                    "time": time.time(),
                    "episode": episode,
                    "observations": observe(before),
                    "actions": np.clip(after.currents, -most, most),
                    "asked": wanted,
                    "source": "log",
                    "rewards": reward(after),
                    "terminated": aligned,
                    "truncated": len(rows) + 1 == began + SHOTS and not aligned,
                    "next_observations": observe(after),
                }
            )
            before = after
            if aligned:
                break
    link.reset()
    return Experience(**{name: np.array([row[name] for row in rows]) for name in Experience._fields})


def write(link: Link, points: int, output: Path, seed: int = 0) -> None:
    """Record, and write the file."""
    output.write_bytes(csv_bytes(record(link, points, seed), specification(link.line)))


def main() -> None:
    """Write a log of earlier shifts."""
    parser = argparse.ArgumentParser(description="A log of earlier shifts, by a poor controller.")
    parser.add_argument("--port", type=int, required=True, help="of the machine's server")
    parser.add_argument("-o", "--output", type=Path, required=True, help="FILE.csv")
    parser.add_argument("--points", type=int, default=200)
    options = parser.parse_args()
    with Link(options.port) as link:
        write(link, options.points, options.output)


if __name__ == "__main__":
    main()
