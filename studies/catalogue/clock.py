"""Does learning keep the pace of a machine at 50 Hz, over 20,000 ticks in each of three ways?

The program asks, tells and sleeps until the next tick.  Each tick owes the updates of HalfCheetah's size of the learning
benchmark.  A tick is missed where its action is later than a tenth of a period (`rv.Clock`).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from reverie.bench.benchmark_cases import SETTINGS
from reverie.bench.clock_benchmark import MODES, TICKS, paced
from studies.study import Row, Study

ROUNDS = 200  # of 2 seconds
COUNTED = ("ticks", "missed_ours", "missed_machine")
MEASURED = ("ours_per_1000", "updates_per_tick", "ask_median_us", "ask_p999_us")


def _run(mode: str) -> Iterator[Row]:
    row = paced(mode, ROUNDS)
    yield {name: row[name] for name in COUNTED} | {name: float(f"{row[name]:.4g}") for name in MEASURED}


def _settings(stem: str) -> dict[str, Any]:
    del stem
    return {"agent": SETTINGS, "ticks": ROUNDS * TICKS}


def _verdict(rows: list[Row]) -> Iterable[str]:
    for row in rows:
        yield (
            f"{row['mode']}: {row['missed_ours']} of {row['ticks']:,} ticks missed by learning, {row['missed_machine']} by the "
            f"rest; `ask` took {row['ask_median_us']:g} us at the median"
        )


STUDY = Study(
    name="clock",
    question="Does learning keep the pace of a machine at 50 Hz?",
    variants=MODES,
    tasks=("HalfCheetah-v5",),
    seeds=1,
    scored="ticks missed, by cause, of 20,000 in real time",
    minutes=25,
    quoted=("docs/benchmarks.md",),
    columns=("mode", *COUNTED, *MEASURED),
    key=("mode",),
    cells=tuple((mode,) for mode in MODES),
    run=_run,
    settings=_settings,
    verdict=_verdict,
)
