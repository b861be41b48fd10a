"""What a random agent and an idle one score on each domain, beside what the paper prints."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import reverie  # noqa: F401  (makes the domains known to Gymnasium)  # pyright: ignore[reportUnusedImport]
from reverie.domains import DOMAINS
from studies.study import Row, Study

RANDOM_EPISODES, IDLE_EPISODES = 200, 20
PICTURE_SEED, PICTURE_SIZE = 3, 300  # of the start that is drawn; pixels

# What the domains were calibrated to (their own prototype, 100 episodes), and what the paper prints in table 1.
CALIBRATION = {
    "cartpole": (-2.20, -2.1),
    "reacher": (-2.30, -2.3),
    "reacher_single": (-3.20, None),
    "peg": (-10.95, -11),
    "gripper": (-29.4, -29),
    "gripper_single": (-29.4, None),
    "gripper_m": (-89.7, -90),
    "canada2d": (-11.86, -12),
    "cheetah": (-0.42, -0.3),
    "swimmer6": (-322.4, -325),
    "ant": (-4.80, -4.8),
    "walker2d": (0.35, 0.3),
}
COLUMNS = ("domain", "observation", "actions", "random_mean", "random_std", "random_length")
COLUMNS += ("calibrated", "off_percent", "paper", "idle_mean", "idle_length")


def play(env: gym.Env, seed: int, size: float) -> tuple[float, int]:
    """Return the return and length of an episode under actions uniform in ±size."""
    generator = np.random.default_rng(seed)
    env.reset(seed=seed)
    total, length, over = 0.0, 0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(size * generator.uniform(-1, 1, env.action_space.shape))
        total, length, over = total + float(reward), length + 1, terminated or truncated
    return total, length


def _run(domain: str) -> Iterator[Row]:
    env: Any = gym.make(DOMAINS[domain].gym_id)
    random = np.array([play(env, seed, 1.0) for seed in range(RANDOM_EPISODES)])
    idle = np.array([play(env, seed, 0.0) for seed in range(IDLE_EPISODES)])
    calibrated, paper = CALIBRATION.get(domain, (None, None))  # the point mass is no task of the paper
    yield {
        "observation": env.observation_space.shape[0],
        "actions": env.action_space.shape[0],
        "random_mean": round(random[:, 0].mean(), 3),
        "random_std": round(random[:, 0].std(), 3),
        "random_length": round(random[:, 1].mean(), 1),
        "calibrated": calibrated,
        "off_percent": None if calibrated is None else round(100 * abs(random[:, 0].mean() / calibrated - 1), 1),
        "paper": paper,
        "idle_mean": round(idle[:, 0].mean(), 3),
        "idle_length": round(idle[:, 1].mean(), 1),
    }


def _verdict(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        paper = "the paper prints none" if row["paper"] is None else f"the paper prints {row['paper']}"
        yield (
            f"{row['domain']}: random {row['random_mean']} ± {row['random_std']} ({RANDOM_EPISODES} episodes, "
            f"{row['random_length']:g} steps each), idle {row['idle_mean']} ({IDLE_EPISODES} episodes); {paper}"
        )


def _draw(domain: str, rows: list[Row], path: Path) -> None:
    """Draw a domain as it is at a start."""
    import imageio.v3 as imageio

    del rows
    env: Any = gym.make(DOMAINS[domain].gym_id, render_mode="rgb_array", width=PICTURE_SIZE, height=PICTURE_SIZE)
    env.reset(seed=PICTURE_SEED)
    imageio.imwrite(path, env.render())
    env.close()


PICTURES: dict[str, Callable[[list[Row], Path], None]] = {
    f"domains/{domain}.png": partial(_draw, domain) for domain in CALIBRATION
}
STUDY = Study(
    name="baseline-scores",
    question="What do a random agent and an idle one score on each domain?",
    variants=("random", "idle"),
    tasks=tuple(DOMAINS),
    seeds=RANDOM_EPISODES,
    scored=f"mean return and length: random over {RANDOM_EPISODES} episodes, idle over {IDLE_EPISODES}",
    minutes=3,
    quoted=("docs/domains.md",),
    columns=COLUMNS,
    key=("domain",),
    cells=tuple((domain,) for domain in DOMAINS),
    run=_run,
    verdict=_verdict,
    pictures=PICTURES,
)
