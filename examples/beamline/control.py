"""The control program: one shift at the machine, in which reverie learns to align the beam.

    python -m examples.beamline.control --port PORT --run runs/beamline/learner --until 160

Copy this file and put your own machine in place of `Link`.  Call it again with the same run, the next day or after a
crash, and it goes on where it stopped.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import reverie as rv
from examples.beamline.alignment import ALIGNED, SHOTS, Verification, rms, verify
from examples.beamline.link import Line, Link
from examples.beamline.machine import BeamLost, NoReading, Reading

# The best set points are a linear function of the observation and hardly depend on what comes later: a small network
# without normalisation and a low discount learn fastest (README.md has what was tried).
AGENT = rv.NAF(
    hidden=(200,),
    normalisation="none",
    mean_bound="clip",
    discount=0.5,
    reward_scale=0.3,
    target_rate=0.02,
    noise="gaussian",
    noise_scale=0.15,
    updates_per_step=10,
    warmup_steps=80,
)
REACH = 1.4  # A: how far from the reference a corrector may be


def specification(line: Line) -> rv.EnvSpec:
    """Return what is measured and what is set, with names, units and bounds."""
    return rv.EnvSpec(
        observation_dim=len(line.monitors) + len(line.correctors),
        observation_names=[*line.monitors, *(f"{name}_readback" for name in line.correctors)],
        observation_units=["mm"] * len(line.monitors) + ["A"] * len(line.correctors),
        action_low=[-line.most_current] * len(line.correctors),
        action_high=[line.most_current] * len(line.correctors),
        action_names=line.correctors,
        action_units=["A"] * len(line.correctors),
        name="beamline",
    )


def limits(line: Line) -> rv.Limits:
    """Return what the machine allows: small steps, near the reference; and where it goes after an abort."""
    return rv.Limits(slew=line.step, region=(line.reference, REACH), safe_action=line.reference)


def observe(reading: Reading) -> np.ndarray:
    """Return what the agent sees [monitors + correctors]: the orbit in mm, and the power supplies' readback in A."""
    return np.concatenate([reading.orbit, reading.currents]).astype(np.float32)


def reward(reading: Reading) -> float:
    """Return minus the mean square of the orbit in mm²: a parabola, which is the form of NAF's advantage."""
    return -(rms(reading) ** 2)


def open_learner(run: Path, line: Line, seed: int, earlier: Path | None = None) -> rv.Learner:
    """Continue the run, or begin it.  earlier: the log of earlier shifts, to learn from before the first shot."""
    if (run / "config.json").exists():
        return rv.Learner.load(run)
    return rv.Learner(
        AGENT,
        spec=specification(line),
        limits=limits(line),
        clock=rv.Clock(period=line.period),  # learning fits into what the machine leaves of each tick
        experience=earlier,
        seed=seed,
        out=run,
    )


def align_once(learner: rv.Learner, link: Link) -> None:
    """Learn from one episode: at most `SHOTS` shots at one setting of the machine."""
    reading, shots = link.begin(), 0
    while shots < SHOTS:
        link.tick()
        action = learner.ask(observe(reading))
        try:
            reading = link.shot(action)
        except NoReading:
            learner.drop()  # nothing is known of this shot: forget it, and ask again
            continue
        except BeamLost:
            learner.abort("beam lost")  # the next action is the safe one
            link.reset()
            return
        shots += 1
        aligned = rms(reading) < ALIGNED
        # What was executed is what the power supplies say, not what they were told.
        learner.tell(
            reward(reading), observe(reading), aligned, shots == SHOTS and not aligned, action=reading.currents
        )
        link.learnt()  # for the machine's log alone: the transition is on the disk now
        if aligned:
            return


def shift(learner: rv.Learner, link: Link, until: int) -> None:
    """Learn until the run has `until` points, to the end of an episode; whatever happens, leave the machine safe."""
    try:
        while learner.steps < until:
            align_once(learner, link)
    finally:
        link.reset()


def verified(learner: rv.Learner, link: Link) -> Verification:
    """Verify the greedy policy, without noise."""
    return verify(link, lambda reading: learner.predict(observe(reading)))


def write(file: Path, points: int, found: Verification) -> None:
    """Add a row to the table of verifications."""
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        if new:
            rows.writerow(("points", *found._fields))
        rows.writerow((points, *found))


def main() -> None:
    """Work one shift, verify what was learnt, and write it beside the run."""
    parser = argparse.ArgumentParser(description="One shift: reverie learns to align the beam.")
    parser.add_argument("--port", type=int, required=True, help="of the machine's server")
    parser.add_argument("--run", type=Path, required=True, help="run directory: begun, or continued where it is there")
    parser.add_argument("--until", type=int, default=160, help="real points of the run at which the shift ends")
    parser.add_argument("--earlier", type=Path, help="FILE.csv of earlier shifts, for a new run to learn from too")
    parser.add_argument("--seed", type=int, default=0, help="of a new run")
    options = parser.parse_args()
    with Link(options.port) as link, open_learner(options.run, link.line, options.seed, options.earlier) as learner:
        print(f"shift begins at {learner.steps} points", flush=True)
        shift(learner, link, options.until)
        learner.save()
        found = verified(learner, link)
        write(options.run.with_name(f"{options.run.name}-verified.csv"), learner.steps, found)
        print(f"{learner.steps} points: {found.aligned} of {found.cases} settings aligned", flush=True)


if __name__ == "__main__":
    main()
