"""Imagination beside plain NAF and beside two controls that the paper lacks.

The controls get as many updates as imagination does: on uniform replay, or on the last few real episodes.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import reverie as rv
from studies import plots
from studies.learning import tested_by_episodes
from studies.store import Store
from studies.study import Row, Study, product
from studies.summaries import curves, difference, finite, in_words, interval, reached, shown, where

OTHERS = ("plain", "uniform", "recent")  # with which every variant is compared
FIRST = 10  # episode from which scores count in a difference
OTHER_MACHINE = "imagine-gripper"
COLUMNS = ("domain", "variant", "seed", "episode", "return_mean", "seconds")
SORT_BY = COLUMNS[:4]
SCORED = "the greedy return over 10 episodes with fixed starts, every 5 episodes"


class Setting(NamedTuple):
    """A domain's NAF (I = 5), l, its seeds, and how long the plain agent and the others learn."""

    agent: dict[str, Any]
    bare: dict[str, Any]  # changes for many updates, I (1 + l) to a step, on networks without layer normalisation
    length: int
    seeds: int
    plain_episodes: int
    episodes: int
    table2: bool = False  # the paper's variants with exact dynamics instead of ours


# As in NAF.paper("peg"), but networks of 2x100 units in place of 2x200: a quarter of the time, for as many seeds as this.
ARM = {"normalisation": "none", "discount": 0.95, "observation_normalisation": True, "hidden": (100, 100)}
SETTINGS = {
    "reacher_single": Setting({**ARM, "reward_scale": 20.0}, {"learning_rate": 3e-4}, 10, 10, 100, 40),
    "gripper_single": Setting({**ARM, "reward_scale": 5.0}, {}, 5, 10, 100, 50),
    "reacher": Setting({**ARM, "normalisation": "layer", "reward_scale": 20.0}, {}, 5, 2, 100, 100, table2=True),
}
ALONE = {"error_low": 0.5, "error_high": 1.0, "instead": "nothing"}  # imagined data, or none


def variants(setting: Setting) -> dict[str, Any]:
    """Return what is compared, by name."""
    plain, length = rv.NAF(**setting.agent), setting.length
    many, bare = dataclasses.replace(plain, normalisation="layer"), dataclasses.replace(plain, **setting.bare)
    linear = rv.LinearGaussian(episodes=5)

    def imagining(model: Any, agent: Any = many, **settings: Any) -> Any:
        settings = {"rollout_length": length, **settings}
        return rv.Imagination(agent, model, **settings)

    def uniform(agent: Any) -> Any:
        return dataclasses.replace(agent, updates_per_step=agent.updates_per_step * (1 + length))

    if setting.table2:
        driven = {"model": rv.Exact(), "plan": "mpc"}
        return {
            "plain": plain,
            "mpc .5": imagining(**driven, mixture=0.5, rollout_length=0),
            "imagined": imagining(rv.Exact()),
            "imagined + mpc .5": imagining(**driven, mixture=0.5),
            "imagined + mpc 1": imagining(**driven, mixture=0.0),
        }
    return {
        "plain": plain,
        "plain-layer": many,
        "uniform": uniform(many),
        "recent": imagining(rv.Recent(episodes=5)),
        "linear": imagining(linear),
        "linear-alone": imagining(linear, **ALONE),
        "exact": imagining(rv.Exact()),
        "neural": imagining(rv.Neural(episodes=5)),
        "uniform-bare": uniform(bare),
        "recent-bare": imagining(rv.Recent(episodes=5), bare),
        "linear-bare": imagining(linear, bare, **ALONE),
        "linear-n5-bare": imagining(linear, bare, **ALONE, refit_every=5, adaptive=False),
        "global-bare": imagining(linear.replace(time_varying=False), bare, **ALONE),
        "neural-bare": imagining(rv.Neural(episodes=5), bare, **ALONE),
        "exact-bare": imagining(rv.Exact(), bare, **ALONE),
        "mixture-bare": imagining(linear.replace(prior="mixture"), bare, **ALONE, fictional_capacity=100_000),
    }


def _run(domain: str, variant: str, seed: int) -> Iterator[Row]:
    setting = SETTINGS[domain]
    last = setting.plain_episodes if variant.startswith("plain") else setting.episodes
    yield from tested_by_episodes(variants(setting)[variant], domain, seed, last)


def _settings(stem: str) -> dict[str, Any]:
    del stem
    of = {d: s._asdict() | {"variants": {k: repr(v) for k, v in variants(s).items()}} for d, s in SETTINGS.items()}
    return {"settings": of}


def _facts(rows: list[Row]) -> dict[str, Any]:
    return finite({domain: judged(rows, domain) for domain in SETTINGS if where(rows, domain=domain, variant="plain")})


def judged(rows: list[Row], domain: str) -> dict[str, Any]:
    """Return, per variant, episodes to plain NAF's last mean score, and differences to plain, uniform and recent."""
    setting, plain = SETTINGS[domain], curves(rows, domain=domain, variant="plain")
    last = setting.plain_episodes
    goal = float(np.mean([curve[last] for curve in plain.values()]))
    first = {seed: reached(curve, goal) for seed, curve in plain.items()}
    facts: dict[str, Any] = {"plain_score": round(goal, 4), "plain_episodes": last, "variants": {}}
    for variant in variants(setting):
        mine = curves(rows, domain=domain, variant=variant)
        shared = sorted(set(mine) & set(plain))
        if not shared:
            continue
        when = [reached(mine[seed], goal) for seed in shared]
        median, median_of_plain = float(np.median(when)), float(np.median([first[seed] for seed in shared]))
        mean_curve = {e: float(np.mean([mine[s][e] for s in shared])) for e in sorted(mine[shared[0]])}
        facts["variants"][variant] = {
            "seeds": len(shared),
            "episodes_to_it": when,
            "median": median,
            "mean_curve_reaches_it_at": reached(mean_curve, goal),
            "ratio_of_medians": round(last / median, 2),
            "ratio_to_plain_reaching_it": _over(median_of_plain, median),
            "ratio_interval": interval([1 / w for w in when], lambda x, axis: last * np.median(x, axis)),
            "curve": {e: round(v, 3) for e, v in mean_curve.items()},
            **{f"minus_{other}": by for other in OTHERS if (by := _ahead(rows, domain, variant, other)) is not None},
        }
    return facts


def _ahead(rows: list[Row], domain: str, variant: str, other: str) -> list[Any] | None:
    """Return how far a variant is ahead of another over the run, seed by seed; None where they share no seed."""
    mine, theirs = (curves(rows, domain=domain, variant=name) for name in (variant, other))
    both = sorted(set(mine) & set(theirs))
    if other == variant or not both:
        return None
    shared = {seed: [e for e in mine[seed] if e in theirs[seed] and e >= FIRST] for seed in both}
    return difference([float(np.mean([mine[s][e] - theirs[s][e] for e in shared[s]])) for s in both])


def _over(one: float, other: float) -> float:
    """Return one over other to two digits; nan where neither was reached."""
    return round(one / other, 2) if math.isfinite(min(one, other)) else math.nan


def _verdict(rows: list[Row]) -> Iterator[str]:
    yield from _sentences(rows)
    yield f"\nEarlier, on another machine ({OTHER_MACHINE}.csv):"
    yield from _sentences(Store(STUDY).read(OTHER_MACHINE))


def _sentences(rows: list[Row]) -> Iterator[str]:
    for domain, found in _facts(rows).items():
        yield f"{domain}: plain NAF has a mean score of {found['plain_score']} after {found['plain_episodes']} episodes."
        for name, of in found["variants"].items():
            when = "not reached by most"
            if of["median"] is not None:
                when = f"{of['median']:g} episodes, {of['ratio_of_medians']} times fewer {of['ratio_interval']}"
            curve = ", ".join(f"{score:g} after {episode}" for episode, score in of["curve"].items())
            yield f"  {name}, {of['seeds']} seeds: to that score, median {when}; by seed {shown(of['episodes_to_it'])}"
            yield f"    mean: {curve}"
            others = (*OTHERS, "recent-bare") if name.endswith("-bare") else OTHERS
            ahead = {other: _ahead(rows, domain, name, other) for other in others}
            if said := [f"of {other} by {in_words(by)}" for other, by in ahead.items() if by is not None]:
                yield f"    over the run ahead {', '.join(said)}"


def _draw(rows: list[Row], path: Path) -> None:
    """Draw what imagination brings on reacher_single."""
    axes = plots.axes(6.5)
    shown = {"plain": (plots.GREY, "plain NAF"), "recent": (plots.GOLD, "last real episodes again")}
    shown |= {"linear": (plots.GREEN, "imagined, linear models")}
    shown |= {"linear-bare": (plots.BLUE, "the same without layer normalisation")}
    for variant, (colour, text) in shown.items():
        plots.band(axes, curves(rows, domain="reacher_single", variant=variant), colour, text)
    axes.set(xlim=(5, 60), ylim=(-1.2, -0.3))
    axes.legend(frameon=False, fontsize=8, title="mean of so many seeds, 95 % interval", title_fontsize=8)
    plots.label(axes, "real episodes", "greedy return", "reacher_single")
    plots.save(axes, path)


STUDY = Study(
    name="imagine",
    question="Does imagination pay, and why?",
    variants=tuple(variants(SETTINGS["reacher_single"])),
    tasks=tuple(SETTINGS),
    seeds={domain: setting.seeds for domain, setting in SETTINGS.items()},
    scored=SCORED,
    minutes=400,
    quoted=("docs/imagination.md", "docs/tour.md"),
    columns=COLUMNS,
    key=("domain", "variant", "seed"),
    cells=tuple(c for d, s in SETTINGS.items() for c in product([d], variants(s), s.seeds)),
    more=(OTHER_MACHINE,),
    sort_by=SORT_BY,
    run=_run,
    settings=_settings,
    facts=_facts,
    verdict=_verdict,
    pictures={"tour/imagination.png": _draw},
)
