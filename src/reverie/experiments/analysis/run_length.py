"""Whether runs were long enough to judge a claim of the paper by them.

A run must have at least `SHARE` of the episodes that the paper took, or its curve must be flat for half of its length.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reverie.experiments.analysis.statistics import Curve
from reverie.experiments.spec.paper import ARM, GRIPPER
from reverie.experiments.spec.paper_numbers import TABLE1, TABLE1_LONGEST, TABLE2_LONGEST
from reverie.maths.bootstrap import interquartile_mean

SHARE = 0.5  # of the paper's episodes
TIE = 0.02  # a smaller difference, relative to that between a random agent and the paper's NAF, does not matter
LEARNT = 0.5  # share of the way to the paper's NAF; below it, a flat curve shows an agent that has not learnt yet
LEAST = 8  # scores of a curve of which one can say that it is flat


class Lengths(NamedTuple):
    """Numbers of episodes that runs should have, by domain."""

    episodes: Mapping[str, int]
    words: str  # whose they are


IN_TABLE1 = Lengths(TABLE1_LONGEST, "in the paper")  # the largest that it prints for the domain
IN_TABLE2 = Lengths(TABLE2_LONGEST, "in the paper")
IN_FIGURE2 = Lengths({panel.domain: panel.episodes for panel in (ARM, GRIPPER)}, "planned")  # the paper prints none


def tie(domain: str) -> float:
    """Return the largest difference of scores on a domain of table 1 that does not matter."""
    paper = TABLE1[domain]
    return TIE * abs(paper.naf - paper.random)


def long_enough(domain: str, curves: Sequence[Curve], lengths: Lengths) -> bool:
    """Return whether curves of a domain are long enough, or all are flat."""
    wanted = SHARE * lengths.episodes[domain]
    return all(curve.episodes[-1] >= wanted or is_flat(domain, curve) for curve in curves)


def is_flat(domain: str, curve: Curve) -> bool:
    """Return whether a curve has been flat for half of its length, at scores that show that the agent has learnt.

    The means over its third and its fourth quarter then differ by no more than a tie.
    """
    count = len(curve.episodes)
    if domain not in TABLE1 or count < LEAST:
        return False
    means = interquartile_mean(curve.scores.T)
    third, fourth = means[count // 2 : 3 * count // 4].mean(), means[3 * count // 4 :].mean()
    paper = TABLE1[domain]
    learnt = fourth >= paper.random + LEARNT * (paper.naf - paper.random)  # not where it diverged, to -∞
    return bool(learnt and abs(fourth - third) <= tie(domain))
