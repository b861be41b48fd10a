"""Do memory, open files and the time of a checkpoint stay flat through two hours of training at full speed?

NAF with imagination on the reacher, in a run directory.  Replay is full after the first minutes.  A row is one minute.
"""

import gc
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import reverie as rv
from studies.study import Row, Study

MINUTES = 120
AGENT = rv.Imagination(rv.NAF(replay_capacity=10_000), rv.LinearGaussian())
DOMAIN = "reacher"


def _memory() -> float:
    """Return the resident megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _run(agent: str) -> Iterator[Row]:
    del agent
    with tempfile.TemporaryDirectory() as folder, rv.Learner(AGENT, env=DOMAIN, out=Path(folder) / "run") as learner:
        began = time.perf_counter()
        for minute in range(1, MINUTES + 1):

            def over(learner: Any, event: Any, until: float = began + 60 * minute) -> bool:
                del learner
                return isinstance(event, rv.StepEnded) and time.perf_counter() > until

            before = learner.steps
            learner.learn(10**9, callbacks=[over])
            saving = time.perf_counter()
            learner.save()
            saved = time.perf_counter()
            gc.collect()
            yield {
                "minute": minute,
                "steps": learner.steps,
                "steps_per_minute": learner.steps - before,
                "memory_mb": round(_memory(), 1),
                "open_files": len(os.listdir("/proc/self/fd")),
                "threads": len(os.listdir("/proc/self/task")),
                "checkpoint_ms": round(1e3 * (saved - saving), 1),
            }


def _verdict(rows: list[Row]) -> Iterable[str]:
    for column in ("memory_mb", "open_files", "threads", "checkpoint_ms"):
        values = [float(row[column]) for row in rows]
        quarter = len(values) // 4
        first, last = values[quarter : 2 * quarter], values[-quarter:]
        yield (
            f"{column}: {np.median(first):.4g} in the second quarter of the time, {np.median(last):.4g} in the last one; "
            f"at most {max(values):.4g}"
        )


STUDY = Study(
    name="soak",
    question="Do memory, open files and checkpoints stay flat through hours of training?",
    variants=("naf with imagination",),
    tasks=("reacher",),
    seeds=1,
    scored="memory, open files, threads and the time of a checkpoint, each minute",
    minutes=MINUTES,
    quoted=("docs/benchmarks.md",),
    columns=("agent", "minute", "steps", "steps_per_minute", "memory_mb", "open_files", "threads", "checkpoint_ms"),
    key=("agent",),
    cells=(("naf",),),
    run=_run,
    settings=lambda stem: {"agent": repr(AGENT), "domain": DOMAIN, "minutes": MINUTES},
    verdict=_verdict,
)
