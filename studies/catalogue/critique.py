"""Answers to the talk's critique, on reacher_single with the settings of the study `imagine`.

trunk      are three networks needed, or do V, μ and L as heads of one network do as well?  "shared" has the same width, so a
           third of the weights; "shared 176" has as many weights
batch      what do minibatches of 32 or 256 do, instead of 100, at the same learning rate and with as many updates?
planner    what does iLQG exploration do by itself?  iLQG on fitted linear models drives half of the episodes, none is imagined
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import reverie as rv
from reverie.environments.env_factory import make_env
from studies import plots
from studies.catalogue.imagine import COLUMNS, FIRST, SCORED, SETTINGS, SORT_BY
from studies.learning import EVERY, tested_by_episodes
from studies.study import Row, Study, product
from studies.summaries import curves, difference, finite, in_words, where

DOMAIN, EPISODES = "reacher_single", 60
SEEDS = {"plain": 5, "shared": 5, "shared 176": 5, "planner": 5, "batch 32": 3, "batch 256": 3}


def variants() -> dict[str, Any]:
    """Return what is compared, by name."""
    plain = rv.NAF(**SETTINGS[DOMAIN].agent)
    return {
        "plain": plain,
        "shared": dataclasses.replace(plain, trunk="shared"),
        "shared 176": dataclasses.replace(plain, trunk="shared", hidden=(176, 176)),
        "planner": rv.Imagination(plain, rv.LinearGaussian(), plan="ilqg", rollout_length=0, mixture=0.5),
        "batch 32": dataclasses.replace(plain, batch_size=32),
        "batch 256": dataclasses.replace(plain, batch_size=256),
    }


def _run(domain: str, variant: str, seed: int) -> Iterator[Row]:
    yield from tested_by_episodes(variants()[variant], domain, seed, EPISODES)


def _settings(stem: str) -> dict[str, Any]:
    del stem
    return {
        "domain": DOMAIN,
        "episodes": EPISODES,
        "settings": {name: repr(agent) for name, agent in variants().items()},
    }


def weights_of(agent: Any) -> int:
    """Return how many weights an agent learns."""
    state = jax.eval_shape(agent.build(make_env(DOMAIN).spec).init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def _facts(rows: list[Row]) -> dict[str, Any]:
    """Return, per variant, its scores, and how far it is ahead of plain NAF seed by seed."""
    plain = curves(rows, variant="plain")
    facts: dict[str, dict[str, Any]] = {}
    for variant, agent in variants().items():
        mine = curves(rows, variant=variant)
        if not mine:
            continue
        last = {seed: curve[EPISODES] for seed, curve in mine.items()}
        over = {seed: _over_run(curve) for seed, curve in mine.items()}
        ends = where(rows, variant=variant, episode=EPISODES)
        found = facts[variant] = {
            "seeds": len(mine),
            "weights": weights_of(agent),
            "last": last,
            "last_mean": round(float(np.mean(list(last.values()))), 4),
            "mean_over_run": round(float(np.mean(list(over.values()))), 4),
            "seconds_median": float(np.median([row["seconds"] for row in ends])),
            "curve": {
                e: round(float(np.mean([c[e] for c in mine.values()])), 3) for e in range(EVERY, EPISODES + 1, EVERY)
            },
        }
        if variant != "plain":
            both = sorted(set(mine) & set(plain))
            found["over_run_minus_plain"] = difference([over[s] - _over_run(plain[s]) for s in both])
            found["last_minus_plain"] = difference([last[s] - plain[s][EPISODES] for s in both])
    return finite(facts)


def _over_run(curve: dict[int, float]) -> float:
    """Return the mean score of a run from episode 10 on."""
    return float(np.mean([value for episode, value in curve.items() if episode >= FIRST]))


def _verdict(rows: list[Row]) -> Iterator[str]:
    for name, of in _facts(rows).items():
        line = f"{name:10} {of['seeds']} seeds, {of['weights']:,} weights, {of['seconds_median']:g} s; "
        line += f"score {of['last_mean']} after {EPISODES} episodes, {of['mean_over_run']} over the run"
        if name != "plain":
            over, last = (in_words(of[f"{part}_minus_plain"]) for part in ("over_run", "last"))
            line += f"; ahead of plain by {over} over the run, by {last} at the end"
        yield line


def _draw(rows: list[Row], path: Path) -> None:
    """Draw the answers to the three questions."""
    grey, gold, panels = plots.GREY, plots.GOLD, plots.panels(3, 10.0)
    asked = {
        "one network or three": {
            "plain": (grey, "three"),
            "shared": (plots.RED, "one trunk"),
            "shared 176": (plots.GREEN, "one of as many weights"),
        },
        "who drives half of the episodes": {"plain": (grey, "NAF drives all"), "planner": (plots.BLUE, "iLQG half")},
        "minibatch": {"batch 32": (gold, "32"), "plain": (grey, "100"), "batch 256": (plots.RED, "256")},
    }
    for axes, (title, shown) in zip(panels, asked.items(), strict=True):
        for variant, (colour, text) in shown.items():
            plots.band(axes, curves(rows, variant=variant), colour, text)
        axes.set(ylim=(-1.2, -0.3))
        axes.legend(frameon=False, fontsize=8)
        plots.label(axes, "real episodes", "greedy return", title)
    plots.save(panels[0], path)


STUDY = Study(
    name="critique",
    question="Are three networks needed, what does the minibatch do, and what does iLQG exploration do alone?",
    variants=tuple(SEEDS),
    tasks=(DOMAIN,),
    seeds=SEEDS,
    scored=SCORED,
    minutes=60,
    quoted=("docs/tour.md",),
    columns=COLUMNS,
    key=("domain", "variant", "seed"),
    cells=product([DOMAIN], SEEDS, SEEDS),
    sort_by=SORT_BY,
    run=_run,
    settings=_settings,
    facts=_facts,
    verdict=_verdict,
    pictures={"tour/critique.png": _draw},
)
