"""A made-up beam line: correctors steer the beam, monitors measure where it is.  NumPy alone.

An error kick beside each corrector pushes the beam off its path; the correctors have to cancel the kicks.  The orbit at
monitor i is, for kicks θ_j in mrad at phases φ_j (any text on beam optics; upstream of j the kick does nothing),

    x_i = Σ_j √(β_i β_j) sin(φ_i - φ_j) θ_j        for φ_i > φ_j.

What makes it a machine and not a formula: monitors have noise, offsets and a reading that bends at large positions; power
supplies are slow, and their readback is not the set point; kicks drift over hours; a shot fails now and then; and a beam
that touches the aperture trips the interlock.  No number here belongs to a real machine.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

SHOT = 0.1  # seconds from shot to shot: 10 Hz
CELL = np.pi / 3  # phase advance from one corrector to the next
FEWEST, MOST = 4, 16  # correctors
EXTRA_MONITORS = 2  # after the last corrector, so that its kick is seen too
DAY = 24 * 3600.0  # seconds


class NoReading(Exception):
    """The shot failed: magnets may have moved, but no monitor has a reading."""


class BeamLost(Exception):
    """The interlock has stopped the beam; it stays off until `Machine.reset`."""


class Reading(NamedTuple):
    """What the control system says after a shot."""

    orbit: np.ndarray  # [monitors], mm
    currents: np.ndarray  # [correctors], A: readback of the power supplies
    time: float  # seconds on the machine's clock


@dataclasses.dataclass(frozen=True)
class Design:
    """The numbers of a beam line."""

    correctors: int = 4
    seed: int = 0  # of everything that is fixed when the line is built
    most_current: float = 2.0  # A, either sign
    mrad_per_ampere: float = 0.2
    error: float = 1.0  # A: the largest error kick of an episode on the shortest line, as the current that cancels it
    drift: float = 0.2  # A: amplitude of the slow drift of each error kick
    noise: float = 0.03  # mm, of a reading
    offset: float = 0.1  # mm, standard deviation of the monitors' offsets
    bend: float = 0.004  # per mm²: a monitor shows x (1 - bend x²)
    rate: float = 8.0  # A/s, of a power supply
    gain_error: float = 0.01  # standard deviation of a power supply's gain
    current_noise: float = 0.003  # A, of a readback
    failing: float = 0.02  # share of shots without a reading
    aperture: float = 6.0  # mm

    def __post_init__(self):
        if not FEWEST <= self.correctors <= MOST:
            raise ValueError(f"a line has {FEWEST} to {MOST} correctors, not {self.correctors}")

    @property
    def monitors(self) -> int:
        """How many there are: one behind each corrector, and some at the end."""
        return self.correctors + EXTRA_MONITORS


def response_matrix(design: Design) -> np.ndarray:
    """Return R [monitors, correctors] in mm/A: the orbit is R θ.  Entries above the diagonal are 0."""
    generator = np.random.default_rng([design.seed, 1])
    beta = generator.uniform(5.0, 12.0, design.monitors)  # m, at monitors and correctors of the same cell alike
    of_correctors = CELL * np.arange(design.correctors)
    of_monitors = CELL * (np.arange(design.monitors) + 0.75)
    phase = of_monitors[:, None] - of_correctors
    per_mrad = np.sqrt(beta[:, None] * beta[: design.correctors]) * np.sin(phase) * (phase > 0)
    return design.mrad_per_ampere * per_mrad


class Machine:
    """A beam line in operation.  seed: of noise, failures and error kicks, apart from how the line was built."""

    def __init__(self, design: Design | None = None, seed: int = 0):
        self.design = design = design or Design()
        self.seed = seed
        self.response = response_matrix(design)
        built = np.random.default_rng([design.seed, 2])
        self.offsets = design.offset * built.standard_normal(design.monitors)  # mm
        self.gains = 1 + design.gain_error * built.standard_normal(design.correctors)
        self.reference = built.uniform(-0.5, 0.5, design.correctors).round(2)  # A: what the design orbit needs
        self._phases = built.uniform(0, 2 * np.pi, (2, design.correctors))
        self._random = np.random.default_rng([design.seed, seed, 3])
        self._errors = np.zeros(design.correctors)  # A
        self._noiseless = False
        self.currents = self.reference.copy()  # A: what flows
        self.time = 0.0  # seconds
        self.tripped = False

    def begin(self, case: int | None = None) -> Reading:
        """Cycle the magnets to the reference, change the error kicks, and return the first reading.

        case: one of the numbered settings for verification, the same at every call, measured without noise, failures or
            the clock going on; None: a new setting, as operation brings it.
        """
        self._noiseless = case is not None
        draws = self._random if case is None else np.random.default_rng([self.design.seed, case, 4])
        # A longer line is built better, or else the beam would be lost before it can be corrected.
        largest = self.design.error * np.sqrt(FEWEST / self.design.correctors)
        self._errors = largest * draws.uniform(-1, 1, self.design.correctors)
        self.currents = self.reference.copy()
        self.tripped = False
        return self._measure()

    def shot(self, set_points: np.ndarray) -> Reading:
        """Send set points [correctors] in A, wait for the next shot, and return its reading.

        Raises NoReading or BeamLost.
        """
        if self.tripped:
            raise BeamLost("the interlock has tripped; reset it")
        most = self.design.most_current
        way = np.clip(set_points, -most, most) * self.gains - self.currents
        self.currents = self.currents + np.clip(way, -self.design.rate * SHOT, self.design.rate * SHOT)
        if not self._noiseless:
            self.time += SHOT
        if np.abs(self.orbit()).max() > self.design.aperture:
            self.tripped = True
            raise BeamLost("the beam touched the aperture")
        if not self._noiseless and self._random.random() < self.design.failing:
            raise NoReading("no monitor has a reading of this shot")
        return self._measure()

    def reset(self) -> None:
        """Reset the interlock: magnets go to the reference."""
        self.currents = self.reference.copy()
        self.tripped = False

    def wait(self, hours: float) -> None:
        """Let the machine's clock go on, without beam."""
        self.time += 3600 * hours

    def orbit(self) -> np.ndarray:
        """Return where the beam truly is [monitors], in mm."""
        return self.response @ (self.currents - self.reference + self._errors + self.drift())

    def drift(self) -> np.ndarray:
        """Return the slow part of the error kicks [correctors], in A: a day's wave and a faster one."""
        day, faster = self._phases
        turns = 2 * np.pi * self.time / DAY
        return self.design.drift * (0.7 * np.sin(turns + day) + 0.3 * np.sin(3.3 * turns + faster))

    def _measure(self) -> Reading:
        there = self.orbit()
        orbit = there * (1 - self.design.bend * there**2) + self.offsets
        currents = self.currents.copy()
        if not self._noiseless:
            orbit += self.design.noise * self._random.standard_normal(len(orbit))
            currents += self.design.current_noise * self._random.standard_normal(len(currents))
        return Reading(orbit, currents, self.time)
