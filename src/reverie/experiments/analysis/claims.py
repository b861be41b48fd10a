"""The paper's claims, and verdicts on them from our measurements."""

from collections.abc import Callable
from typing import NamedTuple

from reverie.experiments.analysis import imagination_claims, naf_claims
from reverie.experiments.analysis.evidence import Curves, Judgement
from reverie.report.document import Verdict


class Claim(NamedTuple):
    """A sentence of the paper, and how to judge it."""

    name: str
    text: str
    where: str
    judge: Callable[[Curves], Judgement]


CLAIMS = (
    Claim(
        "C1",
        "NAF scores at least as high as DDPG on most domains, clearly higher on manipulation.",
        "table 1",
        naf_claims.better_scores,
    ),
    Claim(
        "C2",
        "NAF comes within 5 % of its best in fewer episodes than DDPG on 8 of 10 domains.",
        "table 1",
        naf_claims.fewer_episodes,
    ),
    Claim("C3", "DDPG wins walker2d, and is faster on cheetah.", "table 1", naf_claims.where_ddpg_wins),
    Claim(
        "C4",
        "On reacher NAF's arm comes to rest on the target; DDPG's keeps trembling.",
        "figure 1b",
        naf_claims.comes_to_rest,
    ),
    Claim(
        "C5",
        "With true dynamics imagination always improves speed or score; the planner's episodes alone seldom do.",
        "table 2, figures 2a, 5",
        imagination_claims.true_imagination,
    ),
    Claim(
        "C6",
        "Imagination with half of the episodes from the planner is a little better; with the planner's alone it is fastest "
        "but ends lower.",
        "table 2",
        imagination_claims.planner_data,
    ),
    Claim(
        "C7",
        "With linear models fitted to 5 episodes imagination is 2 to 5 times as data-efficient.",
        "figures 2b, 2c",
        imagination_claims.fitted_models,
    ),
    Claim(
        "C8", "With a neural network as the model it is of no benefit.", "figure 2b", imagination_claims.network_models
    ),
    Claim(
        "C9",
        "Noise shaped by P lifts canada2d above DDPG, and changes nothing elsewhere.",
        "figure 3",
        naf_claims.shaped_noise,
    ),
    Claim(
        "C10",
        "Switching imagination off costs a short dip, then learning continues.",
        "figure 2c",
        imagination_claims.switching_off,
    ),
)


def verdicts(curves: Curves) -> list[Verdict]:
    """Return the verdict on each claim.  curves: by (domain, variant)."""
    found = [(claim, claim.judge(curves)) for claim in CLAIMS]
    return [Verdict(c.name, c.text, c.where, result.outcome, result.evidence) for c, result in found]
