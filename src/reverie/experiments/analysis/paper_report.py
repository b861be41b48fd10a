"""A report of results folders: claims, tables next to the paper's, curves, films, and how the results were made."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reverie.core.errors import ConfigError
from reverie.core.words import count, joined, listed, size
from reverie.experiments.analysis.claims import verdicts
from reverie.experiments.analysis.comparability import require_together
from reverie.experiments.analysis.imagination_claims import plain_of
from reverie.experiments.analysis.run_films import LARGEST
from reverie.experiments.analysis.statistics import (
    Curve,
    banded,
    curves,
    difference,
    improvement,
    mean_improvement,
    mean_score,
    number,
    pooled,
    times_sooner,
)
from reverie.experiments.execution.results_store import DONE, FAILED, Key, ResultsStore
from reverie.experiments.spec.hyperparameter_search import AGENTS, choose, configurations
from reverie.experiments.spec.paper import EXPERIMENTS, TRUE
from reverie.experiments.spec.paper_numbers import TABLE1, TABLE1_LONGEST, TABLE2
from reverie.maths.bootstrap import median
from reverie.report.document import (
    Commands,
    Curves,
    Film,
    Films,
    Level,
    Part,
    Section,
    Table,
    Text,
    Verdicts,
)
from reverie.report.multi_progress import duration
from reverie.storage.reading import exists, read_whole

Found = Mapping[tuple[str, str], Curve]
NAMES = {variant.name: variant.text for e in EXPERIMENTS.values() for panel in e.panels for variant in panel.variants}
PAPER = "Gu, Lillicrap, Sutskever and Levine, Continuous Deep Q-Learning with Model-based Acceleration (ICML 2016)"
STATISTICS = (
    "Scores are returns of an episode, averaged over 10 greedy test episodes whose starts are the same for all. Across seeds "
    "they are interquartile means, with 95 % bootstrap intervals in brackets (seeds resampled, 2,000 times)."
)
MEDIANS = (
    "Episodes until a run first came within 5 % of its best score, the paper's measure. The median is the middle seed, or the "
    "mean of the two in the middle; a seed that never came counts as infinite."
)


def sections_of(folders: Sequence[ResultsStore]) -> list[Section]:
    """Return the sections of a report of some folders.  Raises ConfigError as `together` does."""
    found = together(folders)
    sections = [
        Section("The paper's claims", [Verdicts("Claim by claim", verdicts(found))]),
        Section("Table 1: NAF and DDPG", _table1(found)),
        Section("Table 2: imagination with true dynamics", _table2(found)),
        Section("Figure 2: imagination with fitted models", _figure2(found)),
        Section("Figure 3: noise shaped by P", _figure3(found)),
        Section("The search for settings", _search(found)),
        Section("Films", _films(folders)),
        Section("How this was made", _made(folders)),
    ]
    return [section for section in sections if section.parts]


def together(folders: Sequence[ResultsStore]) -> Found:
    """Return the curves of some folders by (domain, variant).

    Raises ConfigError where their results cannot be compared, or where two folders hold the same variant of a domain.
    """
    require_together(folders)
    found: dict[tuple[str, str], Curve] = {}
    for folder in folders:
        own = curves(folder)
        for domain, name in own.keys() & found.keys():
            raise ConfigError(f"{folder.path} holds {domain}/{name}, as another of these folders does; leave one out")
        found |= own
    return found


def _table1(found: Found) -> list[Part]:
    domains = [domain for domain in TABLE1 if (domain, "naf") in found or (domain, "ddpg") in found]
    if not domains:
        return []
    parts = [*_tables_of_table1(found, domains), *_all_joined(found, domains)]
    return [*parts, *(_curves_of(found, domain, ("naf", "ddpg")) for domain in domains)]


def _tables_of_table1(found: Found, domains: Sequence[str]) -> list[Table]:
    """Return the tables of scores, of episodes, and of both agents' difference."""
    scores = ("domain", "random", "the paper", "DDPG", "the paper", "NAF", "the paper")
    episodes = (
        "domain",
        "DDPG, median",
        "the paper",
        "NAF, median",
        "the paper",
        "NAF to the paper's NAF score, median",
    )
    gaps = ("domain", "NAF - DDPG", "P(NAF > DDPG)", "seeds", "episodes run", "in the paper")
    chance = (
        "The difference of best scores, how often a seed of NAF beats one of DDPG, and how long both learned. In the paper: "
        "the larger of the numbers of episodes that it prints for a domain."
    )
    return [
        Table("Best test scores", scores, [_scores_row(domain, found) for domain in domains], STATISTICS),
        Table("Episodes to the best", episodes, [_episodes_row(domain, found) for domain in domains], MEDIANS),
        Table("NAF against DDPG", gaps, [_gap_row(domain, found) for domain in domains], chance),
    ]


def _all_joined(found: Found, domains: Sequence[str]) -> list[Part]:
    """Return a table of both agents' scores over all domains that both have, on one scale."""
    both = [domain for domain in domains if (domain, "naf") in found and (domain, "ddpg") in found]
    if not both:
        return []

    def scaled(domain: str, name: str) -> np.ndarray:
        paper = TABLE1[domain]
        return (found[domain, name].best - paper.random) / (paper.naf - paper.random)

    groups = {name: [scaled(domain, name) for domain in both] for name in AGENTS}
    rows = [[NAMES[name], str(pooled(own)), str(sum(map(len, own)))] for name, own in groups.items()]
    chance = mean_improvement([(scaled(domain, "naf"), scaled(domain, "ddpg")) for domain in both])
    note = (
        f"Best scores on {', '.join(both)}, where 0 is the paper's random agent and 1 its NAF; interquartile means of all "
        f"seeds, resampled within each domain. A seed of NAF beats one of DDPG with probability {chance}, on the mean "
        "over domains."
    )
    return [Table("All together", ("who", "score", "cells"), rows, note)]


def _scores_row(domain: str, found: Found) -> list[str | None]:
    paper = TABLE1[domain]
    naf, ddpg, random = (found.get((domain, name)) for name in ("naf", "ddpg", "random"))
    own = None if random is None else number(float(random.scores.mean()))
    return [domain, own, number(paper.random), _best(ddpg), number(paper.ddpg), _best(naf), number(paper.naf)]


def _episodes_row(domain: str, found: Found) -> list[str | None]:
    paper = TABLE1[domain]
    naf, ddpg = (found.get((domain, name)) for name in AGENTS)
    there = None if naf is None else number(float(median(naf.to(paper.naf))))
    return [domain, _to_best(ddpg), str(paper.ddpg_episodes), _to_best(naf), str(paper.naf_episodes), there]


def _gap_row(domain: str, found: Found) -> list[str | None]:
    curves = [found[domain, name] for name in AGENTS if (domain, name) in found]
    gap = chance = None
    if len(curves) == len(AGENTS):
        naf, ddpg = (curve.best for curve in curves)
        gap, chance = str(difference(naf, ddpg)), str(improvement(naf, ddpg))
    return [domain, gap, chance, _seeds(curves), _episodes(curves), str(TABLE1_LONGEST[domain])]


def _best(curve: Curve | None) -> str | None:
    return None if curve is None else str(mean_score(curve.best))


def _to_best(curve: Curve | None) -> str | None:
    return None if curve is None else number(float(median(curve.to_best)))


def _seeds(curves: Sequence[Curve]) -> str:
    return joined(dict.fromkeys(len(curve.seeds) for curve in curves))


def _episodes(curves: Sequence[Curve]) -> str:
    return joined(dict.fromkeys(int(curve.episodes[-1]) for curve in curves))


def _curves_of(found: Found, domain: str, names: Sequence[str]) -> Curves:
    """Return a domain's learning curves, with levels for the paper's scores if it prints them."""
    shown = {NAMES.get(name, name): found[domain, name] for name in names if (domain, name) in found}
    lines = [banded(text, curve.episodes.tolist(), curve.scores) for text, curve in shown.items()]
    levels = []
    if domain in TABLE1 and "naf" in names:
        levels = [Level("the paper's NAF", TABLE1[domain].naf), Level("the paper's DDPG", TABLE1[domain].ddpg)]
    seeds = sorted({len(curve.seeds) for curve in shown.values()})
    most = [*map(str, seeds[:-1]), count(seeds[-1], "seed")]
    words = f"Interquartile means of {' to '.join(most)}; bands are 95 % bootstrap intervals."
    return Curves(domain, "real episodes", "return of a test episode", lines, levels, words)


def _table2(found: Found) -> list[Part]:
    names = [variant.name for variant in TRUE]
    domains = [panel.domain for panel in EXPERIMENTS["table2"].panels if any((panel.domain, n) in found for n in names)]
    if not domains:
        return []
    columns = (
        "who",
        "best score",
        "the paper",
        "episodes to it, median",
        "the paper",
        "above plain NAF",
        "seeds",
        "run",
    )
    note = f"{STATISTICS} {MEDIANS} Run: the episodes of a run."
    parts: list[Part] = []
    for domain in domains:
        rows = [_row_of_table2(domain, name, found) for name in names if (domain, name) in found]
        parts += [Table(f"{domain}, with the simulator's own physics", columns, rows, note)]
        parts += [_curves_of(found, domain, names)]
    return parts


def _row_of_table2(domain: str, name: str, found: Found) -> list[str | None]:
    curve, plain, (score, episodes) = found[domain, name], found.get((domain, "true-naf")), TABLE2[domain, name]
    gap = None if plain is None or plain is curve else str(difference(curve.best, plain.best))
    ours = [NAMES[name], _best(curve), number(score), _to_best(curve), str(episodes), gap]
    return [*ours, _seeds([curve]), _episodes([curve])]


def _figure2(found: Found) -> list[Part]:
    parts: list[Part] = []
    for panel in EXPERIMENTS["fig2"].panels[1:]:
        names = [variant.name for variant in panel.variants if (panel.domain, variant.name) in found]
        if not names:
            continue
        columns = (
            "who",
            "last score",
            "best score",
            "times fewer episodes to plain NAF's last score (1)",
            "seeds",
            "run",
        )
        note = (
            "(1) The median of plain NAF's episodes, divided by that of this row; below 1, it takes more. 0: half of its seeds "
            "or more never come there. ∞: as many of plain NAF's do not. –: both. Run: the episodes of a run."
        )
        rows = [_row_of_figure2(panel.domain, name, found) for name in names]
        parts += [Table(panel.domain, columns, rows, note), _curves_of(found, panel.domain, names)]
    return parts


def _row_of_figure2(domain: str, name: str, found: Found) -> list[str | None]:
    curve, plain = found[domain, name], plain_of(found, domain)
    sooner = None if plain is None else str(times_sooner(found[domain, plain], curve))
    return [
        NAMES[name],
        str(mean_score(curve.last)),
        str(mean_score(curve.best)),
        sooner,
        _seeds([curve]),
        _episodes([curve]),
    ]


def _figure3(found: Found) -> list[Part]:
    domains = [domain for domain in TABLE1 if (domain, "naf-p") in found]
    return [_curves_of(found, domain, ("naf", "naf-p", "ddpg")) for domain in domains]


def _search(found: Found) -> list[Part]:
    rows: list[list[str | None]] = []
    for domain in TABLE1:
        for agent in AGENTS:
            curves_of = {v.text: found[domain, v.name] for v in configurations(agent) if (domain, v.name) in found}
            if len(curves_of) < 2:
                continue
            seeds = set.intersection(*(set(curve.seeds) for curve in curves_of.values()))
            if not seeds:
                continue
            at = {text: [curve.seeds.index(seed) for seed in sorted(seeds)] for text, curve in curves_of.items()}
            choice = choose({text: curve.best[at[text]] for text, curve in curves_of.items()})
            figures = number(choice.as_paper), number(choice.honest), str(choice.seeds), str(len(curves_of))
            rows.append([domain, choice.best, *figures])
    columns = ("domain", "best configuration", "its score", "honest score", "seeds", "configurations")
    note = (
        "Its score: the mean of best test scores over the seeds that it was picked on, as the paper does. Honest: each seed "
        "scored with the configuration that is best on the other seeds."
    )
    return [Table("The best of the paper's configurations", columns, rows, note)] if rows else []


def _films(folders: Sequence[ResultsStore]) -> list[Part]:
    """Return the films of final policies. If a page would become too large, the largest films are named instead."""
    kept = {
        (results, key): read_whole(results.film_file(key))
        for results in folders
        for key in sorted(results.cells)
        if results.is_done(key) and exists(results.film_file(key))
    }
    films: list[Film] = []
    left_out: list[str] = []
    fitting: set[tuple[ResultsStore, Key]] = set()
    room = LARGEST
    for place in sorted(kept, key=lambda place: len(kept[place])):
        room -= len(kept[place])
        if room >= 0:
            fitting.add(place)
    for (results, key), content in kept.items():
        domain, name, seed = key
        if (results, key) not in fitting:
            left_out.append(f"{results.film_file(key)} ({size(len(content))})")
            continue
        last = number(results.scores[key][-1]["return_mean"])
        words = f"The final policy of {NAMES.get(name, name)} on {domain}, seed {seed}; its last score was {last}."
        films.append(Film(f"{domain}, {name}", words, content))
    parts: list[Part] = [Films("Final policies", films)] if films else []
    if left_out:
        parts.append(Text([f"Left out, because the page would become too large: {listed(left_out)}."]))
    return parts


def _made(folders: Sequence[ResultsStore]) -> list[Part]:
    cells = [row for results in folders for row in results.cells.values()]
    done = [row for row in cells if row["status"] == DONE]
    failed = [row for row in cells if row["status"] == FAILED]
    seconds = sum(row["seconds"] for row in done)
    words = [f"{count(len(done), 'cell')} took {duration(seconds)} of one core's time in all."]
    words += [f"On {machine}." for machine in sorted({row["machine"] for row in done})]
    words += [f"With {software}." for software in sorted({row["software"] for row in done})]
    report = shlex.join(["reverie", "report", *(str(results.path) for results in folders), "-o", "report.html"])
    commands = [command for results in folders for command in results.commands]
    parts: list[Part] = [Text(words), Commands([*commands, report])]
    if failed:
        rows = [[row["domain"], row["variant"], str(row["seed"]), row["error"]] for row in failed]
        parts.append(Table("Cells that failed", ("domain", "who", "seed", "error"), rows))
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in done:
        pairs.setdefault((row["domain"], row["variant"]), []).append(row)
    rows = [
        [
            domain,
            name,
            str(len(own)),
            str(own[0]["episodes"]),
            duration(sum(r["seconds"] for r in own) / len(own)),
        ]
        for (domain, name), own in sorted(pairs.items())
    ]
    return [*parts, Table("Cells", ("domain", "who", "seeds", "episodes", "time of one"), rows)]
