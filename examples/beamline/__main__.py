"""`make beamline`: three shifts at a made-up beam line, killed once, and a page of what came out.

python -m examples.beamline --out runs/beamline
"""

import argparse
from pathlib import Path

from examples.beamline import books, earlier_shifts, page, programs, response_matrix
from examples.beamline.alignment import verify
from examples.beamline.link import Link
from reverie.storage.run import unused

SHIFTS = 3
NIGHT = 16  # hours from the end of a shift to the next one
KILLED = 1  # the shift in which the control program is killed, from 0


def work(out: Path, points: int, earlier: int, speed: float) -> Path:
    """Run the machine, the shifts and the response matrix; return the page.

    points: real points of each shift.  earlier: points of the log of earlier shifts.
    """
    out.mkdir(parents=True)
    log, run = out / "machine.jsonl", out / "learner"
    with programs.machine(log, "--speed", str(speed)) as port:
        with Link(port) as link:
            earlier_shifts.write(link, earlier, out / "earlier.csv")
        words = ("--earlier", str((out / "earlier.csv").resolve()))
        for shift in range(SHIFTS):
            goal = ("--until", str(points * (shift + 1)))
            with Link(port) as link:
                link.wait(NIGHT if shift else 0)
            if shift == KILLED:
                kill_half_way(port, run, log, points, goal)
            programs.finish(programs.control(port, run, *goal, *words))
        with Link(port) as link:
            measured = response_matrix.measure(link)
            by_hand = verify(link, response_matrix.controller(link, measured.response))
    learnt = page.verifications(out / "learner-verified.csv")
    page.write(run, log, learnt, page.ByHand(measured.points, by_hand), earlier, out / "page.html")
    return out / "page.html"


def kill_half_way(port: int, run: Path, log: Path, points: int, goal: tuple[str, str]) -> None:
    """Start a shift, and kill its program (SIGKILL) after half of its points."""
    due = books.acknowledged(log) + points // 2
    program = programs.control(port, run, *goal)
    if not programs.kill_when(program, lambda: books.acknowledged(log) >= due):
        raise RuntimeError("the control program ended before it could be killed")
    print("the control program was killed", flush=True)


def main() -> None:
    """Work three shifts, and say where the page is."""
    parser = argparse.ArgumentParser(description="Three shifts at a made-up beam line.")
    parser.add_argument("--out", type=Path, help="folder (default: an unused runs/beamline)")
    parser.add_argument("--points", type=int, default=160, help="real points of each shift")
    parser.add_argument("--earlier", type=int, default=200, help="points of the log of earlier shifts")
    parser.add_argument("--speed", type=float, default=5.0, help="how much faster than real time")
    options = parser.parse_args()
    out = options.out or unused(Path("runs") / "beamline")
    print(f"page          {work(out, options.points, options.earlier, options.speed)}")


if __name__ == "__main__":
    main()
