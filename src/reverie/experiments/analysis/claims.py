"""The paper's claims, and verdicts on them from our measurements."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from reverie.core.words import joined
from reverie.experiments.analysis import imagination_claims, naf_claims
from reverie.experiments.analysis.evidence import DECIDING, Curves, Judgement
from reverie.report.document import Verdict


class Claim(NamedTuple):
    """A sentence of the paper, and how to judge it."""

    name: str
    text: str
    where: str
    judge: Callable[[Curves], Judgement]
    short: str  # the claim in a few words


CLAIMS = (
    Claim(
        "C1",
        "NAF scores at least as high as DDPG on most domains, clearly higher on manipulation.",
        "table 1",
        naf_claims.better_scores,
        "NAF scores as high as DDPG or higher",
    ),
    Claim(
        "C2",
        "NAF comes within 5 % of its best in fewer episodes than DDPG on 8 of 10 domains.",
        "table 1",
        naf_claims.fewer_episodes,
        "NAF needs fewer episodes than DDPG",
    ),
    Claim(
        "C3",
        "DDPG wins walker2d, and is faster on cheetah.",
        "table 1",
        naf_claims.where_ddpg_wins,
        "DDPG wins walker2d and is faster on cheetah",
    ),
    Claim(
        "C4",
        "On reacher NAF's arm comes to rest on the target; DDPG's keeps trembling.",
        "figure 1b",
        naf_claims.comes_to_rest,
        "NAF's arm comes to rest on reacher",
    ),
    Claim(
        "C5",
        "With true dynamics imagination always improves speed or score; the planner's episodes alone seldom do.",
        "table 2, figures 2a, 5",
        imagination_claims.true_imagination,
        "imagination with true dynamics always helps",
    ),
    Claim(
        "C6",
        "Imagination with half of the episodes from the planner is a little better; with the planner's alone it is fastest "
        "but ends lower.",
        "table 2",
        imagination_claims.planner_data,
        "planned episodes add a little to imagination",
    ),
    Claim(
        "C7",
        "With linear models fitted to 5 episodes imagination is 2 to 5 times as data-efficient.",
        "figures 2b, 2c",
        imagination_claims.fitted_models,
        "fitted linear models save half of the episodes or more",
    ),
    Claim(
        "C8",
        "With a neural network as the model it is of no benefit.",
        "figure 2b",
        imagination_claims.network_models,
        "networks as models are of no benefit",
    ),
    Claim(
        "C9",
        "Noise shaped by P lifts canada2d above DDPG, and changes nothing elsewhere.",
        "figure 3",
        naf_claims.shaped_noise,
        "shaped noise helps on canada2d alone",
    ),
    Claim(
        "C10",
        "Switching imagination off costs a short dip, then learning continues.",
        "figure 2c",
        imagination_claims.switching_off,
        "switching imagination off costs a short dip",
    ),
)


def verdicts(curves: Curves) -> list[Verdict]:
    """Return the verdict on each claim.  curves: by (domain, variant)."""
    found = [(claim, claim.judge(curves)) for claim in CLAIMS]
    return [Verdict(c.name, c.text, c.where, judged.outcome, judged.evidence, judged.so_far) for c, judged in found]


def summary(found: Sequence[Verdict]) -> str:
    """Return verdicts on all claims in three sentences: what held, what did not, and what is open."""
    open_ones = [v.claim for v in found if v.outcome == "undecided" and not v.so_far]
    missing = [v.claim for v in found if v.outcome == "not measured"]
    parts = [f"undecided: {joined(open_ones)}"] if open_ones else []
    parts += [f"not measured: {joined(missing)}"] if missing else []
    rest = "; ".join(parts) or "no claim is open"
    return f"{_sentence(found, 'held')} {_sentence(found, 'did not hold')} {rest[0].upper()}{rest[1:]}."


def _sentence(found: Sequence[Verdict], outcome: str) -> str:
    """Return which claims came out so, and which do so far, by too few seeds."""
    short = {claim.name: f"{claim.name} ({claim.short})" for claim in CLAIMS}
    settled = [short[v.claim] for v in found if v.outcome == outcome]
    so_far = [short[v.claim] for v in found if v.so_far == outcome]
    none = f"No claim is settled as {'held' if outcome == 'held' else 'refuted'}"
    words = f"{joined(settled)} {outcome}" if settled else none
    more = f"; {joined(so_far)} {outcome} so far, with fewer than {DECIDING} seeds" if so_far else ""
    return f"{words}{more}."
