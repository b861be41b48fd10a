"""The paper's claims, and verdicts on them from our measurements.

The verdicts "held" and "did not hold" need intervals that exclude the opposite, at least `DECIDING` seeds of each
variant, and at least half of the domains that the claim is about. Otherwise the verdict is "undecided". With fewer
seeds, intervals of differences between equal variants exclude zero far too often (`studies/analyses/intervals.py`
counts it).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reverie.core.words import count
from reverie.experiments.analysis.statistics import Curve, Estimate, difference, mean_score, times_fewer, times_sooner
from reverie.experiments.spec.declaration import REST_SPEED
from reverie.experiments.spec.paper import OFF, PLAIN
from reverie.experiments.spec.paper_numbers import TABLE1
from reverie.maths.bootstrap import LEVEL, interquartile_mean
from reverie.report.document import Verdict, VerdictKind

Curves = Mapping[tuple[str, str], Curve]
Pair = tuple[Curve, Curve]
MANIPULATION = ("reacher", "peg", "gripper", "gripper_m", "canada2d")
TRUE_DOMAINS = ("reacher", "canada2d", "cheetah")
FITTED_DOMAINS = ("reacher_single", "gripper_single")
TIE = 0.02  # a smaller difference, relative to that between a random agent and the paper's NAF, does not matter
SHOWN, DECIDING = 2, 4  # least number of seeds for an interval, and for a verdict
DIP = 3  # number of scores, after imagination is switched off, in which a dip is looked for
MOST = 0.5  # an arm is said to come to rest if it does in more than this share of episodes


class Judged(NamedTuple):
    """The verdict on a claim, and its evidence as lines of text."""

    outcome: VerdictKind
    evidence: Sequence[str]


class Claim(NamedTuple):
    """A sentence of the paper, and how to judge it."""

    name: str
    text: str
    where: str
    judge: Callable[[Curves], Judged]


def _judged(held: bool, failed: bool, lines: list[str], used: Mapping[str, Sequence[Curve]], of: int = 1) -> Judged:
    """Return a verdict.

    lines: the evidence.  used: the curves it is based on, by domain.  of: number of domains that the claim is about.
    """
    if len(used) < of:
        lines = [f"On {len(used)} of {of} domains:", *lines]
    few = min(len(curve.seeds) for curves in used.values() for curve in curves) < DECIDING
    if few:
        lines = [*lines, f"Fewer than {DECIDING} seeds decide nothing."]
    if few or 2 * len(used) < of:
        return Judged("undecided", lines)
    return Judged("held" if held else "did not hold" if failed else "undecided", lines)


def _lacking(what: str) -> Judged:
    return Judged("not measured", [f"Needs at least {SHOWN} seeds of {what}."])


def _pairs(curves: Curves, domains: tuple[str, ...], one: str, other: str) -> dict[str, Pair]:
    """Return the curves of two variants by domain, where both have enough seeds for an interval."""
    found = {d: (curves[d, one], curves[d, other]) for d in domains if (d, one) in curves and (d, other) in curves}
    return {d: pair for d, pair in found.items() if min(len(curve.seeds) for curve in pair) >= SHOWN}


def _seeds(pair: Pair) -> str:
    """Return the number of seeds of a figure, as text."""
    one, other = (len(curve.seeds) for curve in pair)
    return count(one, "seed") if one == other else f"{one} and {count(other, 'seed')}"


def _fewer(ratio: Estimate) -> str:
    """Return a ratio of numbers of episodes, as text."""
    return f"not reached by most ({ratio})" if ratio.value == 0 else f"{ratio} times fewer episodes"


def _tie(domain: str) -> float:
    """Return the largest difference of scores that does not matter."""
    paper = TABLE1[domain]
    return TIE * abs(paper.naf - paper.random)


def _standing(domain: str, gap: Estimate) -> str:
    """Return whether a difference of scores "wins", "loses" or "ties"; if its interval does not decide, "is open"."""
    small = _tie(domain)
    if gap.low > -small and gap.high < small:
        return "ties"
    return "wins" if gap.above else "loses" if gap.below else "is open"


def _differs(domain: str, gap: Estimate) -> bool:
    """Return whether all of a difference's interval is large enough to matter."""
    small = _tie(domain)
    return gap.low > small or gap.high < -small


def better_scores(curves: Curves) -> Judged:
    """Judge claim C1: NAF scores at least as high as DDPG on most domains, and clearly higher on manipulation."""
    pairs = _pairs(curves, tuple(TABLE1), "naf", "ddpg")
    if not pairs:
        return _lacking("NAF and DDPG on a domain of table 1")
    gaps = {domain: difference(naf.best, ddpg.best) for domain, (naf, ddpg) in pairs.items()}
    standing = {domain: _standing(domain, gap) for domain, gap in gaps.items()}
    good = sum(word in ("wins", "ties") for word in standing.values())
    bad = sum(word == "loses" for word in standing.values())
    arms = [standing[domain] for domain in MANIPULATION if domain in standing]
    held = 2 * good > len(pairs) and bool(arms) and all(word == "wins" for word in arms)
    no_higher = sum(word in ("ties", "loses") for word in arms)
    failed = 2 * bad >= len(pairs) or "loses" in arms or 2 * no_higher > len(arms)
    lines = [f"{d}: NAF {standing[d]}, {gap} in best score ({_seeds(pairs[d])})." for d, gap in gaps.items()]
    return _judged(held, failed, lines, pairs, len(TABLE1))


def fewer_episodes(curves: Curves) -> Judged:
    """Judge claim C2: NAF needs fewer episodes than DDPG on 8 of 10 domains."""
    eight = tuple(domain for domain in TABLE1 if domain not in ("cheetah", "walker2d"))
    pairs = _pairs(curves, eight, "naf", "ddpg")
    if not pairs:
        return _lacking("NAF and DDPG on a domain of table 1 other than cheetah and walker2d")
    ratios = {domain: times_fewer(ddpg.to_best, naf.to_best) for domain, (naf, ddpg) in pairs.items()}
    sooner = sum(ratio.low > 1 for ratio in ratios.values())
    later = sum(ratio.high < 1 for ratio in ratios.values())
    lines = [f"{d}: {_fewer(ratio)} ({_seeds(pairs[d])})." for d, ratio in ratios.items()]
    return _judged(sooner == len(pairs), 2 * later >= len(pairs), lines, pairs, len(eight))


def where_ddpg_wins(curves: Curves) -> Judged:
    """Judge claim C3: DDPG wins walker2d, and is faster on cheetah."""
    pairs = _pairs(curves, ("walker2d", "cheetah"), "naf", "ddpg")
    if len(pairs) < 2:
        return _lacking("NAF and DDPG on walker2d and on cheetah")
    gap = difference(pairs["walker2d"][1].best, pairs["walker2d"][0].best)
    ratio = times_fewer(pairs["cheetah"][0].to_best, pairs["cheetah"][1].to_best)
    lines = [
        f"walker2d: DDPG {gap} above NAF ({_seeds(pairs['walker2d'])}).",
        f"cheetah: DDPG {_fewer(ratio)} ({_seeds(pairs['cheetah'])}).",
    ]
    return _judged(gap.above and ratio.low > 1, gap.below or ratio.high < 1, lines, pairs, 2)


def comes_to_rest(curves: Curves) -> Judged:
    """Judge claim C4: on reacher NAF's arm comes to rest on the target, and DDPG's does not."""
    pairs = _pairs(curves, ("reacher",), "naf", "ddpg")
    if not pairs:
        return _lacking("NAF and DDPG on reacher")
    naf, ddpg = (curve.still for curve in pairs["reacher"])
    own, others, gap = mean_score(naf), mean_score(ddpg), difference(naf, ddpg)
    line = (
        f"The arm ends at rest (below {REST_SPEED} rad/s in the last tenth) in a share {own} of test episodes with NAF and "
        f"{others} with DDPG, {gap} more ({_seeds(pairs['reacher'])})."
    )
    return _judged(gap.above and own.low > MOST, gap.below or own.high < MOST, [line], pairs)


def _gain(plain: Curve, other: Curve) -> tuple[Estimate, Estimate]:
    """Return (difference of best scores, ratio of episodes until plain NAF's last score) of a variant and plain NAF."""
    return difference(other.best, plain.best), times_sooner(plain, other)


def _gains(
    curves: Curves, name: str, words: str
) -> tuple[dict[str, Pair], dict[str, tuple[Estimate, Estimate]], list[str]]:
    """Return (curves of plain NAF and a variant with true dynamics, its gains, the same as text), all by domain."""
    pairs = _pairs(curves, TRUE_DOMAINS, "true-naf", name)
    gains = {domain: _gain(*pair) for domain, pair in pairs.items()}
    lines = [
        f"{d}: {words} {gap} in best score; to plain NAF's last {_fewer(ratio)} ({_seeds(pairs[d])})."
        for d, (gap, ratio) in gains.items()
    ]
    return pairs, gains, lines


def _helps(gap: Estimate, ratio: Estimate) -> bool:
    return gap.above or ratio.low > 1


def true_imagination(curves: Curves) -> Judged:
    """Judge claim C5: with true dynamics imagination always helps, and the planner's episodes alone seldom do."""
    pairs, gains, lines = _gains(curves, "true-imagined", "imagination")
    more, driven, others = _gains(curves, "true-mpc", "MPC's episodes alone")
    if not pairs:
        return _lacking("true-naf and true-imagined on one domain")
    both = [_helps(*gain) for domain, gain in driven.items() if domain in pairs]
    enough = 2 * len(both) >= len(TRUE_DOMAINS)
    held = all(_helps(*gain) for gain in gains.values()) and enough and 2 * sum(both) < len(both)
    failed = any(gap.below and ratio.high <= 1 for gap, ratio in gains.values()) or (enough and all(both))
    used = {domain: (*pair, *more.get(domain, ())) for domain, pair in pairs.items()}
    return _judged(held, failed, lines + others, used, len(TRUE_DOMAINS))


def planner_data(curves: Curves) -> Judged:
    """Judge claim C6: half of the episodes from the planner is a little better; all of them is fastest, but lower."""
    both = _pairs(curves, ("reacher",), "true-both", "true-imagined").get("reacher")
    alone = _pairs(curves, ("reacher",), "true-all-mpc", "true-imagined").get("reacher")
    if both is None or alone is None:
        return _lacking("true-imagined, true-both and true-all-mpc on reacher")
    gap = difference(both[0].best, both[1].best)
    lower = difference(alone[0].best, alone[1].best)
    sooner = times_fewer(alone[1].to_best, alone[0].to_best)
    lines = [
        f"reacher, against imagination alone: with half MPC {gap} in best score ({_seeds(both)}).",
        f"With MPC alone {lower}, and to within 5 % of its own best {_fewer(sooner)} ({_seeds(alone)}).",
    ]
    held = gap.above and lower.below and sooner.low > 1
    return _judged(held, gap.below or lower.above or sooner.high < 1, lines, {"reacher": (*both, *alone)})


def plain_of(curves: Curves, domain: str) -> str | None:
    """Return the plain NAF that models of figure 2 are compared with: the one with the best end, of enough seeds."""
    there = {name: curves[domain, name] for name in PLAIN if (domain, name) in curves}
    return max(
        there,
        key=lambda name: (min(len(there[name].seeds), DECIDING), interquartile_mean(there[name].last)),
        default=None,
    )


def _sooner(curves: Curves, name: str) -> tuple[dict[str, Pair], dict[str, Estimate], list[str]]:
    """Return (curves of plain NAF and a variant, ratio of episodes until plain NAF's last score, the same as text).

    All are by domain, for the domains with fitted models.
    """
    plain = {domain: own for domain in FITTED_DOMAINS if (own := plain_of(curves, domain))}
    pairs = {d: pair for domain, own in plain.items() for d, pair in _pairs(curves, (domain,), own, name).items()}
    ratios = {domain: times_sooner(*pair) for domain, pair in pairs.items()}
    lines = [f"{d}: to plain NAF's last score {_fewer(r)} ({_seeds(pairs[d])})." for d, r in ratios.items()]
    return pairs, ratios, lines


def fitted_models(curves: Curves) -> Judged:
    """Judge claim C7: with fitted linear models imagination is 2 to 5 times as data-efficient."""
    pairs, ratios, lines = _sooner(curves, "fitted")
    if not ratios:
        return _lacking("small-naf and fitted on one domain")
    lines += [f"As we recommend it, {line}" for line in _sooner(curves, "recommended")[2]]
    held, failed = all(ratio.low >= 2 for ratio in ratios.values()), any(ratio.high < 2 for ratio in ratios.values())
    return _judged(held, failed, lines, pairs, len(FITTED_DOMAINS))


def network_models(curves: Curves) -> Judged:
    """Judge claim C8: with a neural network as the model imagination does not help."""
    pairs, ratios, lines = _sooner(curves, "neural")
    if not ratios:
        return _lacking("small-naf and neural on one domain")
    held, failed = all(ratio.high <= 1 for ratio in ratios.values()), any(ratio.low > 1 for ratio in ratios.values())
    return _judged(held, failed, lines, pairs, len(FITTED_DOMAINS))


def shaped_noise(curves: Curves) -> Judged:
    """Judge claim C9: noise shaped by P lifts canada2d above DDPG, and changes nothing elsewhere."""
    pairs = _pairs(curves, ("canada2d",), "naf-p", "ddpg")
    if not pairs:
        return _lacking("naf-p and DDPG on canada2d")
    shaped, ddpg = pairs["canada2d"]
    gap = difference(shaped.best, ddpg.best)
    rest = _pairs(curves, tuple(d for d in TABLE1 if d != "canada2d"), "naf-p", "naf")
    # Up to nine intervals: each has a higher level, so that together they cover as much as one of 95 % (Bonferroni).
    level = 1 - (1 - LEVEL) / max(1, len(rest))
    gaps = {domain: difference(shaped.best, naf.best, level) for domain, (shaped, naf) in rest.items()}
    lines = [f"canada2d: {gap} above DDPG ({_seeds(pairs['canada2d'])})."]
    lines += [
        f"{domain}: {other} above NAF, at {level:.1%} ({_seeds(rest[domain])})." for domain, other in gaps.items()
    ]
    same = bool(gaps) and all(_standing(domain, other) == "ties" for domain, other in gaps.items())
    failed = gap.below or any(_differs(domain, other) for domain, other in gaps.items())
    return _judged(gap.above and same, failed, lines, pairs | rest, len(TABLE1))


def switching_off(curves: Curves) -> Judged:
    """Judge claim C10: switching imagination off costs a short dip, then learning continues."""
    curve = curves.get(("gripper_single", "fitted"))
    lacking = _lacking(f"fitted on gripper_single, with a score at episode {OFF} and {DIP} after it")
    if curve is None or len(curve.seeds) < SHOWN or OFF not in curve.episodes:
        return lacking
    at = int(np.flatnonzero(curve.episodes == OFF)[0])
    if at + DIP >= len(curve.episodes):
        return lacking
    before = curve.scores[:, max(0, at - DIP + 1) : at + 1].mean(1)
    dip = mean_score(curve.scores[:, at + 1 : at + 1 + DIP].mean(1) - before)
    later = mean_score(curve.last - before)
    line = (
        f"gripper_single, off after episode {OFF}: {dip} in the next {count(curve.episodes[at + DIP] - OFF, 'episode')}, "
        f"{later} at episode {curve.episodes[-1]} ({count(len(curve.seeds), 'seed')})."
    )
    return _judged(dip.below and later.above, dip.above or later.below, [line], {"gripper_single": (curve,)})


CLAIMS = (
    Claim(
        "C1",
        "NAF scores at least as high as DDPG on most domains, clearly higher on manipulation.",
        "table 1",
        better_scores,
    ),
    Claim(
        "C2",
        "NAF comes within 5 % of its best in fewer episodes than DDPG on 8 of 10 domains.",
        "table 1",
        fewer_episodes,
    ),
    Claim("C3", "DDPG wins walker2d, and is faster on cheetah.", "table 1", where_ddpg_wins),
    Claim(
        "C4", "On reacher NAF's arm comes to rest on the target; DDPG's keeps trembling.", "figure 1b", comes_to_rest
    ),
    Claim(
        "C5",
        "With true dynamics imagination always improves speed or score; the planner's episodes alone seldom do.",
        "table 2, figures 2a, 5",
        true_imagination,
    ),
    Claim(
        "C6",
        "Imagination with half of the episodes from the planner is a little better; with the planner's alone it is fastest "
        "but ends lower.",
        "table 2",
        planner_data,
    ),
    Claim(
        "C7",
        "With linear models fitted to 5 episodes imagination is 2 to 5 times as data-efficient.",
        "figures 2b, 2c",
        fitted_models,
    ),
    Claim("C8", "With a neural network as the model it is of no benefit.", "figure 2b", network_models),
    Claim(
        "C9", "Noise shaped by P lifts canada2d above DDPG, and changes nothing elsewhere.", "figure 3", shaped_noise
    ),
    Claim("C10", "Switching imagination off costs a short dip, then learning goes on.", "figure 2c", switching_off),
)


def verdicts(curves: Curves) -> list[Verdict]:
    """Return the verdict on each claim.  curves: by (domain, variant)."""
    found = [(claim, claim.judge(curves)) for claim in CLAIMS]
    return [Verdict(c.name, c.text, c.where, judged.outcome, judged.evidence) for c, judged in found]
