"""Each claim on curves made up so that it holds, fails, stays open or was not measured; verdicts reasoned out by hand.

Where all seeds of one contender lie above all of another's, every resample does too: the interval lies on one side for
certain.  Where both have the very same seeds it lies on both sides.
"""

import re

import numpy as np
import pytest

from reverie.experiments.analysis import evidence
from reverie.experiments.analysis.claims import CLAIMS, verdicts
from reverie.experiments.analysis.evidence import DECIDING, TELLING
from reverie.experiments.analysis.imagination_claims import TRUE_DOMAINS
from reverie.experiments.analysis.naf_claims import MANIPULATION
from reverie.experiments.analysis.run_length import IN_FIGURE2, IN_TABLE1, IN_TABLE2
from reverie.experiments.analysis.statistics import Curve
from reverie.experiments.spec.paper import OFF
from reverie.experiments.spec.paper_numbers import TABLE1

INF = np.inf
SEEDS = 6
SPREAD = np.linspace(-1.0, 1.0, SEEDS)
EPISODES = 10.0 * np.arange(1, 21)
FLOOR = -1e4  # where a curve is before it arrives
JUDGES = {claim.name: claim.judge for claim in CLAIMS}
FEW = "Fewer than 6 seeds settle no ranking."
EXTENT = re.compile(r" \(((?:\d+ and )?\d+) seeds; \d+ episodes, 200 (?:in the paper|planned)\)\.$")
IN_PAPER = "(6 seeds; 200 episodes, 200 in the paper)."
PLANNED = "(6 seeds; 200 episodes, 200 planned)."


@pytest.fixture(autouse=True)
def runs_are_as_long_as_the_papers(monkeypatch):
    """Let the paper have 200 episodes everywhere, as the curves here do; `test_verdict_artefacts` has its own numbers."""
    for lengths in (IN_TABLE1, IN_TABLE2, IN_FIGURE2):
        for domain in lengths.episodes:
            monkeypatch.setitem(lengths.episodes, domain, 200)


def curve(top=0.0, arrives=100.0, still=1.0, seeds=SEEDS, episodes=EPISODES):
    """Return a curve of seeds that come to `top` [S] after `arrives` [S] episodes and stay."""
    top, arrives, still = (np.broadcast_to(np.asarray(value, float), seeds)[:, None] for value in (top, arrives, still))
    scores = np.where(episodes >= arrives, top, FLOOR)
    return Curve(episodes, scores, still + 0.0 * scores, tuple(range(seeds)))


def course(tops, arrives=100.0):
    """Return a curve of seeds that come to `tops` [K] after `arrives` episodes and follow them."""
    flat = curve(arrives=arrives)
    return flat._replace(scores=np.where(flat.scores == FLOOR, FLOOR, tops))


def first(seeds, found):
    """Return the curves of the first seeds alone."""
    return {pair: Curve(c.episodes, c.scores[:seeds], c.stills[:seeds], c.seeds[:seeds]) for pair, c in found.items()}


def some(domains, found):
    """Return the curves on some domains alone."""
    return {pair: c for pair, c in found.items() if pair[0] in domains}


def counted(measured, of, all_count=False):
    """Return the line that counts domains.  all_count: whether those that are not measured count, as open ones."""
    rest = f"; the other {of - measured} count as open" if all_count else ""
    return f"On {measured} of {of} domains{rest}:"


def lines_of(judged, measured=1, of=1, all_count=False):
    """Return the figures among the evidence of a verdict by six seeds each, the line that counts domains checked."""
    lines = list(judged.evidence)
    if measured < of:
        assert lines.pop(0) == counted(measured, of, all_count)
    found = [EXTENT.search(line) for line in lines]
    assert all(m and m[1] == "6" and not line.startswith("On ") for m, line in zip(found, lines, strict=True)), lines
    return lines


def levels(**by_domain):
    """Return best scores by domain, as shares of the way from a random agent to the paper's NAF above the latter."""
    unit = {d: abs(row.naf - row.random) for d, row in TABLE1.items()}
    return {d: TABLE1[d].naf + unit[d] * np.asarray(shares, float) for d, shares in by_domain.items()}


# ---- C1: scores of table 1

# How a domain may go: NAF's best scores and DDPG's, as shares.
WAYS = {
    "wins": (0.001 * SPREAD, 0.001 * SPREAD - 0.5),
    "ties": (0.001 * SPREAD + 0.01, 0.001 * SPREAD),  # clearly above, by too little to matter
    "loses": (0.001 * SPREAD - 0.5, 0.001 * SPREAD),
    "open": (0.5 * SPREAD + 0.1, 0.5 * SPREAD),  # a tenth apart, with seeds all over the place
    "unknown": (0.5 * SPREAD, 0.5 * SPREAD),  # no difference, with seeds all over the place
}
ARMS = MANIPULATION
OTHERS = tuple(domain for domain in TABLE1 if domain not in ARMS)


def all_of(domains, way):
    return dict.fromkeys(domains, way)


def table1(ways):
    """Return NAF's and DDPG's curves by domain, from ways for domains to go."""
    found = {}
    for i, name in enumerate(("naf", "ddpg")):
        tops = levels(**{domain: WAYS[way][i] for domain, way in ways.items()})
        found |= {(domain, name): curve(top) for domain, top in tops.items()}
    return found


C1 = {
    "wins on arms, ties elsewhere": (all_of(ARMS, "wins") | all_of(OTHERS, "ties"), "held"),
    "wins everywhere": (all_of(TABLE1, "wins"), "held"),
    "six good of ten are most": (all_of(ARMS, "wins") | all_of(OTHERS, "loses") | {"ant": "ties"}, "held"),
    "an arm and four others say nothing of the other arms": ({"peg": "wins"} | all_of(OTHERS[:4], "ties"), "undecided"),
    "the five arms are not most of all": (all_of(ARMS, "wins"), "undecided"),
    "the five arms and one more are most of all": (all_of(ARMS, "wins") | {"ant": "ties"}, "held"),
    "loses on half of five": ({"reacher": "wins"} | all_of(OTHERS[:4], "loses"), "undecided"),
    "four arms are too few": (all_of(ARMS[:4], "wins"), "undecided"),
    "one arm is all there is": ({"peg": "wins"}, "undecided"),
    "loses on all of five": (all_of(ARMS, "loses"), "did not hold"),
    "loses on all of four, too few": (all_of(ARMS[:4], "loses"), "undecided"),
    "loses on half": (all_of(ARMS, "wins") | all_of(OTHERS, "loses"), "did not hold"),
    "loses everywhere": (all_of(TABLE1, "loses"), "did not hold"),
    "one arm is open": (all_of(ARMS, "wins") | all_of(OTHERS, "ties") | {"peg": "open"}, "undecided"),
    "arms only tie": (all_of(TABLE1, "ties"), "did not hold"),
    "three arms only tie": (all_of(ARMS, "wins") | all_of((*ARMS[:3], *OTHERS), "ties"), "did not hold"),
    "two arms only tie": (all_of(ARMS, "wins") | all_of((*ARMS[:2], *OTHERS), "ties"), "undecided"),
    "open elsewhere": (all_of(ARMS, "wins") | all_of(OTHERS, "open"), "undecided"),
    "no arm was measured": (all_of(OTHERS, "wins"), "undecided"),
}


@pytest.mark.parametrize("case", C1)
def test_c1_scores(case):
    ways, expected = C1[case]
    found = JUDGES["C1"](table1(ways))
    assert found.outcome == expected, found.evidence
    lines = lines_of(found, len(ways), 10, all_count=True)
    said = {"open": "may win or lose"}
    begins = [f"{domain}: NAF {said.get(ways[domain], ways[domain])}, " for domain in TABLE1 if domain in ways]
    assert [line[: len(begin)] for line, begin in zip(lines, begins, strict=True)] == begins


def test_c1_says_what_was_measured():
    found = JUDGES["C1"](table1({"peg": "wins", "ant": "ties"}))
    count, peg, ant = found.evidence
    assert count == counted(2, 10, all_count=True)
    # Half of 11 - .438, and a fiftieth.
    assert peg == f"peg: NAF wins, 5.28 [5.27, 5.29] in best score; up to 0.211 is a tie {IN_PAPER}"
    assert ant.startswith("ant: NAF ties, 0.0222 [0.02")
    assert ant.endswith(f"] in best score; up to 0.0444 is a tie {IN_PAPER}")


def test_c1_where_nothing_is_known_is_no_tie():
    found = JUDGES["C1"](table1(all_of(ARMS, "wins") | all_of(OTHERS, "unknown")))
    assert found.outcome == "undecided"
    assert any(line.startswith("ant: NAF may win or lose, 0 [-") for line in found.evidence)


def test_c1_a_lost_arm_is_against_the_claim():
    assert JUDGES["C1"](table1(all_of(TABLE1, "wins") | {"peg": "loses"})).outcome == "did not hold"


# ---- C2: episodes of table 1

EIGHT = tuple(domain for domain in TABLE1 if domain not in ("cheetah", "walker2d"))
SCATTERED = 10.0 * np.arange(5, 5 + SEEDS)
ARRIVALS = {"sooner": (50.0, 100.0), "later": (100.0, 50.0), "open": (SCATTERED, SCATTERED)}  # NAF's, DDPG's
SAID = {
    "sooner": "takes 2 [2, 2] times fewer episodes to within",
    "later": "takes 2 [2, 2] times more episodes to within",
    "open": "takes as many episodes (from 1.",
}


def arrivals(ways):
    return {
        (domain, name): curve(arrives=when)
        for domain, way in ways.items()
        for name, when in zip(("naf", "ddpg"), ARRIVALS[way], strict=True)
    }


C2 = {
    "sooner on the paper's eight": (all_of(EIGHT, "sooner"), "held"),
    "later on the two others": (all_of(TABLE1, "sooner") | all_of(("cheetah", "walker2d"), "later"), "held"),
    "sooner on seven, the eighth may be otherwise": (all_of(EIGHT[:7], "sooner"), "undecided"),
    "sooner on half of the eight, all there are": (all_of(EIGHT[:4], "sooner"), "undecided"),
    "sooner on three, too few": (all_of(EIGHT[:3], "sooner"), "undecided"),
    "sooner on the one there is": ({"ant": "sooner"}, "undecided"),
    "sooner on three, and the two others are not of the eight": (
        all_of((*EIGHT[:3], "cheetah", "walker2d"), "sooner"),
        "undecided",
    ),
    "later on two of four": (all_of(EIGHT[:2], "sooner") | all_of(EIGHT[2:4], "later"), "undecided"),
    "later on four, all there are": (all_of(EIGHT[:4], "later"), "did not hold"),
    "later on three, too few": (all_of(EIGHT[:3], "later"), "undecided"),
    "later on half": (all_of(EIGHT[:4], "sooner") | all_of(EIGHT[4:], "later"), "did not hold"),
    "one is open": (all_of(EIGHT, "sooner") | {"ant": "open"}, "undecided"),
    "all are open": (all_of(EIGHT, "open"), "undecided"),
    "only the two others": (all_of(("cheetah", "walker2d"), "sooner"), "not measured"),
}


@pytest.mark.parametrize("case", C2)
def test_c2_episodes(case):
    ways, expected = C2[case]
    found = JUDGES["C2"](arrivals(ways))
    assert found.outcome == expected, found.evidence
    if expected == "not measured":
        return
    own = [domain for domain in EIGHT if domain in ways]
    for line, domain in zip(lines_of(found, len(own), 8, all_count=True), own, strict=True):
        assert line.startswith(f"{domain}: NAF {SAID[ways[domain]]}"), line
        assert " to within 5 % of its own best; it " in line and line.endswith(f", a score that both reach {IN_PAPER}")


def test_c2_who_never_arrives_does_not_get_there():
    found = arrivals(all_of(EIGHT, "later"))
    found["ant", "naf"] = curve()._replace(scores=np.full((SEEDS, len(EPISODES)), -INF))
    (line,) = [line for line in JUDGES["C2"](found).evidence if line.startswith("ant: ")]
    assert line.startswith("ant: NAF misses within 5 % of its own best in half of its seeds or more; ")


# ---- C3: where DDPG wins


def ddpg_wins(walker=3.0, cheetah=50.0, naf_on_cheetah=100.0):
    """Return curves in which DDPG scores so much more than NAF on walker2d; episodes that both take on cheetah."""
    return {
        ("walker2d", "naf"): curve(SPREAD),
        ("walker2d", "ddpg"): curve(SPREAD + walker),
        ("cheetah", "naf"): curve(arrives=naf_on_cheetah),
        ("cheetah", "ddpg"): curve(arrives=cheetah),
    }


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "held"),
        ({"walker": -3.0}, "did not hold"),
        ({"cheetah": 150.0}, "did not hold"),
        ({"walker": 0.2}, "undecided"),
        ({"walker": -0.2}, "undecided"),
        ({"cheetah": SCATTERED, "naf_on_cheetah": SCATTERED}, "undecided"),
    ],
)
def test_c3_where_ddpg_wins(facts, expected):
    found = JUDGES["C3"](ddpg_wins(**facts))
    assert found.outcome == expected, found.evidence


@pytest.mark.parametrize("domain", ["walker2d", "cheetah"])
def test_c3_needs_both_domains(domain):
    assert JUDGES["C3"]({k: c for k, c in ddpg_wins().items() if k[0] == domain}).outcome == "not measured"


def test_c3_evidence():
    walker, cheetah = lines_of(JUDGES["C3"](ddpg_wins()))
    assert walker.startswith("walker2d: DDPG 3 [2") and walker.endswith(f"] above NAF {IN_PAPER}")
    assert cheetah == f"cheetah: DDPG takes 2 [2, 2] times fewer episodes to within 5 % of its own best {IN_PAPER}"


# ---- C4: coming to rest


@pytest.mark.parametrize(
    ("naf", "ddpg", "expected"),
    [
        (0.9, 0.2, "held"),
        (0.8 + 0.1 * SPREAD, 0.3 + 0.1 * SPREAD, "held"),
        (0.2, 0.9, "did not hold"),
        (0.9, 1.0, "did not hold"),  # both come to rest, DDPG's more often
        (0.3 + 0.1 * SPREAD, 0.1, "did not hold"),  # more often is not mostly
        (0.5 + 0.2 * SPREAD, 0.1, "undecided"),  # mostly or not
        (0.8 + 0.1 * SPREAD, 0.81 + 0.1 * SPREAD, "undecided"),
        (np.nan, 0.1, "undecided"),  # nobody looked
    ],
)
def test_c4_coming_to_rest(naf, ddpg, expected):
    found = JUDGES["C4"]({("reacher", "naf"): curve(still=naf), ("reacher", "ddpg"): curve(still=ddpg)})
    assert found.outcome == expected, found.evidence
    assert len(lines_of(found)) == 1


def test_c4_evidence_and_only_reacher_counts():
    pair = {("reacher", "naf"): curve(still=0.9), ("reacher", "ddpg"): curve(still=0.2)}
    (line,) = JUDGES["C4"](pair).evidence
    words = (
        "The arm ends at rest (below 0.05 rad/s in the last tenth) in a share 0.9 [0.9, 0.9] of test episodes with NAF "
    )
    assert line == words + "and 0.2 [0.2, 0.2] with DDPG, 0.7 [0.7, 0.7] more " + IN_PAPER
    assert JUDGES["C4"]({("peg", name): c for (_, name), c in pair.items()}).outcome == "not measured"


# ---- C5 and C6: true dynamics

TRUE = TRUE_DOMAINS


def true_dynamics(imagined, mpc=None, plain=None, domains=TRUE):
    """Return curves of table 2 on domains; `imagined` by domain where they differ."""
    found = {}
    for domain in domains:
        found[domain, "true-naf"] = curve() if plain is None else plain
        found[domain, "true-imagined"] = imagined[domain] if isinstance(imagined, dict) else imagined
        if mpc is not None:
            found[domain, "true-mpc"] = mpc
    return found


QUICKER, HIGHER, SAME, WORSE = curve(arrives=50), curve(1.0), curve(), curve(-3.0)
MIXED = curve(arrives=[50, 50, 80, 120, 200, 200])  # plain NAF: 100
TIRED = course(np.where(EPISODES > 150, 9.0, 10.0))  # at its best after 100 episodes, and lower at its end

C5 = {
    "twice as quick, MPC the same": (true_dynamics(QUICKER, SAME), "held"),
    "only higher, MPC worse": (true_dynamics(HIGHER, WORSE), "held"),
    "quicker here and higher there": (
        true_dynamics({"reacher": QUICKER, "canada2d": HIGHER, "cheetah": QUICKER}, SAME),
        "held",
    ),
    "lower and never where NAF ends": (true_dynamics(WORSE, SAME), "did not hold"),
    "so on one of three": (
        true_dynamics({"reacher": QUICKER, "canada2d": WORSE, "cheetah": QUICKER}, SAME),
        "did not hold",
    ),
    "no better on one of three": (
        true_dynamics({"reacher": QUICKER, "canada2d": SAME, "cheetah": QUICKER}, SAME),
        "undecided",
    ),
    "a little lower, but twice as quick": (true_dynamics(curve(9.9, 50), TIRED, TIRED), "held"),
    "a little lower, and so never where NAF ends": (
        true_dynamics(curve(9.9, 50), curve(10.0), curve(10.0)),
        "did not hold",
    ),
    "two of three are enough": (true_dynamics(QUICKER, SAME, domains=TRUE[:2]), "held"),
    "one of three is too few": (true_dynamics(QUICKER, SAME, domains=TRUE[:1]), "undecided"),
    "never where NAF ends on two": (true_dynamics(WORSE, SAME, domains=TRUE[1:]), "did not hold"),
    "never where NAF ends on the one there is": (true_dynamics(WORSE, SAME, domains=TRUE[1:2]), "undecided"),
    "seeds all over the place": (true_dynamics(MIXED, SAME), "undecided"),
    "MPC alone was not measured": (true_dynamics(QUICKER), "undecided"),
}


@pytest.mark.parametrize("case", C5)
def test_c5_true_imagination(case):
    found, expected = C5[case]
    judged = JUDGES["C5"](found)
    assert judged.outcome == expected, judged.evidence
    who = {"true-imagined": "imagination", "true-mpc": "MPC's episodes alone"}
    domains = [domain for domain in TRUE if (domain, "true-naf") in found]
    begins = [f"{d}: {words} " for name, words in who.items() for d in domains if (d, name) in found]
    lines = lines_of(judged, len(domains), 3)
    assert [line[: len(begin)] for line, begin in zip(lines, begins, strict=True)] == begins


def test_c5_evidence():
    assert JUDGES["C5"](true_dynamics(QUICKER, WORSE, domains=("reacher",))).evidence == [
        "On 1 of 3 domains:",
        "reacher: imagination 0 [0, 0] in best score; it takes 2 [2, 2] times fewer episodes to plain NAF's last score, and "
        f"takes 2 [2, 2] times fewer episodes to within 5 % of that {IN_PAPER}",
        "reacher: MPC's episodes alone -3 [-3, -3] in best score; it misses plain NAF's last score in half of its seeds or "
        f"more, and misses within 5 % of that in half of its seeds or more {IN_PAPER}",
    ]


def test_c5_sooner_is_to_where_plain_naf_ends_not_to_ones_own_best():
    """Up to a best of 5 in 160 episodes, and where plain NAF ends, at 0, after 50: that is twice as quick, not slower."""
    climbing = course(np.where(EPISODES >= 160, 5.0, 0.0), 50)
    line = JUDGES["C5"](true_dynamics(climbing, SAME)).evidence[0]
    words = "reacher: imagination 5 [5, 5] in best score; it takes 2 [2, 2] times fewer episodes to plain NAF's last score, "
    assert line.startswith(words)


def test_c5_the_goal_is_drawn_with_the_seeds_of_plain_naf():
    """All of plain NAF's seeds are at 1 after 100 episodes, and half of them at 0 again at their end: the goal is 0.5, and
    0.25 and below in a third of draws.  The other is at 0.4 after 50 episodes, at 1 after 150."""
    plain = course(1.0)
    plain.scores[:3, EPISODES > 150] = 0.0
    other = course(np.where(EPISODES >= 150, 1.0, 0.4), 50)
    line = JUDGES["C5"](true_dynamics(other, SAME, plain)).evidence[0]
    assert "it takes 1.5 times more episodes (from 1.5 times more to 2 times fewer) to plain NAF's last score" in line


def test_c5_where_the_planners_episodes_alone_always_help_it_did_not_hold():
    assert JUDGES["C5"](true_dynamics(QUICKER, QUICKER)).outcome == "did not hold"


def test_c5_helping_on_two_of_three_is_not_seldom():
    found = true_dynamics(QUICKER, QUICKER) | {("cheetah", "true-mpc"): SAME}
    assert JUDGES["C5"](found).outcome != "held"


def planner(both=SPREAD + 5, alone=SPREAD - 5, arrives=50.0):
    """Return curves in which imagination's best scores are around 0, and it takes 100 episodes to them."""
    return {
        ("reacher", "true-imagined"): curve(SPREAD),
        ("reacher", "true-both"): curve(both),
        ("reacher", "true-all-mpc"): curve(alone, arrives),
    }


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "held"),
        ({"both": SPREAD - 5}, "did not hold"),
        ({"alone": SPREAD + 5}, "did not hold"),
        ({"arrives": 150.0}, "did not hold"),
        ({"both": SPREAD + 0.2}, "undecided"),
        ({"both": SPREAD - 0.2}, "undecided"),
        ({"alone": SPREAD + 0.2}, "undecided"),
        ({"alone": SPREAD - 0.2}, "undecided"),
        ({"arrives": 100.0}, "undecided"),
    ],
)
def test_c6_the_planners_episodes(facts, expected):
    judged = JUDGES["C6"](planner(**facts))
    assert judged.outcome == expected, judged.evidence


@pytest.mark.parametrize("missing", ["true-imagined", "true-both", "true-all-mpc"])
def test_c6_needs_all_three(missing):
    found = planner()
    del found["reacher", missing]
    assert JUDGES["C6"](found).outcome == "not measured"


def test_c6_evidence():
    both, alone = lines_of(JUDGES["C6"](planner()))
    assert both.startswith("reacher, against imagination alone: with half MPC 5 [4.") and "] in best score (" in both
    assert alone.startswith("With MPC alone -5 [-5.")
    assert alone.endswith(f"], and it takes 2 [2, 2] times fewer episodes to within 5 % of its own best {IN_PAPER}")


# ---- C7 and C8: fitted models

SINGLE = ("reacher_single", "gripper_single")


def fitted(name, *arrives, plain=200.0):
    """Return curves in which plain NAF is where it ends after 200 episodes, its last, and the other after `arrives`."""
    found = {(domain, "small-naf"): curve(arrives=plain) for domain, _ in zip(SINGLE, arrives, strict=False)}
    return found | {(d, name): curve(arrives=when) for d, when in zip(SINGLE, arrives, strict=False)}


HERE_AND_THERE = [50, 50, 80, 120, 200, 200]
HALF_NEVER = [50, 50, 50, INF, INF, INF]

C7 = {
    "four times as quick": ((50, 50), "held"),
    "so on the one there is": ((50,), "held"),
    "a third quicker": ((150, 150), "did not hold"),
    "never": ((INF, INF), "did not hold"),
    "quick on one of two": ((50, 150), "did not hold"),
    "here and there": ((50, HERE_AND_THERE), "undecided"),
}


@pytest.mark.parametrize("case", C7)
def test_c7_linear_models(case):
    arrives, expected = C7[case]
    judged = JUDGES["C7"](fitted("fitted", *arrives))
    assert judged.outcome == expected, judged.evidence
    lines = lines_of(judged, len(arrives), 2)
    assert [line.split(": ")[0] for line in lines] == list(SINGLE[: len(arrives)])
    assert all(" plain NAF's last score" in line and line.endswith(PLANNED) for line in lines)


def test_c7_judges_the_papers_algorithm_and_tells_of_ours():
    found = fitted("fitted", 150, 150) | fitted("recommended", 40, 40)
    judged = JUDGES["C7"](found)
    assert judged.outcome == "did not hold"
    words = "{}: it takes {} times fewer episodes to plain NAF's last score, and takes {} times fewer episodes to within 5 % "
    paper = [words.format(domain, *["1.33 [1.33, 1.33]"] * 2) for domain in SINGLE]
    ours = ["As we recommend it, " + words.format(domain, *["5 [5, 5]"] * 2) for domain in SINGLE]
    assert judged.evidence == [f"{line}of that {PLANNED}" for line in paper + ours]
    assert JUDGES["C7"](fitted("recommended", 40, 40)).outcome == "not measured"


def test_c7_plain_naf_is_the_better_of_two():
    """With layer normalisation it ends higher here, where the other comes to after 150 episodes only."""
    found = fitted("fitted", 150, 150)
    for domain in SINGLE:
        found[domain, "small-naf"] = course(np.full(EPISODES.shape, -1.0), arrives=10.0)
        found[domain, "layer-naf"] = curve(arrives=200.0)
    assert JUDGES["C7"](found).outcome == "did not hold"
    for domain in SINGLE:
        found[domain, "layer-naf"] = course(np.full(EPISODES.shape, -2.0), arrives=10.0)
    assert " takes 15 [15, 15] times more episodes" in JUDGES["C7"](found).evidence[0]  # 150 / 10


def test_c7_no_quicker_than_plain_naf_that_learnt_early_is_not_quicker():
    judged = JUDGES["C7"](fitted("fitted", 50, 50, plain=50.0))
    assert judged.outcome == "did not hold", judged.evidence


def test_c7_twice_needs_an_interval_above_two():
    judged = JUDGES["C7"](fitted("fitted", *([[50, 50, 50, 50, 120, 120]] * 2)))
    assert all(" 4 [1.67, 4] times fewer" in line for line in lines_of(judged)) and judged.outcome == "undecided"


C8 = {
    "never where plain NAF ends": ((INF, INF), "held"),
    "just as long": ((200, 200), "held"),
    "quicker": ((50, 50), "did not hold"),
    "quicker on one": ((INF, 50), "did not hold"),
    "half of the seeds never": ((HALF_NEVER, INF), "undecided"),
}


@pytest.mark.parametrize("case", C8)
def test_c8_network_models(case):
    arrives, expected = C8[case]
    judged = JUDGES["C8"](fitted("neural", *arrives))
    assert judged.outcome == expected, judged.evidence
    for line, domain, when in zip(lines_of(judged), SINGLE, arrives, strict=True):
        assert line.startswith(f"{domain}: it ") and " plain NAF's last score" in line and line.endswith(PLANNED)
        assert ("it misses plain NAF's last score in half of its seeds or more, and" in line) == (when == INF)
    assert JUDGES["C8"](fitted("fitted", 50, 50)).outcome == "not measured"


def test_c8_as_quick_as_plain_naf_is_no_benefit():
    judged = JUDGES["C8"](fitted("neural", 50, 50, plain=50.0))
    assert judged.outcome == "held", judged.evidence


# ---- C9: shaped noise


def shaped(canada, elsewhere):
    """Return curves of NAF-P against DDPG on canada2d and against NAF elsewhere, as ways for domains to go."""
    found = {}
    for domain, way in ({"canada2d": canada} | elsewhere).items():
        for name, shares in zip(("naf-p", "ddpg" if domain == "canada2d" else "naf"), WAYS[way], strict=True):
            found[domain, name] = curve(levels(**{domain: shares})[domain])
    return found


ELSEWHERE = tuple(domain for domain in TABLE1 if domain != "canada2d")
SAME_ELSEWHERE = all_of(ELSEWHERE, "ties")
C9 = {
    "above DDPG and the same elsewhere": (shaped("wins", SAME_ELSEWHERE), "held"),
    "below DDPG": (shaped("loses", SAME_ELSEWHERE), "did not hold"),
    "no difference to DDPG": (shaped("unknown", SAME_ELSEWHERE), "undecided"),
    "the same on four others": (shaped("wins", all_of(ELSEWHERE[:4], "ties")), "held"),
    "the same on three others, too few": (shaped("wins", all_of(ELSEWHERE[:3], "ties")), "undecided"),
    "another on one of four": (shaped("wins", all_of(ELSEWHERE[:3], "ties") | {"ant": "loses"}), "did not hold"),
    "another on one of three, too few": (shaped("wins", all_of(ELSEWHERE[:2], "ties") | {"ant": "loses"}), "undecided"),
    "below DDPG and nothing elsewhere": (shaped("loses", {}), "undecided"),
}


@pytest.mark.parametrize("case", C9)
def test_c9_shaped_noise(case):
    found, expected = C9[case]
    judged = JUDGES["C9"](found)
    assert judged.outcome == expected, judged.evidence
    domains = [domain for domain in ELSEWHERE if (domain, "naf-p") in found]
    canada, *others = lines_of(judged, 1 + len(domains), 10)
    assert canada.startswith("canada2d: ") and canada.endswith(f"] above DDPG {IN_PAPER}")
    assert [line.split(": ")[0] for line in others] == domains
    level = {4: "98.8%", 3: "98.3%", 9: "99.4%"}.get(len(domains))
    assert all(line.endswith(f"] above NAF, at {level} {IN_PAPER}") for line in others)


@pytest.mark.parametrize("way", ["wins", "loses"])
def test_c9_does_not_hold_out_where_one_other_domain_changes(way):
    judged = JUDGES["C9"](shaped("wins", SAME_ELSEWHERE | {"ant": way}))
    assert judged.outcome != "held", judged.evidence


def test_c9_needs_shaped_noise_on_canada2d():
    found = shaped("wins", SAME_ELSEWHERE)
    del found["canada2d", "naf-p"]
    assert JUDGES["C9"](found).outcome == "not measured"


def test_c9_a_clear_change_elsewhere_is_against_the_claim():
    judged = JUDGES["C9"](shaped("wins", SAME_ELSEWHERE | {"ant": "wins"}))
    assert judged.outcome == "did not hold", judged.evidence


def test_c9_equal_on_nine_domains_seldom_seems_to_differ():
    """Intervals of 95 % alone would find a difference somewhere in more than a third of cases."""
    generator, refuted = np.random.default_rng(1), 0
    for _ in range(40):
        found = {pair: c for pair, c in shaped("wins", {}).items()}
        for domain in ELSEWHERE:
            for name in ("naf-p", "naf"):
                found[domain, name] = curve(levels(**{domain: 0.1 * generator.standard_normal(SEEDS)})[domain])
        refuted += JUDGES["C9"](found).outcome == "did not hold"
    assert refuted <= 4


def test_c9_of_nothing_elsewhere_nothing_is_known():
    assert JUDGES["C9"](shaped("wins", {})).outcome == "undecided"


def test_c9_where_elsewhere_is_open_so_is_the_claim():
    assert JUDGES["C9"](shaped("wins", all_of(ELSEWHERE, "open"))).outcome == "undecided"


# ---- C10: switching imagination off


def switched(before, dip, end, last=160):
    """Return curves that stand at `before` [S] until imagination ends, at `dip` in the next 15 episodes, then at `end`."""
    episodes = np.arange(5, last + 1, 5)
    parts = [np.broadcast_to(np.asarray(value, float), SEEDS)[:, None] for value in (before, dip, end)]
    scores = np.where(episodes <= OFF, parts[0], np.where(episodes <= OFF + 15, parts[1], parts[2]))
    return {("gripper_single", "fitted"): Curve(episodes, scores, 0 * scores, tuple(range(SEEDS)))}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((-10, -20, -2), "held"),
        ((-10 + SPREAD, -20 + SPREAD, -2 + SPREAD), "held"),
        ((-10, -20, -30), "did not hold"),
        ((-10, -20, -10), "undecided"),
        ((-10, -5, -2), "did not hold"),  # no dip
        ((-10, -10 + 5 * SPREAD, -2), "undecided"),  # a dip or none
        ((-10 + SPREAD, -20, -10 + SPREAD), "undecided"),
    ],
)
def test_c10_switching_off(scores, expected):
    judged = JUDGES["C10"](switched(*scores))
    assert judged.outcome == expected, judged.evidence


def test_c10_evidence():
    (line,) = JUDGES["C10"](switched(-10, -20, -2)).evidence
    figures = "-10 [-10, -10] in the next 15 episodes, 8 [8, 8] at episode 160 (6 seeds; 160 episodes, 200 planned)."
    assert line == f"gripper_single, off after episode {OFF}: {figures}"


def test_c10_needs_a_score_at_the_switch():
    found = switched(-10, -20, -2)
    (pair, whole), keep = next(iter(found.items())), np.arange(32) != OFF // 5 - 1
    without = whole._replace(episodes=whole.episodes[keep], scores=whole.scores[:, keep], stills=whole.stills[:, keep])
    assert JUDGES["C10"]({pair: without}).outcome == "not measured"


def test_c10_needs_scores_after_the_switch():
    assert JUDGES["C10"](switched(-10, -20, -2, last=OFF)).outcome == "not measured"


def test_c10_a_dip_that_may_be_none_is_none_yet():
    judged = JUDGES["C10"](switched(-10, -10.1 + 5 * SPREAD, -2))
    assert judged.outcome == "undecided", judged.evidence


def test_c10_compares_each_seed_with_itself():
    judged = JUDGES["C10"](switched(50 * SPREAD, 50 * SPREAD - 3, 50 * SPREAD + 2))
    assert judged.outcome == "held", judged.evidence


# ---- all of them

HELD = {
    "C1": table1(C1["wins everywhere"][0]),
    "C2": arrivals(C2["sooner on the paper's eight"][0]),
    "C3": ddpg_wins(),
    "C4": {("reacher", "naf"): curve(still=0.9), ("reacher", "ddpg"): curve(still=0.2)},
    "C5": true_dynamics(QUICKER, SAME),
    "C6": planner(),
    "C7": fitted("fitted", 50, 50),
    "C8": fitted("neural", INF, INF),
    "C9": C9["above DDPG and the same elsewhere"][0],
    "C10": switched(-10, -20, -2),
}


@pytest.mark.parametrize("name", JUDGES)
def test_one_seed_gives_no_verdict(name):
    assert JUDGES[name](HELD[name]).outcome == "held"
    judged = JUDGES[name](first(1, HELD[name]))
    assert judged.outcome == "not measured" and judged == JUDGES[name]({})
    (line,) = judged.evidence
    assert line.startswith("Needs at least 2 seeds of ")


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
@pytest.mark.parametrize("name", JUDGES)
def test_fewer_seeds_than_decide_leave_a_claim_open_however_clear_its_intervals(name, seeds, monkeypatch):
    found = first(seeds, HELD[name])
    judged = JUDGES[name](found)
    assert judged.outcome == "undecided"
    *lines, last = judged.evidence
    assert last == (FEW if seeds < TELLING else f"By these seeds it held so far; f{FEW[1:]}")
    assert judged.so_far == ("" if seeds < TELLING else "held")
    assert lines and all(EXTENT.search(line)[1] == str(seeds) for line in lines)
    monkeypatch.setattr(evidence, "DECIDING", seeds)  # nothing else leaves it open
    assert JUDGES[name](found) == ("held", lines, "")


@pytest.mark.parametrize("name", JUDGES)
def test_six_seeds_decide(name):
    judged = JUDGES[name](first(DECIDING, HELD[name]))
    assert DECIDING == 6 and judged.outcome == "held"
    assert all(EXTENT.search(line)[1] == "6" for line in judged.evidence)


# The same claims where they do not hold.
REFUTED = {
    "C1": table1(all_of(TABLE1, "loses")),
    "C2": arrivals(all_of(EIGHT, "later")),
    "C3": ddpg_wins(walker=-3.0),
    "C4": {("reacher", "naf"): curve(still=0.2), ("reacher", "ddpg"): curve(still=0.9)},
    "C5": true_dynamics(WORSE, SAME),
    "C6": planner(both=SPREAD - 5),
    "C7": fitted("fitted", 150, 150),
    "C8": fitted("neural", 50, 50),
    "C9": shaped("loses", SAME_ELSEWHERE),
    "C10": switched(-10, -20, -30),
}


@pytest.mark.parametrize("name", JUDGES)
def test_fewer_seeds_than_decide_refute_nothing(name):
    assert JUDGES[name](REFUTED[name]).outcome == "did not hold"
    some_seeds = JUDGES[name](first(4, REFUTED[name]))
    assert (some_seeds.outcome, some_seeds.so_far) == ("undecided", "did not hold")
    judged = JUDGES[name](first(3, REFUTED[name]))
    assert judged.outcome == "undecided" and judged.evidence[-1] == FEW


@pytest.mark.parametrize(("name", "who"), [(name, pair) for name, found in HELD.items() for pair in found])
def test_few_seeds_of_one_contender_on_one_domain_decide_nothing(name, who):
    judged = JUDGES[name](HELD[name] | first(3, {who: HELD[name][who]}))
    assert judged.outcome == "undecided" and judged.evidence[-1] == FEW
    counts = [found[1] for line in judged.evidence if (found := EXTENT.search(line))]
    assert any(count in ("3 and 6", "6 and 3", "3") for count in counts), judged.evidence


# Domains that suffice, and as many less one.
ENOUGH = {"C1": ARMS, "C2": EIGHT[:4], "C5": TRUE[:2], "C9": ("canada2d", *ELSEWHERE[:4])}
OF = {"C1": 10, "C2": 8, "C5": 3, "C9": 10}


@pytest.mark.parametrize(("outcome", "cases"), [("held", HELD), ("did not hold", REFUTED)], ids=["held", "refuted"])
@pytest.mark.parametrize("name", ENOUGH)
def test_fewer_than_half_of_its_domains_leave_a_claim_open(name, outcome, cases):
    domains = ENOUGH[name]
    about_all = name in ("C1", "C2")  # those that are not measured could turn it, unless half refute it
    whole = "undecided" if about_all and outcome == "held" else outcome
    for there, expected in ((domains, whole), (domains[:-1], "undecided")):
        judged = JUDGES[name](some(there, cases[name]))
        assert judged.outcome == expected, judged.evidence
        assert judged.evidence[0] == counted(len(there), OF[name], about_all) and FEW not in judged.evidence


@pytest.mark.parametrize("name", ["C7", "C8"])
def test_one_domain_of_two_is_half(name):
    for cases, expected in ((HELD, "held"), (REFUTED, "did not hold")):
        judged = JUDGES[name](some(SINGLE[:1], cases[name]))
        assert judged.outcome == expected and judged.evidence[0] == "On 1 of 2 domains:"


def test_few_seeds_on_few_domains_are_both_told():
    judged = JUDGES["C1"](first(3, some(("peg",), HELD["C1"])))
    assert judged.outcome == "undecided" and len(judged.evidence) == 3
    assert judged.evidence[0] == counted(1, 10, all_count=True) and judged.evidence[-1] == FEW


def test_domains_with_a_seed_each_are_not_measured():
    """Four arms with seeds enough and a fifth with one are four, too few."""
    judged = JUDGES["C1"](some(ARMS[:4], HELD["C1"]) | first(1, some(ARMS[4:], HELD["C1"])))
    assert judged.outcome == "undecided" and judged.evidence[0] == counted(4, 10, all_count=True)


A_PART = (("C5", "true-mpc"), ("C9", "naf"))  # without these the rest is told, and the claim is open
CONTENDERS = [(name, who) for name in HELD for who in sorted({who for _, who in HELD[name]})]


@pytest.mark.parametrize(("name", "who"), [pair for pair in CONTENDERS if pair not in A_PART])
def test_one_seed_of_one_contender_gives_no_verdict(name, who):
    alone = first(1, {pair: found for pair, found in HELD[name].items() if pair[1] == who})
    assert JUDGES[name](HELD[name] | alone).outcome == "not measured"


@pytest.mark.parametrize(("name", "who"), A_PART)
def test_one_seed_of_who_decides_a_part_leaves_the_claim_open(name, who):
    alone = first(1, {pair: found for pair, found in HELD[name].items() if pair[1] == who})
    assert JUDGES[name](HELD[name] | alone).outcome == "undecided"


@pytest.mark.parametrize("name", JUDGES)
def test_nothing_is_not_measured(name):
    assert JUDGES[name]({}).outcome == "not measured"


@pytest.mark.parametrize("name", JUDGES)
def test_the_evidence_names_everybodys_seeds(name):
    """Each contender on each domain gets a number of seeds of its own."""
    found, count = {}, 20
    for pair, whole in HELD[name].items():
        index = np.arange(count) % SEEDS
        found[pair] = Curve(whole.episodes, whole.scores[index], whole.stills[index], tuple(range(count)))
        count += 1
    evidence = JUDGES[name](found).evidence
    told = [EXTENT.search(line) for line in evidence]  # each line, at its end
    assert all(told), evidence
    counts = [{int(count) for count in re.findall(r"\d+", words[1])} for words in told]
    for pair, whole in found.items():
        own = [c for c, line in zip(counts, evidence, strict=True) if pair[0] in line or name in ("C4", "C6")]
        assert any(len(whole.seeds) in count for count in own), pair


def test_verdicts_are_the_ten_claims_in_order():
    found = verdicts(HELD["C3"] | HELD["C4"])
    assert [verdict.claim for verdict in found] == [f"C{i}" for i in range(1, 11)]
    by_claim = {verdict.claim: verdict for verdict in found}
    assert by_claim["C3"].outcome == by_claim["C4"].outcome == "held"
    assert by_claim["C7"].outcome == "not measured"
    assert by_claim["C7"].evidence == ["Needs at least 2 seeds of small-naf and fitted on one domain."]
    assert all(verdict.text.endswith(".") and verdict.where for verdict in found)


def test_c5_mpc_counts_where_imagination_was_measured_and_on_half_of_the_domains():
    alone = {
        pair: c for pair, c in true_dynamics(QUICKER, QUICKER).items() if pair[1] != "true-mpc" or pair[0] == "reacher"
    }
    assert JUDGES["C5"](alone).outcome == "undecided"
