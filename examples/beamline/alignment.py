"""The task: bring the orbit to the middle of the monitors within a few shots.  And how a controller is verified at it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from examples.beamline.link import Link
from examples.beamline.machine import BeamLost, NoReading, Reading

SHOTS = 10  # in an episode
ALIGNED = 0.4  # mm: the root mean square of the readings at which the beam is aligned
CASES = 50  # settings of the machine in a verification

Controller = Callable[[Reading], np.ndarray]  # of a reading the set points [correctors], A


class Verification(NamedTuple):
    """How a controller did at the numbered settings."""

    aligned: int  # settings at which it aligned the beam
    cases: int
    shots: float  # mean over these; nan: there are none


def rms(reading: Reading) -> float:
    """Return the root mean square of the readings of all monitors, in mm."""
    return float(np.sqrt(np.mean(reading.orbit**2)))


def verify(link: Link, controller: Controller, cases: int = CASES) -> Verification:
    """Return at how many of the numbered settings a controller aligns the beam within `SHOTS`, without noise."""
    needed = [found for case in range(cases) if (found := _shots_needed(link, controller, case)) is not None]
    return Verification(len(needed), cases, float(np.mean(needed)) if needed else float("nan"))


def _shots_needed(link: Link, controller: Controller, case: int) -> int | None:
    reading = link.begin(case)
    for shot in range(1, SHOTS + 1):
        try:
            reading = link.shot(controller(reading))
        except (BeamLost, NoReading):
            return None
        if rms(reading) < ALIGNED:
            return shot
    return None
