"""The tables of docs/reproduce.md and others that come from the cells of `reverie reproduce`, as lines of Markdown."""

import functools
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.algorithms import ALGORITHMS
from reverie.core.words import joined
from reverie.experiments.analysis import claims, imagination_claims
from reverie.experiments.analysis.evidence import Curves, standing_of
from reverie.experiments.analysis.paper_report import together
from reverie.experiments.analysis.run_length import IN_TABLE1, long_enough
from reverie.experiments.analysis.statistics import Curve, difference, mean_score, number, times_sooner
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.hyperparameter_search import AGENTS
from reverie.experiments.spec.paper import EXPERIMENTS
from reverie.experiments.spec.paper_numbers import TABLE1, TABLE1_LONGEST, TABLE2_LONGEST
from reverie.maths.bootstrap import interquartile_mean, median
from studies.doc_tables import short, table
from studies.store import DATA

FOLDER = DATA / "paper"
FIGURE2 = {
    "small-naf": "plain NAF",
    "layer-naf": "… with layer normalisation",
    "fitted": "… Algorithm 2, linear models",
    "neural": "… Algorithm 2, networks",
    "recommended": "… imagination as we recommend it",
}
TABLE2 = {
    "true-naf": "plain NAF",
    "true-imagined": "… imagination",
    "true-mpc": "… half of the episodes by MPC, no imagination",
    "true-both": "… imagination, and half by MPC",
    "true-all-mpc": "… imagination, and all by MPC",
}
FIGURE2_AFTER = (20, 40, 80)  # episodes after which the table of figure 2 has scores
SWIMMER6_AFTER = (50, 100, 150, 200, 250)  # in the same way
MOST_SEEDS = 8  # shown one by one


@functools.cache
def found() -> Curves:
    """Return the curves of the committed cells."""
    return together([ResultsStore(FOLDER)])


def _domains(*names: str) -> list[str]:
    return [domain for domain in TABLE1 if any((domain, name) in found() for name in names)]


def _pair(domain: str) -> list[Curve]:
    return [found()[domain, name] for name in ("naf", "ddpg") if (domain, name) in found()]


def _best(domain: str, name: str) -> str:
    return str(mean_score(found()[domain, name].best)) if (domain, name) in found() else "not run"


def _seeds(curves: Sequence[Curve]) -> str:
    return joined(dict.fromkeys(len(curve.seeds) for curve in curves))


def _run(curves: Sequence[Curve]) -> str:
    return joined(dict.fromkeys(int(curve.episodes[-1]) for curve in curves))


def scores() -> list[str]:
    """Return best scores of table 1, ours above the paper's."""
    rows: list[Sequence[object]] = []
    for domain in _domains("naf", "ddpg"):
        paper, random = TABLE1[domain], found().get((domain, "random"))
        own = None if random is None else number(float(random.scores.mean()))
        pair = _pair(domain)
        rows.append([f"{domain}, here", _seeds(pair), _run(pair), own, _best(domain, "naf"), _best(domain, "ddpg")])
        printed = [number(value) for value in (paper.random, paper.naf, paper.ddpg)]
        rows.append(["the paper", None, TABLE1_LONGEST[domain], *printed])
    return table(("", "seeds", "episodes", "random", "NAF", "DDPG"), rows)


def episodes() -> list[str]:
    """Return numbers of episodes of table 1, ours above the paper's."""
    rows: list[Sequence[object]] = []
    for domain in _domains("naf", "ddpg"):
        paper, naf, ddpg = TABLE1[domain], found().get((domain, "naf")), found().get((domain, "ddpg"))
        medians = [None if curve is None else number(float(median(curve.to_best))) for curve in (naf, ddpg)]
        there = "not run" if naf is None else per_seed(naf.to(paper.naf))
        rows.append([f"{domain}, here", *(own or "not run" for own in medians), there])
        rows.append(["the paper", paper.naf_episodes, paper.ddpg_episodes, paper.naf_episodes])
    columns = ("", "NAF to 5 %, median", "DDPG to 5 %, median", "NAF to the paper's NAF score, per seed")
    return table(columns, rows)


def per_seed(values: np.ndarray) -> str:
    """Return numbers of episodes, one per seed."""
    shown = [short(number(float(value))) for value in values[:MOST_SEEDS]]
    return ", ".join(shown) + (", …" if len(values) > MOST_SEEDS else "")


def verdicts() -> list[str]:
    """Return the verdicts, a row per claim."""
    shorts = {claim.name: claim.short for claim in claims.CLAIMS}
    rows = [
        [v.claim, shorts[v.claim], v.outcome + (f", {v.so_far} so far" if v.so_far else "")]
        for v in claims.verdicts(found())
    ]
    return table(("claim", "in short", "verdict"), rows)


def standing() -> list[str]:
    """Return, by domain, how many seeds of NAF pass the paper's NAF score, and how NAF stands against DDPG."""
    rows: list[Sequence[object]] = []
    for domain in _domains("naf", "ddpg"):
        pair, naf = _pair(domain), found().get((domain, "naf"))
        passes = "not run" if naf is None else f"{int((naf.best >= TABLE1[domain].naf).sum())} of {len(naf.seeds)}"
        words = "not both were run"
        if len(pair) == 2:
            words = f"NAF {standing_of(domain, difference(pair[0].best, pair[1].best))}"
            words += "" if long_enough(domain, pair, IN_TABLE1) else ", but the runs are too short to count"
        rows.append([domain, passes, words])
    return table(("domain", "seeds of NAF that pass the paper's NAF score", "NAF against DDPG here"), rows)


def rest() -> list[str]:
    """Return how many test episodes end at rest on reacher."""
    shares = [mean_score(curve.still) for curve in _pair("reacher")]
    return table(("NAF", "DDPG"), [shares])


def figure2() -> list[str]:
    """Return the table of figure 2: fitted models."""
    rows: list[Sequence[object]] = []
    for panel in EXPERIMENTS["fig2"].panels[1:]:
        plain = imagination_claims.plain_of(found(), panel.domain)
        for name, text in FIGURE2.items():
            curve = found().get((panel.domain, name))
            if curve is None:
                continue
            at = [interquartile_mean(curve.scores[:, curve.episodes == n].mean(1)) for n in FIGURE2_AFTER]
            after = ", ".join(f"{float(value):.2g}" for value in at)
            ratio = None
            if plain is not None and name not in ("small-naf", "layer-naf"):
                ratio = times_sooner(found()[panel.domain, plain], curve)
            what = f"{panel.domain}: {text}" if name == "small-naf" else text
            rows.append([what, mean_score(curve.best), number(mean_score(curve.last).value), after, ratio])
    afterwards = f"after {', '.join(map(str, FIGURE2_AFTER))} episodes"
    return table(("", "best", "last", afterwards, "times fewer episodes (1)"), rows)


def figure2_seeds() -> list[str]:
    """Return the episodes of single seeds to plain NAF's last score."""
    rows: list[Sequence[object]] = []
    for panel in EXPERIMENTS["fig2"].panels[1:]:
        name = imagination_claims.plain_of(found(), panel.domain)
        if name is None:
            continue
        plain = found()[panel.domain, name]
        goal = mean_score(plain.last).value
        others = [found()[panel.domain, n] for n in ("fitted", "neural")]
        rows.append([f"{panel.domain}, to {number(goal)}", *(per_seed(c.to(goal)) for c in (*others, plain))])
    return table(("", "linear models", "networks", "plain NAF itself"), rows)


def figure3() -> list[str]:
    """Return the table of figure 3: shaped noise."""
    rows: list[Sequence[object]] = []
    for domain in _domains("naf-p"):
        naf, shaped = (found()[domain, name] for name in ("naf", "naf-p"))
        gap = difference(shaped.best, naf.best)
        rows.append([domain, _seeds([naf, shaped]), mean_score(naf.best), mean_score(shaped.best), gap])
    return table(("", "seeds", "NAF", "NAF with shaped noise", "difference"), rows)


def table2() -> list[str]:
    """Return the table of table 2: true dynamics."""
    rows: list[Sequence[object]] = []
    for domain, printed in TABLE2_LONGEST.items():
        plain = found().get((domain, "true-naf"))
        for name, text in TABLE2.items():
            curve = found().get((domain, name))
            if curve is None or plain is None:
                continue
            what = f"{domain}: {text}" if name == "true-naf" else text
            ratio = None if name == "true-naf" else times_sooner(plain, curve)
            run = f"{_run([curve])} of {printed}"
            goal = mean_score(plain.last).value
            rows.append([what, run, mean_score(curve.best), per_seed(curve.to(goal)), ratio])
    return table(("", "episodes run", "best", "episodes to plain NAF's last score (1)", "times fewer (2)"), rows)


def cells() -> list[str]:
    """Return what the committed folder holds: domains, variants, seeds and episodes."""
    rows: list[Sequence[object]] = []
    by_run: dict[tuple[str, str, str], list[str]] = {}
    for (domain, name), curve in found().items():
        if name != "random":
            by_run.setdefault((domain, _seeds([curve]), _run([curve])), []).append(name)
    for (domain, seeds, run), names in sorted(by_run.items()):
        rows.append([domain, ", ".join(f"`{name}`" for name in names), seeds, run])
    return table(("domain", "variants", "seeds", "episodes"), rows)


def summary() -> list[str]:
    """Return the three sentences that the page begins with, wrapped for the docs."""
    return textwrap.wrap(short(claims.summary(claims.verdicts(found()))), 120)


def swimmer6() -> list[str]:
    """Return the range of seeds on swimmer6, in the course of learning."""
    rows: list[Sequence[object]] = []
    for name, text in (("naf", "NAF"), ("ddpg", "DDPG")):
        curve = found()["swimmer6", name]
        columns = [curve.scores[:, curve.episodes == n] for n in SWIMMER6_AFTER]
        rows.append([text, *(f"{number(float(own.max()))} … {number(float(own.min()))}" for own in columns)])
    return table(("after episode", *map(str, SWIMMER6_AFTER)), rows)


def configurations() -> list[str]:
    """Return the settings of table 1 that the paper searched for, and the discount."""
    heads = "batch normalisation", "learning rate", "noise", "discount"
    return _settings(("normalisation", "learning_rate", "noise_scale", "discount"), heads)


def unprinted() -> list[str]:
    """Return other settings of table 1 that the paper does not print."""
    heads = "target rate", "minibatch", "reward scale", "observations normalised"
    return _settings(("target_rate", "batch_size", "reward_scale", "observation_normalisation"), heads)


def _settings(names: Sequence[str], heads: Sequence[str]) -> list[str]:
    rows: list[Sequence[object]] = []
    for domain in TABLE1:
        agents = [ALGORITHMS[name].paper(domain) for name in AGENTS]
        naf, ddpg = ([_shown(getattr(agent, name)) for name in names] for agent in agents)
        rows += [[domain, *naf]] if naf == ddpg else [[f"{domain}: NAF", *naf], [f"{domain}: DDPG", *ddpg]]
    return table(("", *heads), rows)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


TABLES = {
    "configurations": configurations,
    "unprinted": unprinted,
    "cells": cells,
    "summary": summary,
    "verdicts": verdicts,
    "standing": standing,
    "scores": scores,
    "episodes": episodes,
    "rest": rest,
    "figure2": figure2,
    "figure2-seeds": figure2_seeds,
    "figure3": figure3,
    "table2": table2,
    "swimmer6": swimmer6,
}
