"""The benchmark of learning beside a clock: ticks missed by us at 50 Hz, and how long `ask` and `tell` take."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.algorithms import ALGORITHMS
from reverie.bench.benchmark_cases import CHEETAH, SETTINGS, N
from reverie.core.interrupts import raise_if_interrupted
from reverie.training.clock import Clock
from reverie.training.learner import Learner

PERIOD = 0.02  # seconds: 50 Hz
TICKS = 100  # per round: 2 seconds
EPISODE = 250  # ticks
MODES = ("time", "background", "episode")
QUICK_STEPS = 200  # per round, of `ask` and `tell` without learning, to time them alone


def clock(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Drive a learner at 50 Hz for `rounds` times 100 ticks in each mode, with the updates of the learning benchmark."""
    rows = [paced(mode, rounds) for mode in MODES]
    return {"unit": f"ticks of {1e3 * PERIOD:g} ms", "rows": rows, "ask_and_tell": _calls(rounds)}


def _learner(clock: Clock | None = None, **changes: Any) -> Learner:
    return Learner(ALGORITHMS["naf"](**(SETTINGS | {"warmup_steps": 200} | changes)), spec=CHEETAH, clock=clock)


def paced(mode: str, rounds: int) -> dict[str, Any]:
    """Drive a learner at 50 Hz for `rounds` times 100 ticks; return what was missed, and how long `ask` took."""
    generator, asks = np.random.default_rng(0), []
    with _learner(Clock(PERIOD), update_after=mode) as learner:
        learner.compile()
        observation, start = generator.standard_normal(N), time.perf_counter()
        for tick in range(rounds * TICKS):
            raise_if_interrupted()
            began = time.perf_counter()
            learner.ask(observation)
            asks.append(time.perf_counter() - began)
            last = tick % EPISODE == EPISODE - 1
            observation = generator.standard_normal(N)
            learner.tell(1.0, observation, terminated=False, truncated=last)
            start = start + PERIOD if not last else time.perf_counter()
            if (left := start - time.perf_counter()) > 0:
                time.sleep(left)
            else:  # late: the next tick begins now
                start = time.perf_counter()
        missed, updates = learner.missed_ticks, learner.trainer.updates
    assert missed is not None  # there is a clock
    ticks = rounds * TICKS
    return {
        "name": mode,
        "ticks": ticks,
        "missed_ours": missed["ours"],
        "missed_machine": missed["machine"],
        "ours_per_1000": 1e3 * missed["ours"] / ticks,
        "updates_per_tick": updates / ticks,
        "ask_median_us": 1e6 * statistics.median(asks),
        "ask_p999_us": 1e6 * sorted(asks)[int(0.999 * len(asks))],
    }


def _calls(rounds: int) -> list[dict[str, Any]]:
    """Return the times of `ask` and `tell` alone; the journal is handed to the operating system, without waiting."""
    times: dict[str, list[float]] = {"ask": [], "tell": [], "tell with fsync": []}
    generator = np.random.default_rng(0)
    with _learner(updates_per_step=0, warmup_steps=0) as learner:
        learner.compile()
        sync = learner._session.records.journal.sync  # pyright: ignore[reportPrivateUsage]
        for waits in (False, True):
            learner._session.records.journal.sync = sync if waits else lambda: None  # pyright: ignore
            name = "tell with fsync" if waits else "tell"
            for _ in range(max(1, rounds) * QUICK_STEPS // (10 if waits else 1)):
                observation = generator.standard_normal(N)
                began = time.perf_counter()
                learner.ask(observation)
                middle = time.perf_counter()
                learner.tell(1.0, observation, terminated=False)
                end = time.perf_counter()
                times["ask"].append(middle - began)
                times[name].append(end - middle)
    return [
        {
            "name": name,
            "median_us": 1e6 * statistics.median(found),
            "p99_us": 1e6 * sorted(found)[int(0.99 * len(found))],
        }
        for name, found in times.items()
    ]
