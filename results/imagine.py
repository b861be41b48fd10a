"""Does imagination pay, and why?  `python results/imagine.py [DOMAIN …]` fills `imagine.csv` (`--help`: in part).

NAF plain and with Algorithm 2 round it, beside the controls that the paper lacks: as many updates on uniform replay, as many
on the last few real episodes.  Every 5 episodes the greedy policy is scored over 10 episodes, whose starts are the same for all
seeds and variants.  A cell (domain, variant, seed)
that the CSV holds is not run again.  `--verdict` prints what the CSV says: episodes to plain NAF's score of episode 100,
ratios and paired differences with bootstrap intervals (`imagine.json` holds the same, and all settings).
"""

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cells
import numpy as np

from reverie.experiments.spec.declaration import PINNED
from reverie.maths import bootstrap

HERE = Path(__file__).parent
FILE = HERE / "imagine.csv"
COLUMNS = ("domain", "variant", "seed", "episode", "return_mean", "seconds")
EVERY, TEST, STARTS = 5, 10, 12345  # episodes between scores, and to a score; the seed of their starts


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
    import reverie as rv

    plain, length = rv.NAF(**setting.agent), setting.length
    many, bare = dataclasses.replace(plain, normalisation="layer"), dataclasses.replace(plain, **setting.bare)
    linear = rv.LinearGaussian(episodes=5)

    def dreaming(model: Any, agent: Any = many, **settings: Any) -> Any:
        return rv.Imagination(agent, model, **{"rollout_length": length, **settings})

    def uniform(agent: Any) -> Any:
        return dataclasses.replace(agent, updates_per_step=agent.updates_per_step * (1 + length))

    if setting.table2:
        driven = {"model": rv.Exact(), "plan": "mpc"}
        return {
            "plain": plain,
            "mpc .5": dreaming(**driven, mixture=0.5, rollout_length=0),
            "imagined": dreaming(rv.Exact()),
            "imagined + mpc .5": dreaming(**driven, mixture=0.5),
            "imagined + mpc 1": dreaming(**driven, mixture=0.0),
        }
    return {
        "plain": plain,
        "plain-layer": many,
        "uniform": uniform(many),
        "recent": dreaming(rv.Recent(episodes=5)),
        "linear": dreaming(linear),
        "linear-alone": dreaming(linear, **ALONE),
        "exact": dreaming(rv.Exact()),
        "neural": dreaming(rv.Neural(episodes=5)),
        "uniform-bare": uniform(bare),
        "recent-bare": dreaming(rv.Recent(episodes=5), bare),
        "linear-bare": dreaming(linear, bare, **ALONE),
        "linear-n5-bare": dreaming(linear, bare, **ALONE, refit_every=5, adaptive=False),
        "global-bare": dreaming(linear.replace(time_varying=False), bare, **ALONE),
        "neural-bare": dreaming(rv.Neural(episodes=5), bare, **ALONE),
        "exact-bare": dreaming(rv.Exact(), bare, **ALONE),
        "mixture-bare": dreaming(linear.replace(prior="mixture"), bare, **ALONE, fictional_capacity=100_000),
    }


def run(domain: str, variant: str, seed: int) -> list[dict[str, Any]]:
    """Train one cell; return its rows."""
    import reverie as rv
    from reverie.environments.env_adapter import make_env
    from reverie.training.evaluation import evaluate

    setting, rows, began = SETTINGS[domain], [], time.perf_counter()
    agent, world = variants(setting)[variant], make_env(domain)
    last = setting.plain_episodes if variant.startswith("plain") else setting.episodes
    with rv.Learner(agent, env=domain, seed=seed) as learner:
        greedy = lambda o: learner.spec.from_world(learner.predict(o))  # noqa: E731
        for episode in range(EVERY, last + 1, EVERY):
            try:
                learner.learn(episodes=EVERY)
                score = float(np.mean(evaluate(greedy, world, TEST, STARTS).returns))
            except rv.DivergedError:
                score = -math.inf
            row = (domain, variant, seed, episode, round(score, 4), round(time.perf_counter() - began, 1))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    return rows


def fill(domains: list[str], only: list[str], seeds: int, jobs: int) -> None:
    """Run the missing cells, each in a process pinned to one thread."""
    done = {(row["domain"], row["variant"], row["seed"]) for row in cells.read(FILE)}
    missing = [
        (domain, variant, seed)
        for domain in domains
        for seed in range(min(seeds, SETTINGS[domain].seeds))
        for variant in variants(SETTINGS[domain])
        if (not only or variant in only) and (domain, variant, seed) not in done
    ]

    def one(cell: tuple[str, str, int]) -> list[dict[str, Any]]:
        words = [sys.executable, __file__, "--cell", *map(str, cell)]
        found = subprocess.run(words, check=False, capture_output=True, text=True, env=os.environ | PINNED)
        if found.returncode:
            print(f"{cell} failed: {found.stderr[-2000:]}", file=sys.stderr, flush=True)
            return []
        new = json.loads(found.stdout)
        print(*cell, [row["return_mean"] for row in new], f"{new[-1]['seconds']} s", flush=True)
        cells.add(FILE, new)
        return new

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, missing))


def curves(rows: list[dict[str, Any]], domain: str, variant: str) -> dict[int, dict[int, float]]:
    """Return scores by seed and episode."""
    found: dict[int, dict[int, float]] = {}
    for row in rows:
        if (row["domain"], row["variant"]) == (domain, variant):
            found.setdefault(row["seed"], {})[row["episode"]] = row["return_mean"]
    return found


def interval(values: list[float], statistic: Any = np.mean, draws: int = 10_000) -> list[float]:
    """Return the 95 % bootstrap interval of a statistic over seeds."""
    over_seeds = lambda drawn: statistic(drawn, axis=-1)  # noqa: E731
    found = bootstrap.interval(over_seeds, [np.asarray(values, float)], np.random.default_rng(0), draws)
    return [round(bound, 3) for bound in found]


def reached(curve: dict[int, float], score: float) -> float:
    """Return the first tested episode at or above a score; infinite where there is none."""
    return next((float(episode) for episode, value in sorted(curve.items()) if value >= score), float("inf"))


def finite(facts: Any) -> Any:
    """Return facts with None for what is not finite: never reached."""
    if isinstance(facts, dict):
        return {key: finite(value) for key, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [finite(value) for value in facts]
    return None if isinstance(facts, float) and not math.isfinite(facts) else facts


def _over(one: float, other: float) -> float:
    """Return one over other to two digits; nan where neither was reached."""
    return round(one / other, 2) if math.isfinite(min(one, other)) else math.nan


def verdict(domain: str) -> dict[str, Any]:
    """Return, per variant, episodes to plain NAF's mean score of episode 100, and differences to plain and recent."""
    rows, setting = cells.read(FILE), SETTINGS[domain]
    plain = curves(rows, domain, "plain")
    last = setting.plain_episodes
    goal = float(np.mean([curve[last] for curve in plain.values()]))
    facts: dict[str, Any] = {"plain_score": round(goal, 4), "plain_episodes": last, "variants": {}}
    first = {seed: reached(curve, goal) for seed, curve in plain.items()}
    for variant in variants(setting):
        mine = curves(rows, domain, variant)
        shared = sorted(set(mine) & set(plain))
        if not shared:
            continue
        when = [reached(mine[seed], goal) for seed in shared]
        mean_curve = {e: float(np.mean([mine[s][e] for s in shared])) for e in sorted(mine[shared[0]])}
        ratio = last / float(np.median(when))
        found: dict[str, Any] = {
            "seeds": len(shared),
            "episodes_to_it": when,
            "median": float(np.median(when)),
            "mean_curve_reaches_it_at": reached(mean_curve, goal),
            "ratio_of_medians": round(ratio, 2),
            "ratio_to_plain_reaching_it": _over(float(np.median([first[s] for s in shared])), float(np.median(when))),
            "ratio_interval": interval([1 / w for w in when], lambda x, axis: last * np.median(x, axis)),
            "curve": {e: round(v, 3) for e, v in mean_curve.items()},
        }
        for other in ("plain", "uniform", "recent"):
            theirs = curves(rows, domain, other)
            both = sorted(set(mine) & set(theirs))
            if other != variant and both:
                differences = [
                    float(np.mean([mine[s][e] - theirs[s][e] for e in mine[s] if e in theirs[s] and e >= 10]))
                    for s in both
                ]
                found[f"minus_{other}"] = [round(float(np.mean(differences)), 3), interval(differences)]
        facts["variants"][variant] = found
    return facts


def main() -> None:
    """Fill the table, or print what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domains", nargs="*", default=list(SETTINGS))
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=100, help="the first so many")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--verdict", action="store_true")
    parser.add_argument("--cell", nargs=3)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(run(options.cell[0], options.cell[1], int(options.cell[2]))))
        return
    if not options.verdict:
        fill(options.domains or list(SETTINGS), [v for v in options.only.split(",") if v], options.seeds, options.jobs)
    from reverie.training.provenance import versions

    facts = {
        "command": "python results/imagine.py",
        "versions": versions(),
        "settings": {
            d: s._asdict() | {"variants": {k: repr(v) for k, v in variants(s).items()}} for d, s in SETTINGS.items()
        },
        "verdict": {d: verdict(d) for d in SETTINGS if curves(cells.read(FILE), d, "plain")},
    }
    (HERE / "imagine.json").write_text(json.dumps(finite(facts), indent=1) + "\n")
    for domain, found in facts["verdict"].items():
        print(f"\n{domain}: plain NAF's mean score of episode {found['plain_episodes']} is {found['plain_score']}")
        for name, v in found["variants"].items():
            rest = {k: v[k] for k in v if k.startswith("minus")}
            ratio = f"ratio {v['ratio_of_medians']} {v['ratio_interval']} (to plain: {v['ratio_to_plain_reaching_it']})"
            print(f"  {name:16} {v['seeds']} seeds, median {v['median']}, {ratio} {rest}")


if __name__ == "__main__":
    main()
