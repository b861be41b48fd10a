"""NAF with the unit of rewards and the discount left to it, and with numbers."""

from collections.abc import Iterator
from typing import Any

import reverie as rv
from studies.doc_tables import table
from studies.learning import tested_by_steps
from studies.store import Store
from studies.study import Row, Study, product
from studies.summaries import where

COLUMNS = ("domain", "variant", "seed", "step", "return_mean", "return_std")
VARIANTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "tenth": {"reward_scale": 0.1},
    "scale": {"reward_scale": "auto"},
    "scale-and-discount": {"reward_scale": "auto", "discount": "auto"},
}
NAMES = {
    "numbers": "defaults: scale 1, discount .99",
    "tenth": "scale .1",
    "scale": "scale `auto`",
    "scale-and-discount": "scale and discount `auto`",
}
ENVS = {"Pendulum-v1": (2000, 500)}  # steps, and steps between tests
EPISODES = 10  # of a test
SWUNG_UP = -200.0  # the return of a pendulum that is held upright after one swing or two
SEEDS = 10


def _run(env: str, variant: str, seed: int) -> Iterator[Row]:
    steps, every = ENVS[env]
    for row in tested_by_steps(rv.NAF(**VARIANTS[variant]), env, seed, steps, every, EPISODES):
        yield {"domain": env, "variant": variant, "seed": seed} | row


def _facts(rows: list[Row]) -> dict[str, Any]:
    """Return how many seeds score `SWUNG_UP` or more at each test, and the lowest seed at the end."""
    found: dict[str, Any] = {}
    for variant in VARIANTS:
        if not (mine := where(rows, variant=variant)):
            continue
        steps = sorted({row["step"] for row in mine})
        held = {step: sum(row["return_mean"] >= SWUNG_UP for row in where(mine, step=step)) for step in steps}
        found[variant] = {"held": held, "lowest": min(row["return_mean"] for row in where(mine, step=steps[-1]))}
    return found


def _verdict(rows: list[Row]) -> Iterator[str]:
    for variant, found in _facts(rows).items():
        counts = ", ".join(f"{held} after {step}" for step, held in found["held"].items())
        yield f"{variant}: of {SEEDS} seeds at {SWUNG_UP:g} or more: {counts} steps; the lowest at the end {found['lowest']:g}"


def _table() -> list[str]:
    """Return the same as a table."""
    found = _facts(Store(STUDY).rows())
    rows = [[NAMES[name], *own["held"].values(), f"{own['lowest']:.0f}"] for name, own in found.items()]
    return table(("NAF with", *(f"{step:,} steps" for step in found["numbers"]["held"]), "lowest seed then"), rows)


STUDY = Study(
    name="scales",
    question="Does NAF need a scale of rewards and a discount that are set by hand?",
    variants=tuple(VARIANTS),
    tasks=tuple(ENVS),
    seeds=SEEDS,
    scored=f"the greedy return over {EPISODES} episodes, every 500 steps",
    minutes=15,
    quoted=("docs/naf.md",),
    columns=COLUMNS,
    key=("domain", "variant", "seed"),
    cells=product(ENVS, VARIANTS, SEEDS),
    sort_by=COLUMNS[:4],
    run=_run,
    settings=lambda stem: {"variants": VARIANTS},
    verdict=_verdict,
    facts=_facts,
    tables={"held": _table},
)
