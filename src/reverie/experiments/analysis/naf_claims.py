"""The paper's claims about NAF and DDPG, without imagination: those of table 1 and of figures 1b and 3.

Each function judges one claim from curves by (domain, variant).
"""

from reverie.experiments.analysis.evidence import (
    Curves,
    Judgement,
    Measured,
    extent_text,
    judgement,
    not_measured,
    pairs_of,
    ratio_text,
    standing_of,
)
from reverie.experiments.analysis.run_length import IN_TABLE1, tie
from reverie.experiments.analysis.statistics import (
    difference,
    mean_score,
    number,
    times_fewer,
    times_to_common_goal,
)
from reverie.experiments.spec.declaration import REST_SPEED
from reverie.experiments.spec.paper_numbers import TABLE1
from reverie.maths.bootstrap import LEVEL

MANIPULATION = ("reacher", "peg", "gripper", "gripper_m", "canada2d")
GOOD, NO_HIGHER = ("wins", "wins or ties", "ties"), ("ties", "ties or loses", "loses")
OWN_BEST = "within 5 % of its own best"
MOST = 0.5  # an arm is said to come to rest if it does in more than this share of episodes


def better_scores(curves: Curves) -> Judgement:
    """Judge claim C1: NAF scores at least as high as DDPG on most domains, and clearly higher on manipulation.

    The claim is about ten domains: one that is not measured may go either way.
    """
    pairs = pairs_of(curves, tuple(TABLE1), "naf", "ddpg")
    if not pairs:
        return not_measured("NAF and DDPG on a domain of table 1")
    gaps = {domain: difference(naf.best, ddpg.best) for domain, (naf, ddpg) in pairs.items()}
    lines = [
        f"{d}: NAF {standing_of(d, gap)}, {gap} in best score; up to {number(tie(d))} is a tie "
        f"{extent_text(d, pairs[d], IN_TABLE1)}."
        for d, gap in gaps.items()
    ]
    measured = Measured(pairs, IN_TABLE1, len(TABLE1), all_count=True)
    standing = {domain: standing_of(domain, gaps[domain]) for domain in measured.long}
    arms = [standing[domain] for domain in MANIPULATION if domain in standing]
    good, bad = sum(word in GOOD for word in standing.values()), sum(word == "loses" for word in standing.values())
    held = 2 * good > len(TABLE1) and arms.count("wins") == len(MANIPULATION)
    no_higher = sum(word in NO_HIGHER for word in arms)
    failed = 2 * bad >= len(TABLE1) or "loses" in arms or 2 * no_higher > len(MANIPULATION)
    return judgement(held, failed, lines, measured)


def fewer_episodes(curves: Curves) -> Judgement:
    """Judge claim C2: NAF needs fewer episodes than DDPG on 8 of 10 domains.

    The claim is about these eight: one that is not measured may go either way.
    """
    eight = tuple(domain for domain in TABLE1 if domain not in ("cheetah", "walker2d"))
    pairs = pairs_of(curves, eight, "naf", "ddpg")
    if not pairs:
        return not_measured("NAF and DDPG on a domain of table 1 other than cheetah and walker2d")
    ratios = {domain: times_fewer(ddpg.to_best, naf.to_best) for domain, (naf, ddpg) in pairs.items()}
    lines: list[str] = []
    for domain, (naf, ddpg) in pairs.items():
        goal, sooner = times_to_common_goal(ddpg, naf)
        common = f"{number(goal)}, a score that both reach"
        lines.append(
            f"{domain}: NAF {ratio_text(ratios[domain], OWN_BEST, 'DDPG')}; it "
            f"{ratio_text(sooner, common, 'DDPG')} {extent_text(domain, pairs[domain], IN_TABLE1)}."
        )
    measured = Measured(pairs, IN_TABLE1, len(eight), all_count=True)
    sooner = sum(ratios[domain].low > 1 for domain in measured.long)
    later = sum(ratios[domain].high < 1 for domain in measured.long)
    return judgement(sooner == len(eight), 2 * later >= len(eight), lines, measured)


def where_ddpg_wins(curves: Curves) -> Judgement:
    """Judge claim C3: DDPG wins walker2d, and is faster on cheetah."""
    pairs = pairs_of(curves, ("walker2d", "cheetah"), "naf", "ddpg")
    if len(pairs) < 2:
        return not_measured("NAF and DDPG on walker2d and on cheetah")
    gap = difference(pairs["walker2d"][1].best, pairs["walker2d"][0].best)
    ratio = times_fewer(pairs["cheetah"][0].to_best, pairs["cheetah"][1].to_best)
    lines = [
        f"walker2d: DDPG {gap} above NAF {extent_text('walker2d', pairs['walker2d'], IN_TABLE1)}.",
        f"cheetah: DDPG {ratio_text(ratio, OWN_BEST, 'NAF')} {extent_text('cheetah', pairs['cheetah'], IN_TABLE1)}.",
    ]
    measured = Measured(pairs, IN_TABLE1, 2)
    both = len(measured.long) == 2
    return judgement(both and gap.above and ratio.low > 1, both and (gap.below or ratio.high < 1), lines, measured)


def comes_to_rest(curves: Curves) -> Judgement:
    """Judge claim C4: on reacher NAF's arm comes to rest on the target, and DDPG's does not."""
    pairs = pairs_of(curves, ("reacher",), "naf", "ddpg")
    if not pairs:
        return not_measured("NAF and DDPG on reacher")
    naf, ddpg = (curve.still for curve in pairs["reacher"])
    own, others, gap = mean_score(naf), mean_score(ddpg), difference(naf, ddpg)
    line = (
        f"The arm ends at rest (below {REST_SPEED} rad/s in the last tenth) in a share {own} of test episodes with NAF and "
        f"{others} with DDPG, {gap} more {extent_text('reacher', pairs['reacher'], IN_TABLE1)}."
    )
    measured = Measured(pairs, IN_TABLE1)
    return judgement(gap.above and own.low > MOST, gap.below or own.high < MOST, [line], measured)


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
    lines = [f"canada2d: {gap} above DDPG {extent_text('canada2d', pairs['canada2d'], IN_TABLE1)}."]
    lines += [
        f"{domain}: {other} above NAF, at {level:.1%} {extent_text(domain, rest[domain], IN_TABLE1)}."
        for domain, other in gaps.items()
    ]
    measured = Measured(pairs | rest, IN_TABLE1, len(TABLE1))
    standing = [standing_of(domain, gaps[domain]) for domain in measured.long if domain in gaps]
    canada = "canada2d" in measured.long
    held = canada and gap.above and bool(standing) and set(standing) == {"ties"}
    failed = (canada and gap.below) or "wins" in standing or "loses" in standing
    return judgement(held, failed, lines, measured)
