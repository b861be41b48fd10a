"""DQN, and SAC and PPO beside those of Stable-Baselines3.

Both libraries get the same settings, the same number of real steps and the same test.  The peer may live in another Python:
`python -m studies run baselines library=sb3 --python PATH`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.environments.env_factory import make_env
from reverie.training.evaluation import evaluate, summary
from studies.learning import STARTS, TEST_EPISODES
from studies.study import Row, Study
from studies.summaries import curves, reached, shown, where

COLUMNS = ("name", "library", "seed", "step", "return_mean", "seconds")

Learn = Callable[[int], object]  # so many more steps
Greedy = Callable[[Any], Any]


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


def _ours(contest: Contest, seed: int) -> tuple[Learn, Greedy]:
    """Return the learning and the greedy policy."""
    learner = rv.Learner(ALGORITHMS[contest.algorithm](**contest.settings), contest.env, seed=seed)
    return learner.learn, learner.predict


def _theirs(contest: Contest, seed: int) -> tuple[Learn, Greedy]:
    """Return the same of Stable-Baselines3."""
    import gymnasium as gym
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    config = ALGORITHMS[contest.algorithm](**contest.settings)

    def scaled() -> gym.Env:
        env = gym.make(contest.env)
        return gym.wrappers.TransformReward(env, lambda r: config.fixed_reward_scale * r)

    envs = make_vec_env(scaled, n_envs=config.requirements.worlds, seed=seed)
    settings = peer_settings(contest.algorithm, config) | {"device": "cpu", "seed": seed}
    model = getattr(stable_baselines3, contest.algorithm.upper())("MlpPolicy", envs, **settings)
    return (
        lambda steps: model.learn(steps, reset_num_timesteps=False),
        lambda observation: model.predict(observation, deterministic=True)[0],
    )


def peer_settings(algorithm: str, config: Any) -> dict[str, Any]:
    """Return our settings in the names of Stable-Baselines3."""
    names = {"learning_rate": "learning_rate", "gamma": "discount", "batch_size": "batch_size"}
    if algorithm == "sac":
        names |= {"tau": "target_rate", "learning_starts": "warmup_steps", "gradient_steps": "updates_per_step"}
        names |= {"buffer_size": "replay_capacity"}
    else:
        names |= {"n_steps": "rollout", "n_epochs": "epochs", "gae_lambda": "trace", "clip_range": "clip"}
        names |= {"vf_coef": "value_weight", "ent_coef": "entropy_weight", "max_grad_norm": "gradient_norm"}
    settings = {theirs: getattr(config, ours) for theirs, ours in names.items()}
    return settings | {"policy_kwargs": {"net_arch": list(config.hidden)}}


def _run(name: str, library: str, seed: int) -> Iterator[Row]:
    """Yield the scores of one cell.  Seconds are those of learning, without tests."""
    contest, seconds = CONTESTS[name], 0.0
    env = make_env(contest.env)
    learn, greedy = (_ours if library == "reverie" else _theirs)(contest, seed)

    def tested() -> float:
        policy = lambda o: env.spec.from_world(np.atleast_1d(greedy(o)))  # noqa: E731
        found = evaluate(policy, env, TEST_EPISODES, STARTS).returns
        return sum(found) / len(found)

    for step in range(contest.every, contest.steps + 1, contest.every):
        began = time.perf_counter()
        learn(contest.every)
        seconds += time.perf_counter() - began
        yield {"step": step, "return_mean": round(tested(), 3), "seconds": round(seconds, 1)}


def _facts(rows: list[Row]) -> dict[str, Any]:
    return {
        name: {
            library: judged(contest, mine)
            for library in contest.libraries
            if (mine := where(rows, name=name, library=library))
        }
        for name, contest in CONTESTS.items()
    }


def judged(contest: Contest, rows: list[Row]) -> dict[str, Any]:
    """Return the last scores of seeds, their mean and interval, seconds, and when a target was met."""
    last = [row for row in rows if row["step"] + contest.every > contest.steps]
    found, steps = summary([row["return_mean"] for row in last]), sorted({row["step"] for row in rows})
    facts = {
        "seeds": len(last),
        "scores": found["returns"],
        "mean": round(found["mean"], 1),
        "interval_95": None if len(last) < 2 else [round(x, 1) for x in found["interval_95"]],
        "mean_seconds": round(sum(row["seconds"] for row in last) / len(last)),
        "mean_curve": {
            step: round(float(np.mean([r["return_mean"] for r in where(rows, step=step)])), 1) for step in steps
        },
    }
    if contest.target is not None:
        target = contest.target
        when = [reached(curve, target) for curve in curves(rows, x="step").values()]
        count = sum(step < float("inf") for step in when)
        facts["target"] = f"{count} of {len(last)} seeds reach {target:g} (asked: {contest.wanted})"
        facts["reached_at"] = when
    return facts


def _verdict(rows: list[Row]) -> Iterator[str]:
    for name, libraries in _facts(rows).items():
        for library, of in libraries.items():
            line = (
                f"{name} {library}: {of['mean']} {of['interval_95']} after {max(of['mean_curve']):,} steps; {of['seeds']} "
                f"seeds: {shown(of['scores'])}; {of['mean_seconds']} s each"
            )
            yield f"{line}; {of['target']}, at steps {shown(of['reached_at'])}" if "target" in of else line


STUDY = Study(
    name="baselines",
    question="Does DQN learn, and do SAC and PPO learn what Stable-Baselines3's do with the same settings?",
    variants=("reverie", "sb3"),
    tasks=tuple(CONTESTS),
    seeds={name: contest.seeds for name, contest in CONTESTS.items()},
    scored=f"the greedy return over {TEST_EPISODES} episodes with fixed starts, at fixed steps",
    minutes=240,
    quoted=("docs/benchmarks.md", "docs/dqn.md", "docs/ppo.md", "docs/sac.md", "docs/tour.md"),
    columns=COLUMNS,
    key=("name", "library", "seed"),
    cells=tuple((n, lib, s) for n, c in CONTESTS.items() for s in range(c.seeds) for lib in c.libraries),
    sort_by=COLUMNS[:4],
    run=_run,
    settings=lambda stem: {"contests": {name: contest._asdict() for name, contest in CONTESTS.items()}},
    facts=_facts,
    verdict=_verdict,
)
