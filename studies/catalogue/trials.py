"""Settings tried on a domain, one seed each; and a small grid of them, the same for both agents.

A trial is a cell of `reverie reproduce` with other settings: those of the paper's table 2, and these changes.  The agent is
NAF unless the trial says otherwise.  Few episodes and one seed show what is hopeless, not what is best.
"""

import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reverie.experiments.analysis.statistics import number
from reverie.experiments.execution.worker import learn
from reverie.experiments.spec.declaration import RunSpec, Variant
from studies.doc_tables import table
from studies.store import DATA, Store
from studies.study import Row, Study
from studies.summaries import where

COLUMNS = ("domain", "name", "seed", "episode", "return_mean", "seconds")
EVERY = 10  # episodes between scores
LENGTH = 0  # of imagined rollouts: there are none
GRID = (("batch_inputs", 0.95), ("batch_inputs", 0.97), ("batch_inputs", 0.99), ("none", 0.95), ("none", 0.99))
GRID_EPISODES = 120
OF_GRID = re.compile(r"\w+-(naf|ddpg)-(batch_inputs|none)-10(-discount-\.\d+)?(-300)?")  # some went on for 300 episodes
TABLE2 = {"normalisation": "batch", "target_rate": 0.001, "batch_size": 64, "discount": 0.99}
TABLE2 |= {"observation_normalisation": False, "reward_scale": 1.0}  # said, for a domain may have others by now


class Trial(NamedTuple):
    """What is tried, where, and for how long."""

    domain: str
    episodes: int
    changes: dict[str, Any]
    seed: int = 0
    agent: str = "naf"


def _declared() -> dict[str, Trial]:
    """Return the trials of the settings file."""
    found = tomllib.loads((DATA / "trials" / "trials.toml").read_text())
    return {name: Trial(**facts) for name, facts in found.items()}


TRIALS = _declared()


def _run(name: str) -> Iterator[Row]:
    domain, episodes, changes, seed, agent = TRIALS[name]
    variant, rows = Variant(name, name, agent, TABLE2 | changes), []
    with tempfile.TemporaryDirectory() as folder:
        learn(RunSpec(domain, variant, seed, episodes, EVERY, LENGTH), Path(folder), rows.append)
    for row in rows:
        yield {"domain": domain, "seed": seed} | {c: row[c] for c in ("episode", "return_mean", "seconds")}


def _verdict(rows: list[Row]) -> Iterator[str]:
    for domain in dict.fromkeys(trial.domain for trial in TRIALS.values()):
        yield f"{domain}:"
        last = {name: mine[-1] for name in TRIALS if (mine := where(rows, domain=domain, name=name))}
        for name, row in sorted(last.items(), key=lambda item: -item[1]["return_mean"]):
            yield f"  {row['return_mean']:8.5g} after {row['episode']} episodes, seed {row['seed']}: {name}"


def _grid() -> list[str]:
    """Return the best score of each combination of the grid, by domain and agent."""
    rows, lines = Store(STUDY).rows(), []
    tried = {name: trial for name, trial in TRIALS.items() if OF_GRID.fullmatch(name)}
    for domain, agent in dict.fromkeys((trial.domain, trial.agent) for trial in tried.values()):
        best = dict.fromkeys(GRID, "–")
        for name, trial in tried.items():
            if (trial.domain, trial.agent) == (domain, agent) and (mine := where(rows, name=name)):
                place = trial.changes["normalisation"], trial.changes.get("discount", TABLE2["discount"])
                scores = [row["return_mean"] for row in mine if row["episode"] <= GRID_EPISODES]
                best[place] = number(max(scores))
        lines.append([f"{domain}: {agent.upper()}", *best.values()])
    heads = [f"{'with' if kind != 'none' else 'without'}, {discount:g}" for kind, discount in GRID]
    return table(("", *heads), lines)


STUDY = Study(
    name="trials",
    question="Which settings are hopeless, by domain?",
    variants=tuple(TRIALS),
    tasks=tuple(dict.fromkeys(trial.domain for trial in TRIALS.values())),
    seeds=1,
    scored=f"the greedy return over 10 episodes, every {EVERY} episodes",
    minutes=380,
    quoted=("docs/naf.md", "docs/reproduce.md", "CHANGELOG.md"),
    columns=COLUMNS,
    key=("name",),
    cells=tuple((name,) for name in TRIALS),
    sort_by=COLUMNS[:4],
    run=_run,
    settings=lambda stem: {"table2": TABLE2},
    verdict=_verdict,
    tables={"grid": _grid},
)
