"""How measurements decide a claim: pairs of variants with enough seeds, differences that matter, and the verdict.

The verdicts "held" and "did not hold" need intervals that exclude the opposite, at least `DECIDING` seeds of each
variant, and at least half of the domains that the claim is about. Otherwise the verdict is "undecided". With fewer
seeds, intervals of differences between equal variants exclude zero far too often (`studies/analyses/intervals.py`
counts it).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reverie.core.words import count
from reverie.experiments.analysis.statistics import Curve, Estimate
from reverie.experiments.spec.paper_numbers import TABLE1
from reverie.report.document import VerdictKind

Curves = Mapping[tuple[str, str], Curve]
Pair = tuple[Curve, Curve]
TIE = 0.02  # a smaller difference, relative to that between a random agent and the paper's NAF, does not matter
SHOWN, DECIDING = 2, 4  # least number of seeds for an interval, and for a verdict


class Judgement(NamedTuple):
    """The verdict on a claim, and the evidence as lines of text."""

    outcome: VerdictKind
    evidence: Sequence[str]


def judgement(
    held: bool, failed: bool, lines: list[str], used: Mapping[str, Sequence[Curve]], of: int = 1
) -> Judgement:
    """Return a verdict.

    lines: the evidence.  used: the curves it is based on, by domain.  of: number of domains that the claim is about.
    """
    if len(used) < of:
        lines = [f"On {len(used)} of {of} domains:", *lines]
    few = min(len(curve.seeds) for curves in used.values() for curve in curves) < DECIDING
    if few:
        lines = [*lines, f"Fewer than {DECIDING} seeds decide nothing."]
    if few or 2 * len(used) < of:
        return Judgement("undecided", lines)
    return Judgement("held" if held else "did not hold" if failed else "undecided", lines)


def not_measured(what: str) -> Judgement:
    """Return the verdict where runs are missing.  what: which, in words."""
    return Judgement("not measured", [f"Needs at least {SHOWN} seeds of {what}."])


def pairs_of(curves: Curves, domains: tuple[str, ...], one: str, other: str) -> dict[str, Pair]:
    """Return the curves of two variants by domain, where both have enough seeds for an interval."""
    found = {d: (curves[d, one], curves[d, other]) for d in domains if (d, one) in curves and (d, other) in curves}
    return {d: pair for d, pair in found.items() if min(len(curve.seeds) for curve in pair) >= SHOWN}


def seeds_text(pair: Pair) -> str:
    """Return the number of seeds of a figure, as text."""
    one, other = (len(curve.seeds) for curve in pair)
    return count(one, "seed") if one == other else f"{one} and {count(other, 'seed')}"


def ratio_text(ratio: Estimate) -> str:
    """Return a ratio of numbers of episodes, as text."""
    return f"not reached by most ({ratio})" if ratio.value == 0 else f"{ratio} times fewer episodes"


def _tie(domain: str) -> float:
    """Return the largest difference of scores that does not matter."""
    paper = TABLE1[domain]
    return TIE * abs(paper.naf - paper.random)


def standing_of(domain: str, gap: Estimate) -> str:
    """Return whether a difference of scores "wins", "loses" or "ties"; if its interval does not decide, "is open"."""
    small = _tie(domain)
    if gap.low > -small and gap.high < small:
        return "ties"
    return "wins" if gap.above else "loses" if gap.below else "is open"


def matters(domain: str, gap: Estimate) -> bool:
    """Return whether all of a difference's interval is large enough to matter."""
    small = _tie(domain)
    return gap.low > small or gap.high < -small
