"""The paper's claims about imagination: those of table 2 and of figures 2 and 5.

Each function judges one claim from curves by (domain, variant).
"""

import numpy as np

from reverie.core.words import count
from reverie.experiments.analysis.evidence import (
    DECIDING,
    SHOWN,
    Curves,
    Judgement,
    Pair,
    judgement,
    not_measured,
    pairs_of,
    ratio_text,
    seeds_text,
)
from reverie.experiments.analysis.statistics import Curve, Estimate, difference, mean_score, times_fewer, times_sooner
from reverie.experiments.spec.paper import OFF, PLAIN
from reverie.maths.bootstrap import interquartile_mean

TRUE_DOMAINS = ("reacher", "canada2d", "cheetah")
FITTED_DOMAINS = ("reacher_single", "gripper_single")
DIP = 3  # number of scores, after imagination is switched off, in which a dip is looked for


def _gain(plain: Curve, other: Curve) -> tuple[Estimate, Estimate]:
    """Return (difference of best scores, ratio of episodes until plain NAF's last score) of a variant and plain NAF."""
    return difference(other.best, plain.best), times_sooner(plain, other)


def _gains(
    curves: Curves, name: str, words: str
) -> tuple[dict[str, Pair], dict[str, tuple[Estimate, Estimate]], list[str]]:
    """Return (curves of plain NAF and a variant with true dynamics, its gains, the same as text), all by domain."""
    pairs = pairs_of(curves, TRUE_DOMAINS, "true-naf", name)
    gains = {domain: _gain(*pair) for domain, pair in pairs.items()}
    lines = [
        f"{d}: {words} {gap} in best score; to plain NAF's last {ratio_text(ratio)} ({seeds_text(pairs[d])})."
        for d, (gap, ratio) in gains.items()
    ]
    return pairs, gains, lines


def _helps(gap: Estimate, ratio: Estimate) -> bool:
    return gap.above or ratio.low > 1


def true_imagination(curves: Curves) -> Judgement:
    """Judge claim C5: with true dynamics imagination always helps, and the planner's episodes alone seldom do."""
    pairs, gains, lines = _gains(curves, "true-imagined", "imagination")
    more, driven, others = _gains(curves, "true-mpc", "MPC's episodes alone")
    if not pairs:
        return not_measured("true-naf and true-imagined on one domain")
    both = [_helps(*gain) for domain, gain in driven.items() if domain in pairs]
    enough = 2 * len(both) >= len(TRUE_DOMAINS)
    held = all(_helps(*gain) for gain in gains.values()) and enough and 2 * sum(both) < len(both)
    failed = any(gap.below and ratio.high <= 1 for gap, ratio in gains.values()) or (enough and all(both))
    used = {domain: (*pair, *more.get(domain, ())) for domain, pair in pairs.items()}
    return judgement(held, failed, lines + others, used, len(TRUE_DOMAINS))


def planner_data(curves: Curves) -> Judgement:
    """Judge claim C6: half of the episodes from the planner is a little better; all of them is fastest, but lower."""
    both = pairs_of(curves, ("reacher",), "true-both", "true-imagined").get("reacher")
    alone = pairs_of(curves, ("reacher",), "true-all-mpc", "true-imagined").get("reacher")
    if both is None or alone is None:
        return not_measured("true-imagined, true-both and true-all-mpc on reacher")
    gap = difference(both[0].best, both[1].best)
    lower = difference(alone[0].best, alone[1].best)
    sooner = times_fewer(alone[1].to_best, alone[0].to_best)
    lines = [
        f"reacher, against imagination alone: with half MPC {gap} in best score ({seeds_text(both)}).",
        f"With MPC alone {lower}, and to within 5 % of its own best {ratio_text(sooner)} ({seeds_text(alone)}).",
    ]
    held = gap.above and lower.below and sooner.low > 1
    return judgement(held, gap.below or lower.above or sooner.high < 1, lines, {"reacher": (*both, *alone)})


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
    pairs = {d: pair for domain, own in plain.items() for d, pair in pairs_of(curves, (domain,), own, name).items()}
    ratios = {domain: times_sooner(*pair) for domain, pair in pairs.items()}
    lines = [f"{d}: to plain NAF's last score {ratio_text(r)} ({seeds_text(pairs[d])})." for d, r in ratios.items()]
    return pairs, ratios, lines


def fitted_models(curves: Curves) -> Judgement:
    """Judge claim C7: with fitted linear models imagination is 2 to 5 times as data-efficient."""
    pairs, ratios, lines = _sooner(curves, "fitted")
    if not ratios:
        return not_measured("small-naf and fitted on one domain")
    lines += [f"As we recommend it, {line}" for line in _sooner(curves, "recommended")[2]]
    held, failed = all(ratio.low >= 2 for ratio in ratios.values()), any(ratio.high < 2 for ratio in ratios.values())
    return judgement(held, failed, lines, pairs, len(FITTED_DOMAINS))


def network_models(curves: Curves) -> Judgement:
    """Judge claim C8: with a neural network as the model imagination does not help."""
    pairs, ratios, lines = _sooner(curves, "neural")
    if not ratios:
        return not_measured("small-naf and neural on one domain")
    held, failed = all(ratio.high <= 1 for ratio in ratios.values()), any(ratio.low > 1 for ratio in ratios.values())
    return judgement(held, failed, lines, pairs, len(FITTED_DOMAINS))


def switching_off(curves: Curves) -> Judgement:
    """Judge claim C10: switching imagination off costs a short dip, then learning continues."""
    curve = curves.get(("gripper_single", "fitted"))
    lacking = not_measured(f"fitted on gripper_single, with a score at episode {OFF} and {DIP} after it")
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
    return judgement(dip.below and later.above, dip.above or later.below, [line], {"gripper_single": (curve,)})
