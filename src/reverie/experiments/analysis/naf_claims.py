"""The paper's claims about NAF and DDPG, without imagination: those of table 1 and of figures 1b and 3.

Each function judges one claim from curves by (domain, variant).
"""

from reverie.experiments.analysis.evidence import (
    Curves,
    Judgement,
    judgement,
    matters,
    not_measured,
    pairs_of,
    ratio_text,
    seeds_text,
    standing_of,
)
from reverie.experiments.analysis.statistics import difference, mean_score, times_fewer
from reverie.experiments.spec.declaration import REST_SPEED
from reverie.experiments.spec.paper_numbers import TABLE1
from reverie.maths.bootstrap import LEVEL

MANIPULATION = ("reacher", "peg", "gripper", "gripper_m", "canada2d")
MOST = 0.5  # an arm is said to come to rest if it does in more than this share of episodes


def better_scores(curves: Curves) -> Judgement:
    """Judge claim C1: NAF scores at least as high as DDPG on most domains, and clearly higher on manipulation."""
    pairs = pairs_of(curves, tuple(TABLE1), "naf", "ddpg")
    if not pairs:
        return not_measured("NAF and DDPG on a domain of table 1")
    gaps = {domain: difference(naf.best, ddpg.best) for domain, (naf, ddpg) in pairs.items()}
    standing = {domain: standing_of(domain, gap) for domain, gap in gaps.items()}
    good = sum(word in ("wins", "ties") for word in standing.values())
    bad = sum(word == "loses" for word in standing.values())
    arms = [standing[domain] for domain in MANIPULATION if domain in standing]
    held = 2 * good > len(pairs) and bool(arms) and all(word == "wins" for word in arms)
    no_higher = sum(word in ("ties", "loses") for word in arms)
    failed = 2 * bad >= len(pairs) or "loses" in arms or 2 * no_higher > len(arms)
    lines = [f"{d}: NAF {standing[d]}, {gap} in best score ({seeds_text(pairs[d])})." for d, gap in gaps.items()]
    return judgement(held, failed, lines, pairs, len(TABLE1))


def fewer_episodes(curves: Curves) -> Judgement:
    """Judge claim C2: NAF needs fewer episodes than DDPG on 8 of 10 domains."""
    eight = tuple(domain for domain in TABLE1 if domain not in ("cheetah", "walker2d"))
    pairs = pairs_of(curves, eight, "naf", "ddpg")
    if not pairs:
        return not_measured("NAF and DDPG on a domain of table 1 other than cheetah and walker2d")
    ratios = {domain: times_fewer(ddpg.to_best, naf.to_best) for domain, (naf, ddpg) in pairs.items()}
    sooner = sum(ratio.low > 1 for ratio in ratios.values())
    later = sum(ratio.high < 1 for ratio in ratios.values())
    lines = [f"{d}: {ratio_text(ratio)} ({seeds_text(pairs[d])})." for d, ratio in ratios.items()]
    return judgement(sooner == len(pairs), 2 * later >= len(pairs), lines, pairs, len(eight))


def where_ddpg_wins(curves: Curves) -> Judgement:
    """Judge claim C3: DDPG wins walker2d, and is faster on cheetah."""
    pairs = pairs_of(curves, ("walker2d", "cheetah"), "naf", "ddpg")
    if len(pairs) < 2:
        return not_measured("NAF and DDPG on walker2d and on cheetah")
    gap = difference(pairs["walker2d"][1].best, pairs["walker2d"][0].best)
    ratio = times_fewer(pairs["cheetah"][0].to_best, pairs["cheetah"][1].to_best)
    lines = [
        f"walker2d: DDPG {gap} above NAF ({seeds_text(pairs['walker2d'])}).",
        f"cheetah: DDPG {ratio_text(ratio)} ({seeds_text(pairs['cheetah'])}).",
    ]
    return judgement(gap.above and ratio.low > 1, gap.below or ratio.high < 1, lines, pairs, 2)


def comes_to_rest(curves: Curves) -> Judgement:
    """Judge claim C4: on reacher NAF's arm comes to rest on the target, and DDPG's does not."""
    pairs = pairs_of(curves, ("reacher",), "naf", "ddpg")
    if not pairs:
        return not_measured("NAF and DDPG on reacher")
    naf, ddpg = (curve.still for curve in pairs["reacher"])
    own, others, gap = mean_score(naf), mean_score(ddpg), difference(naf, ddpg)
    line = (
        f"The arm ends at rest (below {REST_SPEED} rad/s in the last tenth) in a share {own} of test episodes with NAF and "
        f"{others} with DDPG, {gap} more ({seeds_text(pairs['reacher'])})."
    )
    return judgement(gap.above and own.low > MOST, gap.below or own.high < MOST, [line], pairs)


def shaped_noise(curves: Curves) -> Judgement:
    """Judge claim C9: noise shaped by P lifts canada2d above DDPG, and changes nothing elsewhere."""
    pairs = pairs_of(curves, ("canada2d",), "naf-p", "ddpg")
    if not pairs:
        return not_measured("naf-p and DDPG on canada2d")
    shaped, ddpg = pairs["canada2d"]
    gap = difference(shaped.best, ddpg.best)
    rest = pairs_of(curves, tuple(d for d in TABLE1 if d != "canada2d"), "naf-p", "naf")
    # Up to nine intervals: each has a higher level, so that together they cover as much as one of 95 % (Bonferroni).
    level = 1 - (1 - LEVEL) / max(1, len(rest))
    gaps = {domain: difference(shaped.best, naf.best, level) for domain, (shaped, naf) in rest.items()}
    lines = [f"canada2d: {gap} above DDPG ({seeds_text(pairs['canada2d'])})."]
    lines += [
        f"{domain}: {other} above NAF, at {level:.1%} ({seeds_text(rest[domain])})." for domain, other in gaps.items()
    ]
    same = bool(gaps) and all(standing_of(domain, other) == "ties" for domain, other in gaps.items())
    failed = gap.below or any(matters(domain, other) for domain, other in gaps.items())
    return judgement(gap.above and same, failed, lines, pairs | rest, len(TABLE1))
