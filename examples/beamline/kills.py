"""Kill the control program at random moments, and count what that lost.

    python -m examples.beamline.kills --kills 20

Each kill is SIGKILL, a random number of shots after the program has begun to learn.  At the end the machine's log is
compared with the learner's journal.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np

from examples.beamline import books, programs

MOST_SHOTS = 30  # from the start of a program to its kill
MOST_DELAY = 0.03  # seconds more, so that kills fall anywhere within a shot


def endure(folder: Path, kills: int, seed: int = 0) -> books.Count:
    """Return the count after so many kills.  folder: for the log and the run; what is there is deleted."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log, run, generator = folder / "machine.jsonl", folder / "learner", np.random.default_rng(seed)
    with programs.machine(log, "--speed", "20") as port:
        done = 0
        while done < kills:
            due = books.acknowledged(log) + int(generator.integers(1, MOST_SHOTS))
            delay = float(generator.uniform(0, MOST_DELAY))
            program = programs.control(port, run, "--until", "1000000")
            done += programs.kill_when(program, lambda due=due, delay=delay: _is_due(log, due, delay))
        programs.finish(programs.control(port, run, "--until", "1"))  # opens the run once more, and closes it
    return books.compare(log, run)


def _is_due(log: Path, shots: int, delay: float) -> bool:
    if books.acknowledged(log) < shots:
        return False
    time.sleep(delay)
    return True


def main() -> None:
    """Kill, count, and say what was found."""
    parser = argparse.ArgumentParser(description="Kill the control program at random, and count what was lost.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=Path("runs/beamline-kills"), help="folder, deleted first")
    options = parser.parse_args()
    found = endure(options.out, options.kills, options.seed)
    for name, value in found._asdict().items():
        print(f"{name:13}{value:7}")
    if not found.good:
        raise SystemExit("books differ")


if __name__ == "__main__":
    main()
