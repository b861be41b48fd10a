"""Answers to the talk's critique: `python results/critique.py` fills `critique.csv`, `--verdict` prints what it says.

Asked on reacher_single, NAF with I = 5, networks of 2x100 units and the other settings of `imagine.py`, 60 episodes each:

trunk      are three networks needed, or do V, μ and L as heads of one do as well?  Of the same width, so with a third of the
           weights ("shared"), and of a width that has as many ("shared 176")
batch      what do minibatches of 32 or 256 do, instead of 100, at the same learning rate and as many updates?
planner    what does iLQG exploration do by itself: half of the episodes driven by iLQG on fitted linear models, none imagined?

Scores are `imagine.py`'s: the greedy policy over 10 episodes with fixed starts, every 5 episodes.  Differences are paired by
seed, over the mean of a run's scores from episode 10 on and over its last score, with 95 % bootstrap intervals over
seeds.  A cell (variant, seed) that the CSV holds is not run again.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cells
import numpy as np
from imagine import EVERY, SETTINGS, STARTS, TEST, curves, finite, interval

from reverie.experiments.spec.declaration import PINNED

HERE = Path(__file__).parent
FILE = HERE / "critique.csv"
COLUMNS = ("domain", "variant", "seed", "episode", "return_mean", "seconds")
DOMAIN, EPISODES, FIRST = "reacher_single", 60, 10
SEEDS = {"plain": 5, "shared": 5, "shared 176": 5, "planner": 5, "batch 32": 3, "batch 256": 3}


def variants() -> dict[str, Any]:
    """Return what is compared, by name."""
    import reverie as rv

    plain = rv.NAF(**SETTINGS[DOMAIN].agent)
    return {
        "plain": plain,
        "shared": dataclasses.replace(plain, trunk="shared"),
        "shared 176": dataclasses.replace(plain, trunk="shared", hidden=(176, 176)),
        "planner": rv.Imagination(plain, rv.LinearGaussian(), plan="ilqg", rollout_length=0, mixture=0.5),
        "batch 32": dataclasses.replace(plain, batch_size=32),
        "batch 256": dataclasses.replace(plain, batch_size=256),
    }


def run(variant: str, seed: int) -> list[dict[str, Any]]:
    """Train one cell; return its rows."""
    import reverie as rv
    from reverie.environments.env_adapter import make_env
    from reverie.training.evaluation import evaluate

    rows, began, world = [], time.perf_counter(), make_env(DOMAIN)
    with rv.Learner(variants()[variant], env=DOMAIN, seed=seed) as learner:
        greedy = lambda o: learner.spec.from_world(learner.predict(o))  # noqa: E731
        for episode in range(EVERY, EPISODES + 1, EVERY):
            learner.learn(episodes=EVERY)
            score = round(float(np.mean(evaluate(greedy, world, TEST, STARTS).returns)), 4)
            row = (DOMAIN, variant, seed, episode, score, round(time.perf_counter() - began, 1))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    return rows


def fill(seeds: int) -> None:
    """Run the missing cells one after the other, each in a process pinned to one thread."""
    done = {(row["variant"], row["seed"]) for row in cells.read(FILE)}
    most = max(SEEDS.values())
    missing = [(v, s) for s in range(most) for v in variants() if s < min(seeds, SEEDS[v]) and (v, s) not in done]
    for variant, seed in missing:
        words = [sys.executable, __file__, "--cell", variant, str(seed)]
        found = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | PINNED)
        new = json.loads(found.stdout)
        print(variant, seed, [row["return_mean"] for row in new], f"{new[-1]['seconds']} s", flush=True)
        cells.add(FILE, new)


def numbers_of(agent: Any) -> int:
    """Return how many weights an agent learns."""
    import jax

    from reverie.environments.env_adapter import make_env

    state = agent.build(make_env(DOMAIN).spec).init(jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def verdict() -> dict[str, Any]:
    """Return, per variant, its scores and their paired differences from plain NAF's."""
    rows = cells.read(FILE)
    plain = curves(rows, DOMAIN, "plain")
    facts: dict[str, Any] = {}
    for variant, agent in variants().items():
        mine = curves(rows, DOMAIN, variant)
        if not mine:
            continue
        last = {seed: curve[EPISODES] for seed, curve in mine.items()}
        over = {seed: float(np.mean([v for e, v in curve.items() if e >= FIRST])) for seed, curve in mine.items()}
        found = facts[variant] = {
            "seeds": len(mine),
            "weights": numbers_of(agent),
            "last": last,
            "last_mean": round(float(np.mean(list(last.values()))), 4),
            "mean_over_run": round(float(np.mean(list(over.values()))), 4),
            "seconds_median": float(
                np.median([r["seconds"] for r in rows if (r["variant"], r["episode"]) == (variant, EPISODES)])
            ),
            "curve": {
                e: round(float(np.mean([c[e] for c in mine.values()])), 3) for e in range(EVERY, EPISODES + 1, EVERY)
            },
        }
        if variant != "plain":
            both = sorted(set(mine) & set(plain))
            early = [over[s] - float(np.mean([v for e, v in plain[s].items() if e >= FIRST])) for s in both]
            late = [last[s] - plain[s][EPISODES] for s in both]
            found["over_run_minus_plain"] = [round(float(np.mean(early)), 3), interval(early)]
            found["last_minus_plain"] = [round(float(np.mean(late)), 3), interval(late)]
    return facts


def main() -> None:
    """Fill the table, or print what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="the first so many")
    parser.add_argument("--verdict", action="store_true")
    parser.add_argument("--cell", nargs=2)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(run(options.cell[0], int(options.cell[1]))))
        return
    if not options.verdict:
        fill(options.seeds)
    from reverie.training.provenance import versions

    settings = {name: repr(agent) for name, agent in variants().items()}
    facts = {"command": "python results/critique.py", "versions": versions(), "domain": DOMAIN, "episodes": EPISODES}
    facts |= {"settings": settings, "verdict": verdict()}
    (HERE / "critique.json").write_text(json.dumps(finite(facts), indent=1) + "\n")
    for name, found in facts["verdict"].items():
        changes = {key: found[key] for key in found if key.endswith("minus_plain")}
        print(
            f"{name:10} {found['seeds']} seeds, last {found['last_mean']}, over the run {found['mean_over_run']} {changes}"
        )


if __name__ == "__main__":
    main()
