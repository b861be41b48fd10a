"""How fast commands start, and how much experience weighs, on this machine.

help      seconds of `reverie --help`, the median of five
start     seconds from the command `reverie train` to the first step in the journal, the median of three
memory    bytes that a million transitions of HalfCheetah-v5's size (17 observations, 6 actions) take in replay and on disk,
          and how much the process really grew while replay filled
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reverie.core.types import row_width
from reverie.data.replay import Replay
from reverie.storage.journal import record_dtype
from studies.study import Study

REVERIE = [sys.executable, "-m", "reverie"]
N, M, MILLION = 17, 6, 1_000_000


def median_seconds(run: Callable[[], float], times: int) -> float:
    """Return the median of `times` runs."""
    return round(statistics.median(run() for _ in range(times)), 3)


def show_help() -> float:
    """Return the seconds of one `reverie --help`."""
    began = time.perf_counter()
    subprocess.run([*REVERIE, "--help"], capture_output=True, check=True)
    return time.perf_counter() - began


def first_step() -> float:
    """Return the seconds from a training command to its first step on disk."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "run" / "experience" / "journal.bin"
        words = ["train", "naf", "HalfCheetah-v5", "--steps", "100000", "--quiet", "--out", str(Path(folder) / "run")]
        began = time.perf_counter()
        process = subprocess.Popen([*REVERIE, *words], cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not journal.exists() or journal.stat().st_size < 200:
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        process.kill()
        process.wait()
    return seconds


def resident_bytes() -> int | None:
    """Return the process's memory now, where the system says."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else None


def memory() -> dict[str, int | None]:
    """Return what a million transitions take."""
    before = resident_bytes()
    replay = Replay(MILLION, row_width(N, M))
    replay.extend(np.ones(replay.rows.shape, np.float32))
    after = resident_bytes()
    grown = None if before is None or after is None else after - before
    return {"replay": replay.rows.nbytes, "process_grew": grown, "journal": MILLION * record_dtype(N, M).itemsize}


def measure() -> dict[str, Any]:
    """Return all three."""
    return {"help": median_seconds(show_help, 5), "start": median_seconds(first_step, 3), "memory": memory()}


STUDY = Study(
    name="startup",
    question="How fast do commands start, and how much does experience weigh?",
    variants=("help", "start", "memory"),
    tasks=("HalfCheetah-v5",),
    seeds=1,
    scored="seconds and bytes on this machine, printed as JSON",
    minutes=1,
    quoted=("docs/benchmarks.md",),
    measure=measure,
)
