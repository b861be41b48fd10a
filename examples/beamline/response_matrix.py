"""The controller that an operator writes by hand: measure the response matrix, then correct the orbit by its inverse.

Each corrector is moved up and down once, `REPEATS` times.  Least squares over all readings, with the readback as the
current, gives the response in mm/A.  The correction is the pseudo-inverse (a singular value decomposition) times the
orbit.
"""

from typing import NamedTuple

import numpy as np

from examples.beamline.alignment import Controller
from examples.beamline.link import Link
from examples.beamline.machine import BeamLost, NoReading, Reading

KICK = 0.6  # A, either side of the reference
REPEATS = 2
SMALLEST = 0.02  # singular values below this share of the largest are left out


class Measured(NamedTuple):
    """A response matrix, and what it cost."""

    response: np.ndarray  # [monitors, correctors], mm/A
    points: int  # shots, those without a reading included


def measure(link: Link) -> Measured:
    """Move one corrector after another, and return the response matrix."""
    reference = np.array(link.line.reference)
    rows, points = [link.begin()], 0
    for kick in np.tile(np.eye(len(reference)), (REPEATS, 1)):
        for sign in (1, -1):
            points += 1
            try:
                rows.append(link.shot(reference + sign * KICK * kick))
            except NoReading:
                continue
            except BeamLost:
                link.reset()
    link.reset()
    currents = np.array([[1.0, *row.currents] for row in rows])
    solution = np.linalg.lstsq(currents, np.array([row.orbit for row in rows]))[0]
    return Measured(solution[1:].T, points)


def controller(link: Link, response: np.ndarray) -> Controller:
    """Return the controller that takes the measured response [monitors, correctors] back out of the orbit."""
    inverse, most = np.linalg.pinv(response, rcond=SMALLEST), link.line.most_current

    def correct(reading: Reading) -> np.ndarray:
        return np.clip(reading.currents - inverse @ reading.orbit, -most, most)

    return correct
