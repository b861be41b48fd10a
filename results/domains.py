"""What doing anything, and doing nothing, scores on each domain: `python results/domains.py` writes `domains.csv`.

A random agent draws uniform actions over 200 episodes, an idle one acts not at all over 20; seeds 0, 1, …
`python results/domains.py pictures` draws docs/domains/NAME.png instead.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import reverie  # noqa: F401  (makes the domains known to Gymnasium)
from reverie.domains import DOMAINS

HERE = Path(__file__).parent
RANDOM_EPISODES, IDLE_EPISODES = 200, 20

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


def play(env: gym.Env, seed: int, size: float) -> tuple[float, int]:
    """Return the return and length of an episode under actions uniform in ±size."""
    generator = np.random.default_rng(seed)
    env.reset(seed=seed)
    total, length, over = 0.0, 0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(size * generator.uniform(-1, 1, env.action_space.shape))
        total, length, over = total + float(reward), length + 1, terminated or truncated
    return total, length


def row(name: str) -> dict[str, Any]:
    """Return a domain's figures."""
    env: Any = gym.make(DOMAINS[name].gym_id)
    random = np.array([play(env, seed, 1.0) for seed in range(RANDOM_EPISODES)])
    idle = np.array([play(env, seed, 0.0) for seed in range(IDLE_EPISODES)])
    calibrated, paper = CALIBRATION.get(name, (None, None))  # the point mass is no task of the paper
    return {
        "domain": name,
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


def pictures() -> None:
    """Draw every domain shortly after a start."""
    import imageio.v3 as imageio

    folder = HERE.parent / "docs" / "domains"
    folder.mkdir(exist_ok=True)
    for name, domain in DOMAINS.items():
        env: Any = gym.make(domain.gym_id, render_mode="rgb_array", width=300, height=300)
        env.reset(seed=3)
        imageio.imwrite(folder / f"{name}.png", env.render())
        env.close()


def main() -> None:
    """Write the table."""
    rows = []
    for name in DOMAINS:
        rows.append(row(name))
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    with (HERE / "domains.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    pictures() if sys.argv[1:] == ["pictures"] else main()
