"""The paper's claims about imagination: those of table 2 and of figures 2 and 5.

Each function judges one claim from curves by (domain, variant).
"""

from typing import NamedTuple

import numpy as np

from reverie.core.words import count
from reverie.experiments.analysis.evidence import (
    SHOWN,
    SOONER,
    TELLING,
    Curves,
    Judgement,
    Measured,
    Pair,
    extent_text,
    helps,
    judgement,
    not_measured,
    pairs_of,
    ratio_text,
    standing_of,
)
from reverie.experiments.analysis.run_length import IN_FIGURE2, IN_TABLE2
from reverie.experiments.analysis.statistics import (
    NEAR,
    Curve,
    Estimate,
    difference,
    mean_score,
    times_fewer,
    times_sooner,
)
from reverie.experiments.spec.paper import OFF, PLAIN
from reverie.maths.bootstrap import interquartile_mean

TRUE_DOMAINS = ("reacher", "canada2d", "cheetah")
FITTED_DOMAINS = ("reacher_single", "gripper_single")
LAST, PLAIN_NAF = "plain NAF's last score", "plain NAF"
DIP = 3  # number of scores, after imagination is switched off, in which a dip is looked for


class _Gain(NamedTuple):
    """What a variant gains over plain NAF."""

    gap: Estimate  # of best scores
    ratio: Estimate  # how many times fewer episodes it needs to plain NAF's last score
    near: Estimate  # and to within 5 % of that


def _gain(plain: Curve, other: Curve) -> _Gain:
    return _Gain(difference(other.best, plain.best), times_sooner(plain, other), times_sooner(plain, other, NEAR))


def _gains(curves: Curves, name: str, words: str) -> tuple[dict[str, Pair], dict[str, _Gain], list[str]]:
    """Return (curves of plain NAF and a variant with true dynamics, its gains, the same as text), all by domain."""
    pairs = pairs_of(curves, TRUE_DOMAINS, "true-naf", name)
    gains = {domain: _gain(*pair) for domain, pair in pairs.items()}
    lines = [
        f"{d}: {words} {gain.gap} in best score; it {_speed(gain)} {extent_text(d, pairs[d], IN_TABLE2)}."
        for d, gain in gains.items()
    ]
    return pairs, gains, lines


def _speed(gain: _Gain) -> str:
    return f"{ratio_text(gain.ratio, LAST, PLAIN_NAF)}, and {ratio_text(gain.near, 'within 5 % of that', PLAIN_NAF)}"


def true_imagination(curves: Curves) -> Judgement:
    """Judge claim C5: with true dynamics imagination always helps, and the planner's episodes alone seldom do.

    That these do not help needs upper limits of what they may gain (`evidence.helps`).
    """
    pairs, gains, lines = _gains(curves, "true-imagined", "imagination")
    more, driven, others = _gains(curves, "true-mpc", "MPC's episodes alone")
    if not pairs:
        return not_measured("true-naf and true-imagined on one domain")
    measured = Measured({d: (*pair, *more.get(d, ())) for d, pair in pairs.items()}, IN_TABLE2, len(TRUE_DOMAINS))
    own = [helps(domain, *gains[domain]) for domain in measured.long]
    alone = [helps(domain, *driven[domain]) for domain in measured.long if domain in driven]
    enough = 2 * len(alone) >= len(TRUE_DOMAINS)
    held = all(own) and enough and 2 * alone.count(False) > len(alone)
    worse = [standing_of(d, gains[d].gap) == "loses" and gains[d].ratio.high <= 1 for d in measured.long]
    return judgement(held, any(worse) or (enough and all(alone)), lines + others, measured)


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
        f"reacher, against imagination alone: with half MPC {gap} in best score "
        f"{extent_text('reacher', both, IN_TABLE2)}.",
        f"With MPC alone {lower}, and it {ratio_text(sooner, 'within 5 % of its own best', 'imagination alone')} "
        f"{extent_text('reacher', alone, IN_TABLE2)}.",
    ]
    held = gap.above and lower.below and sooner.low > 1
    failed = gap.below or lower.above or sooner.high < 1
    return judgement(held, failed, lines, Measured({"reacher": (*both, *alone)}, IN_TABLE2))


def plain_of(curves: Curves, domain: str) -> str | None:
    """Return the plain NAF that models of figure 2 are compared with: the one with the best end, of enough seeds."""
    there = {name: curves[domain, name] for name in PLAIN if (domain, name) in curves}
    return max(
        there,
        key=lambda name: (min(len(there[name].seeds), TELLING), interquartile_mean(there[name].last)),
        default=None,
    )


def _sooner(curves: Curves, name: str) -> tuple[dict[str, Pair], dict[str, _Gain], list[str]]:
    """Return (curves of plain NAF and a variant, its gains, the same as text), by domain, with fitted models."""
    plain = {domain: own for domain in FITTED_DOMAINS if (own := plain_of(curves, domain))}
    pairs = {d: pair for domain, own in plain.items() for d, pair in pairs_of(curves, (domain,), own, name).items()}
    gains = {domain: _gain(*pair) for domain, pair in pairs.items()}
    lines = [f"{d}: it {_speed(gain)} {extent_text(d, pairs[d], IN_FIGURE2)}." for d, gain in gains.items()]
    return pairs, gains, lines


def fitted_models(curves: Curves) -> Judgement:
    """Judge claim C7: with fitted linear models imagination is 2 to 5 times as data-efficient."""
    pairs, gains, lines = _sooner(curves, "fitted")
    if not gains:
        return not_measured("small-naf and fitted on one domain")
    lines += [f"As we recommend it, {line}" for line in _sooner(curves, "recommended")[2]]
    measured = Measured(pairs, IN_FIGURE2, len(FITTED_DOMAINS))
    ratios = [gains[domain].ratio for domain in measured.long]
    return judgement(all(r.low >= 2 for r in ratios), any(r.high < 2 for r in ratios), lines, measured)


def network_models(curves: Curves) -> Judgement:
    """Judge claim C8: with a neural network as the model imagination does not help.

    It must be ruled out that it takes fewer episodes by `SOONER` or more to within 5 % of where plain NAF ends.
    """
    pairs, gains, lines = _sooner(curves, "neural")
    if not gains:
        return not_measured("small-naf and neural on one domain")
    measured = Measured(pairs, IN_FIGURE2, len(FITTED_DOMAINS))
    failed = any(gains[domain].ratio.low > 1 for domain in measured.long)
    held = not failed and all(gains[domain].near.high < SOONER for domain in measured.long)
    return judgement(held, failed, lines, measured)


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
        f"{later} at episode {curve.episodes[-1]} {extent_text('gripper_single', (curve,), IN_FIGURE2)}."
    )
    measured = Measured({"gripper_single": (curve,)}, IN_FIGURE2)
    return judgement(dip.below and later.above, dip.above or later.below, [line], measured)
