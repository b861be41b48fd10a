"""Can the paper's scores be reached?  `python results/reach.py [DOMAIN …]` trains Soft Actor-Critic of SBX on our domains.

An outside learner on purpose: it sees the registered Gymnasium environments as they are, through no adapter of ours.  Every
25 episodes its greedy policy is scored over 20 episodes (seeds 10,000 to 10,019).  `reach.csv` holds a row per score.
Needs `pip install 'reverie[bench]'`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

FILE = Path(__file__).parent / "reach.csv"
COLUMNS = ("domain", "seed", "episode", "step", "return_mean", "return_std")
EVERY, EPISODES, FIRST_SEED = 25, 20, 10_000


class Training(NamedTuple):
    """How long, and what differs from the defaults below."""

    episodes: int
    paper: float  # NAF's score in table 1
    temperature: float  # SAC's first: our rewards are small, its default is 1
    settings: dict[str, Any] = {}


TRAININGS = {
    "cartpole": Training(300, -0.604, 0.03),
    "reacher": Training(1200, -0.331, 0.03, {"gamma": 0.98}),
    "peg": Training(300, -0.438, 0.1),
    "gripper": Training(800, 1.81, 0.3),
    "gripper_m": Training(800, -12.4, 1.0),
    "canada2d": Training(1000, -4.21, 0.1),
    "cheetah": Training(500, 7.91, 0.1),
    "swimmer6": Training(400, -172.0, 1.0),
    "ant": Training(800, -2.58, 0.03),
    "walker2d": Training(400, 1.85, 0.03),
}


def train(name: str, training: Training, seed: int) -> list[tuple]:
    """Train; return the rows."""
    from sbx import SAC
    from stable_baselines3.common.callbacks import BaseCallback

    env_id = gym.spec(f"reverie/{''.join(p.capitalize() for p in name.split('_'))}-v0").id
    rows = []

    class Score(BaseCallback):
        def __init__(self):
            super().__init__()
            self.episodes, self.env = 0, gym.make(env_id)

        def _on_step(self) -> bool:
            if self.locals["dones"][0]:
                self.episodes += 1
                if self.episodes % EVERY == 0:
                    found = [score(self.env, self.model, FIRST_SEED + i) for i in range(EPISODES)]
                    rows.append((name, seed, self.episodes, self.num_timesteps, np.mean(found), np.std(found)))
                    print(name, seed, self.episodes, f"{np.mean(found):.4g} ± {np.std(found):.3g}", flush=True)
            return self.episodes < training.episodes

    settings = {
        "learning_rate": 1e-3,
        "batch_size": 128,
        "buffer_size": 300_000,
        "learning_starts": 1000,
        "policy_kwargs": {"net_arch": [128, 128]},
        "ent_coef": f"auto_{training.temperature}",
    } | training.settings
    SAC("MlpPolicy", env_id, seed=seed, **settings).learn(10**9, callback=Score())
    return rows


def score(env: gym.Env, model: Any, seed: int) -> float:
    """Return the return of one greedy episode."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, over = total + float(reward), terminated or truncated
    return total
