"""The paper's claims, each held against what was measured here.

A claim is judged on the domains that there are cells of, and says which; with one seed there is no interval and no verdict.
"Held" and "did not hold" need an interval that lies on one side, "undecided" is the rest.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from reverie.experiments.measure import Curve, Estimate, difference, estimate, times_fewer, times_sooner
from reverie.experiments.paper import OFF
from reverie.experiments.published import TABLE1
from reverie.report.document import Outcome, Verdict

Curves = Mapping[tuple[str, str], Curve]
MANIPULATION = ("reacher", "peg", "gripper", "gripper_m", "canada2d")
TRUE_DOMAINS = ("reacher", "canada2d", "cheetah")
FITTED_DOMAINS = ("reacher_single", "gripper_single")
TIE = 0.02  # of the way from a random agent to the paper's NAF: less is no difference that matters
ENOUGH = 2  # seeds, for an interval


class Judged(NamedTuple):
    """What became of a claim, and the figures that say so."""

    outcome: Outcome
    evidence: str


NOTHING = Judged("not measured", "No cells of it here.")


class Claim(NamedTuple):
    """A sentence of the paper, and how to judge it."""

    name: str
    text: str
    where: str
    judge: Callable[[Curves], Judged]


def _pairs(curves: Curves, domains: tuple[str, ...], one: str, other: str) -> dict[str, tuple[Curve, Curve]]:
    """Return the curves of two contenders on the domains where both have seeds enough."""
    found = {d: (curves[d, one], curves[d, other]) for d in domains if (d, one) in curves and (d, other) in curves}
    return {d: pair for d, pair in found.items() if min(len(curve.seeds) for curve in pair) >= ENOUGH}


def _seeds(pair: tuple[Curve, Curve]) -> str:
    return f"{len(pair[0].seeds)} and {len(pair[1].seeds)} seeds"


def _outcome(held: bool, failed: bool) -> Outcome:
    return "held" if held else "did not hold" if failed else "undecided"


def _standing(domain: str, gap: Estimate) -> str:
    """Return whether a difference of scores wins, loses or ties, where that is known."""
    paper = TABLE1[domain]
    small = TIE * abs(paper.naf - paper.random)
    if abs(gap.value) <= small or (gap.low > -small and gap.high < small):
        return "ties"
    return "wins" if gap.above else "loses" if gap.below else "open"


def better_scores(curves: Curves) -> Judged:
    """C1."""
    pairs = _pairs(curves, tuple(TABLE1), "naf", "ddpg")
    if not pairs:
        return NOTHING
    gaps = {domain: difference(naf.best, ddpg.best) for domain, (naf, ddpg) in pairs.items()}
    standing = {domain: _standing(domain, gap) for domain, gap in gaps.items()}
    good = sum(word in ("wins", "ties") for word in standing.values())
    bad = sum(word == "loses" for word in standing.values())
    arms = [standing[domain] for domain in MANIPULATION if domain in standing]
    held = 2 * good > len(pairs) and bool(arms) and all(word == "wins" for word in arms)
    lines = [f"{d}: NAF {standing[d]} ({gap} in best score, {_seeds(pairs[d])})" for d, gap in gaps.items()]
    return Judged(_outcome(held, 2 * bad >= len(pairs)), _measured(len(pairs), 10) + "; ".join(lines) + ".")


def _measured(count: int, of: int) -> str:
    return "" if count == of else f"On {count} of {of} domains. "


def fewer_episodes(curves: Curves) -> Judged:
    """C2."""
    eight = tuple(domain for domain in TABLE1 if domain not in ("cheetah", "walker2d"))
    pairs = _pairs(curves, eight, "naf", "ddpg")
    if not pairs:
        return NOTHING
    ratios = {domain: times_fewer(ddpg.to_best, naf.to_best) for domain, (naf, ddpg) in pairs.items()}
    sooner, later = (
        sum(test(ratio) for ratio in ratios.values()) for test in (lambda r: r.low > 1, lambda r: r.high < 1)
    )
    lines = [f"{d}: {ratio} times fewer ({_seeds(pairs[d])})" for d, ratio in ratios.items()]
    outcome = _outcome(sooner == len(pairs), 2 * later >= len(pairs))
    return Judged(outcome, _measured(len(pairs), len(eight)) + "; ".join(lines) + ".")


def where_ddpg_wins(curves: Curves) -> Judged:
    """C3."""
    pairs = _pairs(curves, ("walker2d", "cheetah"), "naf", "ddpg")
    if len(pairs) < 2:
        return NOTHING
    gap = difference(pairs["walker2d"][1].best, pairs["walker2d"][0].best)
    ratio = times_fewer(pairs["cheetah"][0].to_best, pairs["cheetah"][1].to_best)
    text = f"walker2d: DDPG {gap} above NAF; cheetah: DDPG takes {ratio} times fewer episodes ({_seeds(pairs['cheetah'])})."
    return Judged(_outcome(gap.above and ratio.low > 1, gap.below or ratio.high < 1), text)


def comes_to_rest(curves: Curves) -> Judged:
    """C4."""
    pairs = _pairs(curves, ("reacher",), "ddpg", "naf")
    if not pairs:
        return NOTHING
    ddpg, naf = (curve.rest_speed for curve in pairs["reacher"])
    ratio = estimate(lambda a, b: a.mean(-1) / b.mean(-1), ddpg, naf)
    text = (
        f"Joints move at {naf.mean():.3g} rad/s with NAF and {ddpg.mean():.3g} with DDPG in the last tenth of episodes: "
        f"{ratio} times as fast ({_seeds(pairs['reacher'])})."
    )
    return Judged(_outcome(ratio.low > 1, ratio.high < 1), text)


def _gain(plain: Curve, other: Curve) -> tuple[Estimate, Estimate]:
    """Return how much higher another contender ends at its best, and how many times sooner it is where plain NAF ends."""
    goal = float(np.median(plain.best) - 0.05 * abs(np.median(plain.best)))
    return difference(other.best, plain.best), times_fewer(plain.to(goal), other.to(goal))


def _helps(gap: Estimate, ratio: Estimate) -> bool:
    return gap.above or ratio.low > 1


def true_imagination(curves: Curves) -> Judged:
    """C5."""
    pairs = _pairs(curves, TRUE_DOMAINS, "true-naf", "true-imagined")
    if not pairs:
        return NOTHING
    gains = {domain: _gain(*pair) for domain, pair in pairs.items()}
    lines = [f"{d}: imagination {_gain_words(*gain)} ({_seeds(pairs[d])})" for d, gain in gains.items()]
    driven = {d: _gain(*pair) for d, pair in _pairs(curves, TRUE_DOMAINS, "true-naf", "true-mpc").items()}
    lines += [f"{d}: MPC's episodes alone {_gain_words(*gain)}" for d, gain in driven.items()]
    held = (
        all(_helps(*gain) for gain in gains.values()) and bool(driven) and not all(_helps(*g) for g in driven.values())
    )
    failed = any(gap.below and ratio.high <= 1 for gap, ratio in gains.values())
    return Judged(_outcome(held, failed), _measured(len(pairs), 3) + "; ".join(lines) + ".")


def _gain_words(gap: Estimate, ratio: Estimate) -> str:
    return f"{gap} in best score, {ratio} times fewer episodes to plain NAF's"


def planner_data(curves: Curves) -> Judged:
    """C6."""
    both = _pairs(curves, ("reacher",), "true-both", "true-imagined")
    alone = _pairs(curves, ("reacher",), "true-all-mpc", "true-imagined")
    if not both or not alone:
        return NOTHING
    gap = difference(*(curve.best for curve in both["reacher"]))
    all_mpc, imagined = alone["reacher"]
    lower = difference(all_mpc.best, imagined.best)
    sooner = times_fewer(imagined.to_best, all_mpc.to_best)
    text = (
        f"reacher: with half MPC {gap} in best score; with MPC alone {lower}, and {sooner} times fewer episodes to within "
        f"5 % of its own best ({_seeds(both['reacher'])})."
    )
    held = gap.above and lower.below and sooner.low > 1
    return Judged(_outcome(held, gap.below or lower.above or sooner.high < 1), text)


def _sooner(curves: Curves, name: str) -> tuple[dict[str, Estimate], str]:
    pairs = _pairs(curves, FITTED_DOMAINS, "small-naf", name)
    ratios = {domain: times_sooner(*pair) for domain, pair in pairs.items()}
    return ratios, "; ".join(f"{d}: {r} times fewer episodes ({_seeds(pairs[d])})" for d, r in ratios.items())


def fitted_models(curves: Curves) -> Judged:
    """C7."""
    ratios, text = _sooner(curves, "fitted")
    ours, more = _sooner(curves, "recommended")
    if not ratios:
        return NOTHING
    held = all(ratio.value >= 2 and ratio.low > 1 for ratio in ratios.values())
    words = _measured(len(ratios), 2) + f"To plain NAF's score at its end. The paper's Algorithm 2: {text}."
    return Judged(
        _outcome(held, any(r.high < 2 for r in ratios.values())),
        words + (f" As we recommend it: {more}." if ours else ""),
    )


def network_models(curves: Curves) -> Judged:
    """C8."""
    ratios, text = _sooner(curves, "neural")
    if not ratios:
        return NOTHING
    none, some = all(r.high <= 1 for r in ratios.values()), any(r.low > 1 for r in ratios.values())
    return Judged(_outcome(none, some), _measured(len(ratios), 2) + text + ".")


def shaped_noise(curves: Curves) -> Judged:
    """C9."""
    pairs = _pairs(curves, ("canada2d",), "naf-p", "ddpg")
    if not pairs:
        return NOTHING
    gap = difference(*(curve.best for curve in pairs["canada2d"]))
    rest = _pairs(curves, tuple(d for d in TABLE1 if d != "canada2d"), "naf-p", "naf")
    gaps = {domain: difference(shaped.best, naf.best) for domain, (shaped, naf) in rest.items()}
    lines = [f"canada2d: {gap} above DDPG ({_seeds(pairs['canada2d'])})"]
    lines += [f"{domain}: {other} above NAF" for domain, other in gaps.items()]
    different = [domain for domain, other in gaps.items() if _standing(domain, other) in ("wins", "loses")]
    return Judged(_outcome(gap.above and not different, gap.below), "; ".join(lines) + ".")


def switching_off(curves: Curves) -> Judged:
    """C10."""
    curve = curves.get(("gripper_single", "fitted-off"))
    if curve is None or len(curve.seeds) < ENOUGH or OFF not in curve.episodes:
        return NOTHING
    at = int(np.flatnonzero(curve.episodes == OFF)[0])
    before = curve.scores[:, max(0, at - 2) : at + 1].mean(1)
    dip = difference(curve.scores[:, at + 1 : at + 4].mean(1), before)
    later = difference(curve.last, before)
    text = (
        f"gripper_single, off after episode {OFF}: {dip} in the next 15 episodes, {later} at episode "
        f"{curve.episodes[-1]} ({len(curve.seeds)} seeds)."
    )
    return Judged(_outcome(dip.value <= 0 and later.above, later.below), text)


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
    """Return what became of each claim."""
    found = [(claim, claim.judge(curves)) for claim in CLAIMS]
    return [Verdict(c.name, c.text, c.where, judged.outcome, judged.evidence) for c, judged in found]
