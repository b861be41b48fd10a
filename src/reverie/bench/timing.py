"""Interleaved timing: each entry runs once per round, so that changes of the machine's speed affect all alike."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from reverie.core.interrupts import raise_if_interrupted


class Contender(NamedTuple):
    """An entry to time: `run` does `units` units of the same work as every other entry of the table."""

    name: str
    run: Callable[[], object]
    units: int


def interleave(contenders: list[Contender], rounds: int) -> dict[str, list[float]]:
    """Return the seconds per unit of each entry, one number per round, after one round that is not counted."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            raise_if_interrupted()
            began = time.perf_counter()
            contender.run()
            if number:
                times[contender.name].append((time.perf_counter() - began) / contender.units)
    return times


def ratios(times: dict[str, list[float]], base: str) -> dict[str, float]:
    """Return for each entry the median over rounds of its time divided by that of `base` in the same round."""
    return {
        name: statistics.median(a / b for a, b in zip(values, times[base], strict=True))
        for name, values in times.items()
    }


def table(times: dict[str, list[float]], base: str) -> list[dict[str, Any]]:
    """Return a row per entry: median and fastest time in microseconds, and the ratio to `base`."""
    over = ratios(times, base)
    return [
        {
            "name": name,
            "median_us": 1e6 * statistics.median(values),
            "min_us": 1e6 * min(values),
            f"time_over_{base}": over[name],
        }
        for name, values in times.items()
    ]
