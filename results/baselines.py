"""DQN, SAC and PPO, the latter two beside Stable-Baselines3's: `python results/baselines.py [NAME …]` fills `baselines.csv`.

A pair has the same settings, the same number of real steps and the same test: 10 greedy episodes of the same starts every so
many steps.  A cell (name, library, seed) that the CSV holds is not run again; each runs in a process pinned to one thread.
`--only sb3 --peer-python PATH` runs the peer's cells with another Python that has it (and this package's sources on its
path).  `--verdict` prints what the CSV says: mean last scores with 95 % intervals over seeds (Student's t: three seeds say
little, so they are wide); `baselines.json` holds the same, and all settings.
"""

import argparse
import json
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

HERE = Path(__file__).parent
FILE = HERE / "baselines.csv"
COLUMNS: tuple[str, ...] = ("name", "library", "seed", "step", "return_mean", "seconds")
EPISODES, STARTS = 10, 12345  # of a test; the seed of their starts


class Contest(NamedTuple):
    """One curve: which algorithm, where, how long, with which settings (in our names), and who runs it."""

    algorithm: str
    env: str
    steps: int
    every: int
    settings: dict[str, Any]
    seeds: int = 3
    libraries: tuple[str, ...] = ("reverie", "sb3")
    target: float | None = None
    wanted: int = 0  # seeds that must reach the target


CONTESTS = {
    "dqn-cartpole": Contest("dqn", "CartPole-v1", 50_000, 2_500, {"learning_rate": 3e-4}, 5, ("reverie",), 475, 4),
    "sac-pendulum": Contest("sac", "Pendulum-v1", 5_000, 1_000, {"learning_rate": 1e-3, "warmup_steps": 200}),
    "sac-cheetah": Contest("sac", "HalfCheetah-v5", 100_000, 20_000, {"warmup_steps": 10_000}, 5),
    "ppo-pendulum": Contest(
        "ppo",
        "Pendulum-v1",
        98_304,
        8_192,
        {"rollout": 1024, "worlds": 4, "discount": 0.9, "learning_rate": 1e-3, "reward_scale": 0.1},
    ),
    "ppo-hopper": Contest("ppo", "Hopper-v5", 204_800, 20_480, {}),
    "ppo-reacher": Contest("ppo", "Reacher-v5", 102_400, 10_240, {}),
}


def tested(greedy: Any, world: Any) -> float:
    """Return the mean return of the test; greedy: observation -> action in the world's own units."""
    from reverie.training.evaluation import evaluate

    found = evaluate(lambda o: world.spec.from_world(np.atleast_1d(greedy(o))), world, EPISODES, STARTS).returns
    return sum(found) / len(found)


def ours(contest: Contest, seed: int) -> Any:
    """Return (learn so many more steps, greedy policy)."""
    import reverie as rv
    from reverie.algorithms import ALGORITHMS

    learner = rv.Learner(ALGORITHMS[contest.algorithm](**contest.settings), contest.env, seed=seed)
    return learner.learn, learner.predict


def theirs(contest: Contest, seed: int) -> Any:
    """Return the same of Stable-Baselines3."""
    import gymnasium as gym
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    from reverie.algorithms import ALGORITHMS

    torch.set_num_threads(1)
    config = ALGORITHMS[contest.algorithm](**contest.settings)
    given = {
        "learning_rate": config.learning_rate,
        "gamma": config.discount,
        "batch_size": config.batch_size,
        "device": "cpu",
        "seed": seed,
        "policy_kwargs": {"net_arch": list(config.hidden)},
    }
    if contest.algorithm == "sac":
        names = {"tau": "target_rate", "learning_starts": "warmup_steps", "gradient_steps": "updates_per_step"}
        names |= {"buffer_size": "replay_capacity"}
    else:
        names = {"n_steps": "rollout", "n_epochs": "epochs", "gae_lambda": "trace", "clip_range": "clip"}
        names |= {"vf_coef": "value_weight", "ent_coef": "entropy_weight", "max_grad_norm": "gradient_norm"}
    given |= {theirs: getattr(config, ours) for theirs, ours in names.items()}

    def scaled() -> gym.Env:
        env = gym.make(contest.env)
        return gym.wrappers.TransformReward(env, lambda r: config.reward_scale * r)

    worlds = make_vec_env(scaled, n_envs=config.requirements.worlds, seed=seed)
    model = getattr(stable_baselines3, contest.algorithm.upper())("MlpPolicy", worlds, **given)
    return (
        lambda steps: model.learn(steps, reset_num_timesteps=False),
        lambda observation: model.predict(observation, deterministic=True)[0],
    )


def run(name: str, library: str, seed: int) -> list[dict[str, Any]]:
    """Train one cell; return its rows.  Seconds are those of learning, tests aside."""
    from reverie.environments.env_adapter import make_env

    contest, rows, seconds = CONTESTS[name], [], 0.0
    world = make_env(contest.env)
    learn, greedy = (ours if library == "reverie" else theirs)(contest, seed)
    for step in range(contest.every, contest.steps + 1, contest.every):
        began = time.perf_counter()
        learn(contest.every)
        seconds += time.perf_counter() - began
        row = (name, library, seed, step, round(tested(greedy, world), 3), round(seconds, 1))
        rows.append(dict(zip(COLUMNS, row, strict=True)))
        print(*row, file=sys.stderr, flush=True)
    return rows


def fill(names: list[str], only: str, seeds: int, jobs: int, peer_python: str) -> None:
    """Run the missing cells."""
    done = {(row["name"], row["library"], row["seed"]) for row in cells.read(FILE)}
    missing = [
        (name, library, seed)
        for name in names
        for seed in range(min(seeds, CONTESTS[name].seeds))
        for library in CONTESTS[name].libraries
        if only in ("", library) and (name, library, seed) not in done
    ]

    def one(cell: tuple[str, str, int]) -> None:
        python = sys.executable if cell[1] == "reverie" else peer_python
        environment = os.environ | PINNED | {"PYTHONPATH": str(HERE.parent / "src")}
        words = [python, __file__, "--cell", *map(str, cell)]
        found = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True, env=environment)
        if found.returncode:
            print(f"{cell} failed with status {found.returncode}", file=sys.stderr, flush=True)
            return
        cells.add(FILE, json.loads(found.stdout))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, missing))


def verdict(name: str) -> dict[str, Any]:
    """Return, per library, the last scores of its seeds, their mean and interval, seconds, and when a target was met."""
    from reverie.training.evaluation import summary

    contest, facts = CONTESTS[name], {}
    for library in contest.libraries:
        rows = [row for row in cells.read(FILE) if (row["name"], row["library"]) == (name, library)]
        last = [row for row in rows if row["step"] + contest.every > contest.steps]
        if not last:
            continue
        found = summary([row["return_mean"] for row in last])
        spread = None if len(last) < 2 else [round(x, 1) for x in found["interval_95"]]
        facts[library] = {
            "seeds": len(last),
            "scores": found["returns"],
            "mean": round(found["mean"], 1),
            "interval_95": spread,
            "mean_seconds": round(sum(row["seconds"] for row in last) / len(last)),
        }
        steps = sorted({row["step"] for row in rows})
        facts[library]["mean_curve"] = {
            step: round(sum(r["return_mean"] for r in rows if r["step"] == step) / len(last), 1) for step in steps
        }
        if contest.target is not None:
            when = {
                seed: next((r["step"] for r in rows if r["seed"] == seed and r["return_mean"] >= contest.target), None)
                for seed in {row["seed"] for row in last}
            }
            reached = sum(step is not None for step in when.values())
            facts[library]["target"] = (
                f"{reached} of {len(last)} seeds reach {contest.target:g} (asked: {contest.wanted})"
            )
            facts[library]["reached_at"] = when
    return facts


def main() -> None:
    """Fill the table, then say what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CONTESTS)}; all by default")
    parser.add_argument("--only", default="", choices=["", "reverie", "sb3"])
    parser.add_argument("--seeds", type=int, default=100, help="the first so many")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--verdict", action="store_true")
    parser.add_argument("--cell", nargs=3)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(run(options.cell[0], options.cell[1], int(options.cell[2]))))
        return
    if unknown := set(options.names) - set(CONTESTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CONTESTS)}")
    if not options.verdict:
        fill(options.names or list(CONTESTS), options.only, options.seeds, options.jobs, options.peer_python)
    from reverie.training.provenance import versions

    facts = {
        "command": "python results/baselines.py",
        "versions": versions(),
        "contests": {name: contest._asdict() for name, contest in CONTESTS.items()},
        "verdict": {name: verdict(name) for name in CONTESTS},
    }
    (HERE / "baselines.json").write_text(json.dumps(facts, indent=1) + "\n")
    for name, found in facts["verdict"].items():
        for library, v in found.items():
            print(
                f"{name} {library}: {v['mean']} {v['interval_95']}, {v['seeds']} seeds {v['scores']}, "
                f"{v['mean_seconds']} s; {v.get('target', '')}"
            )


if __name__ == "__main__":
    main()
