"""How measurements decide a claim: enough seeds, runs that are long enough, differences that matter, and the verdict.

The verdicts "held" and "did not hold" need

- intervals that exclude the opposite;
- at least `DECIDING` seeds of each variant;
- at least half of the domains that the claim is about, with runs that are long enough (`run_length`).

Otherwise the verdict is "undecided", and says why. With fewer seeds, intervals of differences between equal variants
exclude zero too often (`studies/analyses/intervals.py` counts it).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reverie.core.words import count, joined
from reverie.experiments.analysis.run_length import Lengths, long_enough, tie
from reverie.experiments.analysis.statistics import Curve, Estimate, number
from reverie.report.document import VerdictKind

Curves = Mapping[tuple[str, str], Curve]
Pair = tuple[Curve, Curve]
SHOWN, TELLING, DECIDING = 2, 4, 6  # least number of seeds for an interval, for how a claim stands, and for a verdict
SOONER = 1.25  # "does not help" needs that fewer episodes by this factor or more are ruled out
FEW = f"fewer than {DECIDING} seeds settle no ranking."


class Judgement(NamedTuple):
    """The verdict on a claim, and the evidence as lines of text."""

    outcome: VerdictKind
    evidence: Sequence[str]
    so_far: str = ""  # see `Verdict`


class Measured(NamedTuple):
    """The curves that a verdict is based on, by domain, and what they should be."""

    used: Mapping[str, Sequence[Curve]]
    lengths: Lengths
    of: int = 1  # number of domains that the claim is about
    all_count: bool = False  # whether domains that are not measured count, as open ones

    @property
    def long(self) -> list[str]:
        """The domains whose runs are long enough."""
        return [domain for domain, own in self.used.items() if long_enough(domain, own, self.lengths)]


def judgement(held: bool, failed: bool, lines: list[str], measured: Measured) -> Judgement:
    """Return a verdict.

    held, failed: what the domains with runs of enough length say.  lines: the evidence.
    """
    used, of, long = measured.used, measured.of, measured.long
    short = [domain for domain in used if domain not in long]
    rest = f"; the other {of - len(used)} count as open" if measured.all_count else ""
    lines = [f"On {len(used)} of {of} domains{rest}:", *lines] if len(used) < of else lines
    if short:
        lines = [
            *lines,
            f"Too short to count on {joined(short)}: fewer than half of the episodes, and scores still change.",
        ]
    found: VerdictKind = "held" if held else "did not hold" if failed else "undecided"
    if not long or 2 * len(long) < of:
        found = "undecided"
    seeds = min(len(curve.seeds) for domain in long or used for curve in used[domain])
    if seeds >= DECIDING:
        return Judgement(found, lines)
    if found == "undecided" or seeds < TELLING:
        return Judgement("undecided", [*lines, FEW.capitalize()])
    return Judgement("undecided", [*lines, f"By these seeds it {found} so far; {FEW}"], found)


def not_measured(what: str) -> Judgement:
    """Return the verdict where runs are missing.  what: which, in words."""
    return Judgement("not measured", [f"Needs at least {SHOWN} seeds of {what}."])


def pairs_of(curves: Curves, domains: tuple[str, ...], one: str, other: str) -> dict[str, Pair]:
    """Return the curves of two variants by domain, where both have enough seeds for an interval."""
    found = {d: (curves[d, one], curves[d, other]) for d in domains if (d, one) in curves and (d, other) in curves}
    return {d: pair for d, pair in found.items() if min(len(curve.seeds) for curve in pair) >= SHOWN}


def extent_text(domain: str, pair: Sequence[Curve], lengths: Lengths) -> str:
    """Return the seeds and the episodes of a figure, as text."""
    seeds, episodes = (
        [*dict.fromkeys(own)] for own in zip(*((len(c.seeds), int(c.episodes[-1])) for c in pair), strict=True)
    )
    few, most = " and ".join(map(str, seeds)), count(max(episodes), "episode")
    return f"({few} {'seed' if seeds == [1] else 'seeds'}; {most}, {lengths.episodes[domain]} {lengths.words})"


def ratio_text(ratio: Estimate, goal: str, other: str) -> str:
    """Return how many times fewer episodes one needs than another to a score, as what the one does.

    goal: the score.  other: who the other is.
    """
    value, low, high = ratio[:3]
    if value > 1 and low >= 1 and high < math.inf:
        return f"takes {number(value)} [{number(low)}, {number(high)}] times fewer episodes to {goal}"
    if value < 1 and low > 0 and high <= 1:
        return f"takes {number(1 / value)} [{number(1 / high)}, {number(1 / low)}] times more episodes to {goal}"
    ends = "" if math.isnan(low) or low == high else f" (from {_times_text(low)} to {_times_text(high)})"
    if math.isnan(value):
        return f"misses {goal} in half of its seeds or more, as {other} does"
    if value == 0:
        return f"misses {goal} in half of its seeds or more{ends}"
    if value == math.inf:
        return f"gets to {goal}, which {other} misses in half of its seeds or more{ends}"
    return f"takes {_times_text(value, ' episodes')}{ends} to {goal}"


def _times_text(ratio: float, what: str = "") -> str:
    words = {0.0: "a miss", math.inf: "no limit", 1.0: "as many"}
    times = f"{number(ratio)} times fewer" if ratio > 1 else f"{number(1 / ratio)} times more" if ratio else ""
    return words.get(ratio, times) + what


def standing_of(domain: str, gap: Estimate) -> str:
    """Return how a difference of scores stands: "wins", "ties" or "loses", two of them, or "may win or lose".

    A difference of at most a tie matters neither way.
    """
    small = tie(domain)
    no_worse, no_better = gap.low > -small, gap.high < small
    if no_worse:
        return "ties" if no_better else "wins" if gap.low > small else "wins or ties"
    return "loses" if gap.high < -small else "ties or loses" if no_better else "may win or lose"


def helps(domain: str, gap: Estimate, ratio: Estimate, near: Estimate) -> bool | None:
    """Return whether a variant scores higher than another or is sooner where that ends; None: not known.

    gap: of best scores.  ratio, near: how many times fewer episodes it needs to where the other ends, and to within 5 %
    of that.  "Does not" needs upper limits of both gains: less than a tie in score, and less than `SOONER` times fewer
    episodes to within 5 %. Where the other ends exactly, half of its own seeds may never come.
    """
    if gap.above or ratio.low > 1:
        return True
    return False if gap.high < tie(domain) and near.high < SOONER else None
