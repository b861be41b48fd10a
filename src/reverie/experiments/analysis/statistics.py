"""What curves say: best and last scores, how soon, and differences with intervals.  Every draw has a fixed seed."""

import math
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reverie.experiments.execution.results_store import ResultsStore
from reverie.maths.bootstrap import LEVEL, Statistic, interquartile_mean, interval, median, probability_of_improvement
from reverie.report.document import Line

NEAR = 0.05  # of a best score: the paper's measure of when it was reached
BAND_RESAMPLES = 500  # of each point of a curve
LAST = 0.1  # the share of a curve that its last score is the mean of


class Curve(NamedTuple):
    """Test scores of a contender on a domain."""

    episodes: np.ndarray  # [K]
    scores: np.ndarray  # [S, K]
    stills: np.ndarray  # [S, K]; nan where it was not looked at
    seeds: tuple[int, ...]

    @property
    def best(self) -> np.ndarray:
        """The best score of each seed [S]."""
        return self.scores.max(1)

    @property
    def last(self) -> np.ndarray:
        """Where each seed stands at the end [S]."""
        return self.scores[:, -self._tail :].mean(1)

    @property
    def still(self) -> np.ndarray:
        """The share of test episodes that end at rest, at the end of learning [S]."""
        return self.stills[:, -self._tail :].mean(1)

    @property
    def _tail(self) -> int:
        return max(1, round(LAST * len(self.episodes)))

    @property
    def to_best(self) -> np.ndarray:
        """Episodes until each seed first came within `NEAR` of its best score [S]."""
        best = self.best[:, None]
        there = (self.scores >= best - NEAR * np.abs(best)) & (best > -np.inf)  # who never scored has no best
        return first(self.episodes, there)

    def to(self, score: float) -> np.ndarray:
        """Episodes until each seed first scored so [S]; infinite where it never did."""
        return first(self.episodes, self.scores >= score)


def first(episodes: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the first of episodes [K] at which somebody was there [..., K]; infinite where that never was."""
    return np.where(there.any(-1), episodes[there.argmax(-1)], np.inf)


class Estimate(NamedTuple):
    """A figure, its interval (of 95 %, where nothing else is said) and the seeds behind it."""

    value: float
    low: float
    high: float
    seeds: int

    @property
    def above(self) -> bool:
        """Whether all of the interval is above 0."""
        return self.low > 0

    @property
    def below(self) -> bool:
        """Whether all of the interval is below 0."""
        return self.high < 0

    def __str__(self) -> str:
        value, low, high = ("∞" if bound == math.inf else number(bound) for bound in self[:3])
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


def number(value: float) -> str:
    """Return a figure as one reads it: three digits, "never" for an infinite number of episodes."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never" if value > 0 else "diverged"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def curves(results: ResultsStore) -> dict[tuple[str, str], Curve]:
    """Return the curves of finished cells by (domain, variant)."""
    found: dict[tuple[str, str], dict[int, list[dict]]] = {}
    for key, rows in results.scores.items():
        if results.is_done(key):
            found.setdefault(key[:2], {})[key[2]] = rows
    return {pair: _curve(by_seed) for pair, by_seed in found.items()}


def _curve(by_seed: dict[int, list[dict]]) -> Curve:
    seeds = tuple(sorted(by_seed))
    episodes = np.array([row["episode"] for row in by_seed[seeds[0]]])
    column = lambda name: np.array([[row[name] for row in by_seed[s]] for s in seeds])  # noqa: E731
    return Curve(episodes, column("return_mean"), column("still"), seeds)


def banded(name: str, x: Sequence[float], scores: np.ndarray) -> Line:
    """Return the interquartile mean of scores [S, K] at x [K] as a line, with its interval as a band from two seeds on."""
    generator = np.random.default_rng(len(x))
    bands = [interval(interquartile_mean, [column], generator, BAND_RESAMPLES) for column in scores.T]
    low, high = ([], []) if len(scores) < 2 else zip(*bands, strict=True)
    return Line(name, list(x), interquartile_mean(scores.T).tolist(), list(low), list(high))


def estimate(statistic: Statistic, *groups: np.ndarray, level: float = LEVEL) -> Estimate:
    """Return a statistic of groups [n_i] and its interval; the same groups always get the same draws."""
    seed = zlib.crc32(b"".join(np.ascontiguousarray(group).tobytes() for group in groups))
    low, high = interval(statistic, groups, np.random.default_rng(seed), level=level)
    with np.errstate(invalid="ignore"):
        return Estimate(float(statistic(*groups)), low, high, min(len(group) for group in groups))


def mean_score(samples: np.ndarray) -> Estimate:
    """Return the interquartile mean of scores [S]."""
    return estimate(interquartile_mean, samples)


def difference(x: np.ndarray, y: np.ndarray, level: float = LEVEL) -> Estimate:
    """Return by how much the interquartile mean of x [S] exceeds that of y [R]."""

    def gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = interquartile_mean(a), interquartile_mean(b)
        return np.where(a == b, 0.0, a - b)  # -∞ less -∞ too: both diverged

    return estimate(gap, x, y, level=level)


def pooled(groups: Sequence[np.ndarray]) -> Estimate:
    """Return the interquartile mean of all scores together, groups [n_i] resampled within themselves (stratified)."""
    found = estimate(lambda *samples: interquartile_mean(np.concatenate(samples, axis=-1)), *groups)
    return found._replace(seeds=sum(map(len, groups)))


def mean_improvement(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Estimate:
    """Return the mean over domains of the probability that a seed of the first beats one of the second."""

    def mean(*samples: np.ndarray) -> np.ndarray:
        both = zip(samples[::2], samples[1::2], strict=True)
        return np.mean([probability_of_improvement(x, y) for x, y in both], axis=0)

    return estimate(mean, *(samples for pair in pairs for samples in pair))


def improvement(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Return the probability that a seed of x [S] beats one of y [R]."""
    return estimate(probability_of_improvement, x, y)


def times_fewer(slow: np.ndarray, fast: np.ndarray) -> Estimate:
    """Return the median of `slow` [S] over that of `fast` [R]: how many times fewer episodes the latter take.

    Where `fast` never arrives this is 0, where only `slow` never does it is infinite.
    """
    return estimate(_times, slow, fast)


def _times(slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
    above, below = median(slow), median(fast)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(below), 0.0, above / below)


def times_sooner(plain: Curve, other: Curve) -> Estimate:
    """Return how many times fewer episodes another takes to where a plain contender stands, on the mean, at its end.

    Both the goal and who gets there are resampled.
    """

    def ratio(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        goal = interquartile_mean(plain.last[i])[..., None, None]
        return _times(first(plain.episodes, plain.scores[i] >= goal), first(other.episodes, other.scores[j] >= goal))

    return estimate(ratio, np.arange(len(plain.seeds)), np.arange(len(other.seeds)))
