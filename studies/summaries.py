"""What verdicts calculate from a study's rows."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from studies.study import Row

DRAWS = 10_000  # resamples of an interval


def where(rows: Iterable[Row], **values: Any) -> list[Row]:
    """Return the rows whose columns have these values."""
    return [row for row in rows if all(row[column] == value for column, value in values.items())]


def curves(
    rows: Iterable[Row], x: str = "episode", y: str = "return_mean", **values: Any
) -> dict[int, dict[int, float]]:
    """Return scores by seed and x, of the rows that have these values."""
    found: dict[int, dict[int, float]] = {}
    for row in where(rows, **values):
        found.setdefault(row["seed"], {})[row[x]] = row[y]
    return found


def interval(values: list[float], statistic: Callable[..., Any] = np.mean) -> list[float]:
    """Return the 95 % bootstrap interval of a statistic over seeds."""
    from reverie.maths import bootstrap  # imports JAX, which some cells do without

    found = bootstrap.interval(
        lambda drawn: statistic(drawn, axis=-1), [np.asarray(values, float)], np.random.default_rng(0), DRAWS
    )
    return [round(bound, 3) for bound in found]


def difference(ahead: list[float]) -> list[Any]:
    """Return the mean of differences by seed, and its interval."""
    return [round(float(np.mean(ahead)), 3), interval(ahead)]


def in_words(difference: list[Any]) -> str:
    """Return what `difference` found, for people."""
    mean, (low, high) = difference
    return f"{mean} [{low}, {high}]"


def reached(curve: dict[int, float], score: float) -> float:
    """Return the first x at which a curve is at a score or above; infinite where it never is."""
    return next((float(x) for x, value in sorted(curve.items()) if value >= score), math.inf)


def finite(facts: Any) -> Any:
    """Return facts for JSON, with None for what is not finite: never reached."""
    if isinstance(facts, dict):
        return {key: finite(value) for key, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [finite(value) for value in facts]
    return None if isinstance(facts, float) and not math.isfinite(facts) else facts


def medians(name: str, found: Sequence[tuple[float, bool]]) -> Row:
    """Return the median (in the column `name`) and quartiles of errors, and how many failed.  found: (error, failed)."""
    values = np.percentile([error for error, _ in found], (50, 25, 75), method="nearest")
    columns = zip((name, "lower_quartile", "upper_quartile"), values, strict=True)
    row: Row = {column: float(f"{value:.4g}") for column, value in columns}
    return row | {"failed": sum(failed for _, failed in found), "repetitions": len(found)}


def by_episodes(rows: Iterable[Row], column: str) -> str:
    """Return the values of a column after fits to more and more episodes, in words."""
    found = {row["episodes"]: row[column] for row in rows}
    return ", ".join(f"{found[n]:g} from {n}" for n in sorted(found))


def spread(values: Iterable[float]) -> str:
    """Return mean and standard deviation over seeds or starts in words."""
    found = list(values)
    return f"{np.mean(found):.4g} ± {np.std(found):.2g} (n = {len(found)})"


def shown(values: Iterable[float | None]) -> str:
    """Return numbers with commas between; None or infinity is a score never reached."""
    return ", ".join("never" if value is None or math.isinf(value) else f"{value:g}" for value in values)
