"""The benchmark of collectors: steps per second of several against those of one, in an environment that takes its time."""

import importlib.util
import itertools
import time
from collections.abc import Sequence
from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.bench.slow_env import SECONDS
from reverie.bench.timing import ratios, table
from reverie.core.interrupts import raise_if_interrupted
from reverie.training.callbacks import Event, StepEnded
from reverie.training.learner import Learner

ENV = "reverie.bench.slow_env:SlowEnv"
SETTINGS: dict[str, Any] = {"hidden": (64, 64), "updates_per_step": 1, "warmup_steps": 100}  # so that updates fit
FOUR = 4
STEPS = 500  # of each collector in a round; the first half, while processes start, is not timed


def collect(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time steps that are taken and learnt from: by one collector, by four, and by four of Ray where it is installed."""
    del peers
    entries = {"one": (1, "local"), "four": (FOUR, "local")}
    if importlib.util.find_spec("ray") is not None:
        entries["four of ray"] = FOUR, "ray"
    learners = {name: Learner(ALGORITHMS["naf"](**SETTINGS), ENV).compile() for name in entries}
    times: dict[str, list[float]] = {name: [] for name in entries}
    for _, (name, (collectors, backend)) in itertools.product(range(rounds), entries.items()):
        raise_if_interrupted()
        times[name].append(_seconds_per_step(learners[name], collectors, backend))
    for learner in learners.values():
        learner.close()
    rows, over = table(times, "one"), ratios(times, "one")
    for row in rows:
        row["steps_per_second"], row["steps_over_one"] = 1e6 / row["median_us"], 1 / over[row["name"]]
    return {"unit": f"one step of an environment that takes {1000 * SECONDS:.0f} ms", "rows": rows}


def _seconds_per_step(learner: Learner, collectors: int, backend: str) -> float:
    moments: list[float] = []

    def note(learner: Learner, event: Event) -> None:
        if isinstance(event, StepEnded):
            moments.append(time.perf_counter())

    learner.learn(STEPS * collectors, callbacks=[note], collectors=collectors, backend=backend)
    first = len(moments) // 2
    return (moments[-1] - moments[first]) / (len(moments) - 1 - first)
