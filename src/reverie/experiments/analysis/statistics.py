"""Statistics of learning curves: best and last scores, episodes to a score, and differences, with intervals.

All random draws have fixed seeds.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reverie.experiments.execution.results_store import ResultsStore
from reverie.maths.bootstrap import LEVEL, Statistic, interquartile_mean, interval, median, probability_of_improvement
from reverie.report.document import Line

NEAR = 0.05  # a best score counts as reached within this share of it, as in the paper
BAND_RESAMPLES = 500  # number of bootstrap samples for each point of a curve
LAST = 0.1  # the last score is the mean over this share of a curve


class Curve(NamedTuple):
    """Test scores of a variant on a domain, at K episodes for S seeds."""

    episodes: np.ndarray  # [K]
    scores: np.ndarray  # returns of test episodes [S, K]
    stills: np.ndarray  # shares of test episodes that end at rest [S, K]; nan: not measured
    seeds: tuple[int, ...]

    @property
    def best(self) -> np.ndarray:
        """The best score of each seed [S]."""
        return self.scores.max(1)

    @property
    def last(self) -> np.ndarray:
        """The last score of each seed [S]: the mean over the last tenth of its curve."""
        return self.scores[:, -self._tail :].mean(1)

    @property
    def still(self) -> np.ndarray:
        """The share of test episodes that end at rest, over the last tenth of each curve [S]."""
        return self.stills[:, -self._tail :].mean(1)

    @property
    def _tail(self) -> int:
        return max(1, round(LAST * len(self.episodes)))

    @property
    def to_best(self) -> np.ndarray:
        """Number of episodes until each seed first came within `NEAR` of its best score [S]."""
        best = self.best[:, None]
        there = (self.scores >= best - NEAR * np.abs(best)) & (best > -np.inf)  # no best score if it always diverged
        return first(self.episodes, there)

    def to(self, score: float) -> np.ndarray:
        """Return the number of episodes until each seed first reached `score` [S]; infinite if it never did."""
        return first(self.episodes, self.scores >= score)


def first(episodes: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the first of `episodes` [K] at which `there` [..., K] is true [...]; infinite if it never is."""
    return np.where(there.any(-1), episodes[there.argmax(-1)], np.inf)


class Estimate(NamedTuple):
    """A figure, its interval (of 95 %, if not said otherwise), and the number of seeds it is from."""

    value: float
    low: float
    high: float
    seeds: int

    @property
    def above(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def below(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0

    def __str__(self) -> str:
        value, low, high = ("∞" if bound == math.inf else number(bound) for bound in self[:3])
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


def number(value: float) -> str:
    """Return a figure as text with three digits. ∞ becomes "never", -∞ "diverged", and NaN "–"."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never" if value > 0 else "diverged"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def curves(results: ResultsStore) -> dict[tuple[str, str], Curve]:
    """Return the curves of finished cells by (domain, variant)."""
    found: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = {}
    for key, rows in results.scores.items():
        if results.is_done(key):
            found.setdefault(key[:2], {})[key[2]] = rows
    return {pair: _curve(by_seed) for pair, by_seed in found.items()}


def _curve(by_seed: dict[int, list[dict[str, Any]]]) -> Curve:
    seeds = tuple(sorted(by_seed))
    episodes = np.array([row["episode"] for row in by_seed[seeds[0]]])
    column = lambda name: np.array([[row[name] for row in by_seed[s]] for s in seeds])  # noqa: E731
    return Curve(episodes, column("return_mean"), column("still"), seeds)


def banded(name: str, x: Sequence[float], scores: np.ndarray) -> Line:
    """Return a line: the interquartile mean of scores [S, K] at x [K]. From two seeds on, its interval is a band."""
    generator = np.random.default_rng(len(x))
    bands = [interval(interquartile_mean, [column], generator, BAND_RESAMPLES) for column in scores.T]
    low, high = ([], []) if len(scores) < 2 else zip(*bands, strict=True)
    return Line(name, list(x), interquartile_mean(scores.T).tolist(), list(low), list(high))


def estimate(statistic: Statistic, *groups: np.ndarray, level: float = LEVEL) -> Estimate:
    """Return a statistic of groups [n_i] and its interval.  level: of the interval.

    The seed of the bootstrap depends only on the groups, so equal groups give equal intervals.
    """
    seed = zlib.crc32(b"".join(np.ascontiguousarray(group).tobytes() for group in groups))
    low, high = interval(statistic, groups, np.random.default_rng(seed), level=level)
    with np.errstate(invalid="ignore"):
        return Estimate(float(statistic(*groups)), low, high, min(len(group) for group in groups))


def mean_score(samples: np.ndarray) -> Estimate:
    """Return the interquartile mean of scores [S], with its interval."""
    return estimate(interquartile_mean, samples)


def difference(x: np.ndarray, y: np.ndarray, level: float = LEVEL) -> Estimate:
    """Return the interquartile mean of x [S] minus that of y [R], with its interval.  level: of the interval."""

    def gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = interquartile_mean(a), interquartile_mean(b)
        return np.where(a == b, 0.0, a - b)  # also for -∞ minus -∞, if both diverged

    return estimate(gap, x, y, level=level)


def pooled(groups: Sequence[np.ndarray]) -> Estimate:
    """Return the interquartile mean of all scores together. Each group [n_i] is resampled by itself (stratified)."""
    found = estimate(lambda *samples: interquartile_mean(np.concatenate(samples, axis=-1)), *groups)
    return found._replace(seeds=sum(map(len, groups)))


def mean_improvement(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Estimate:
    """Return the mean over domains of the probability that a seed of the first variant beats one of the second.

    pairs: scores of both variants ([S], [R]) on each domain.
    """

    def mean(*samples: np.ndarray) -> np.ndarray:
        both = zip(samples[::2], samples[1::2], strict=True)
        return np.mean([probability_of_improvement(x, y) for x, y in both], axis=0)

    return estimate(mean, *(samples for pair in pairs for samples in pair))


def improvement(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Return the probability that a seed of x [S] beats one of y [R]."""
    return estimate(probability_of_improvement, x, y)


def times_fewer(slow: np.ndarray, fast: np.ndarray) -> Estimate:
    """Return the median of `slow` [S] divided by that of `fast` [R]: how many times fewer episodes `fast` needs.

    slow, fast: numbers of episodes until a score. The ratio is 0 if only the median of `fast` is infinite, infinite if
    only that of `slow` is, and NaN if both are.
    """
    return _ratio(_times, slow, fast)


def _times(slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
    above, below = median(slow), median(fast)
    with np.errstate(invalid="ignore"):
        known = np.where(np.isinf(below), 0.0, above / below)
    return np.where(np.isinf(above) & np.isinf(below), np.nan, known)


def _ratio(statistic: Statistic, *groups: np.ndarray) -> Estimate:
    """Return a ratio that may be NaN, with its interval. A bootstrap sample whose ratio is NaN may be any ratio: 0 or ∞."""

    def replaced(value: float) -> Statistic:
        def known(*samples: np.ndarray) -> np.ndarray:
            found = statistic(*samples)
            return np.where(np.isnan(found), value, found)

        return known

    low, high = estimate(replaced(0.0), *groups), estimate(replaced(np.inf), *groups)
    return low._replace(value=float(statistic(*groups)), high=high.high)


def times_sooner(plain: Curve, other: Curve, near: float = 0.0) -> Estimate:
    """Return how many times fewer episodes `other` needs than `plain` to reach the last score of `plain`.

    That score is an interquartile mean over seeds. The bootstrap resamples both this score and the seeds that reach it.
    near: the score counts as reached within this share of it.
    """

    def ratio(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        last = interquartile_mean(plain.last[i])
        return _times_to(_near(last, near)[..., None, None], plain, i, other, j)

    return _ratio(ratio, np.arange(len(plain.seeds)), np.arange(len(other.seeds)))


def times_to_common_goal(slow: Curve, fast: Curve) -> tuple[float, Estimate]:
    """Return a score, and how many times fewer episodes `fast` needs than `slow` to reach it.

    The score is within `NEAR` of the lower of both best scores, which are interquartile means over seeds. The bootstrap
    resamples both this score and the seeds that reach it.
    """

    def goal(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        lower = np.minimum(interquartile_mean(slow.best[i]), interquartile_mean(fast.best[j]))
        return _near(lower, NEAR)

    def ratio(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return _times_to(goal(i, j)[..., None, None], slow, i, fast, j)

    seeds = np.arange(len(slow.seeds)), np.arange(len(fast.seeds))
    return float(goal(*seeds)), _ratio(ratio, *seeds)


def _near(score: np.ndarray, share: float) -> np.ndarray:
    """Return what is lower than a score by a share of it. -∞, of runs that diverged, stays."""
    finite = np.where(np.isinf(score), 0.0, score)
    return np.where(np.isinf(score), score, finite - share * np.abs(finite))


def _times_to(goal: np.ndarray, slow: Curve, i: np.ndarray, fast: Curve, j: np.ndarray) -> np.ndarray:
    """Return how many times fewer episodes seeds j of `fast` need than seeds i of `slow` to reach a score."""
    return _times(first(slow.episodes, slow.scores[i] >= goal), first(fast.episodes, fast.scores[j] >= goal))
