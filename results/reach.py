"""Can the paper's scores be reached?  `python results/reach.py [DOMAIN …]` trains Soft Actor-Critic of SBX until they are.

An outside learner on purpose: it takes the registered Gymnasium environments as they are, through no adapter of ours.
Every 25 episodes the greedy policy is scored over 20 episodes; one that reaches NAF's score of the paper's table 1 has to
confirm it over 100 episodes with starts never seen before, which ends the training.  `reach.csv` holds a row per score, the
confirming one last.  Domains that it holds already are not trained again.  Needs `pip install 'reverie[bench]'`.
For reacher see `learn.py` (NAF itself), for canada2d `shoot.py`.
"""

import csv
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from reverie.experiments.spec.paper_numbers import TABLE1  # importing reverie makes the domains known to Gymnasium

FILE = Path(__file__).parent / "reach.csv"
COLUMNS = ("domain", "paper", "seed", "episode", "step", "test_episodes", "return_mean", "return_std")
EVERY, TEST, CONFIRM = 25, range(10_000, 10_020), range(20_000, 20_100)  # seeds of test episodes


class Training(NamedTuple):
    """How long at most, and the one setting that depends on the size of rewards."""

    env: str
    episodes: int
    temperature: float  # SAC's first: our rewards are small, its default is 1


TRAININGS = {
    "cartpole": Training("reverie/Cartpole-v0", 300, 0.03),
    "peg": Training("reverie/Peg-v0", 300, 0.1),
    "gripper": Training("reverie/Gripper-v0", 1000, 0.3),
    "gripper_m": Training("reverie/GripperM-v0", 1000, 1.0),
    "cheetah": Training("reverie/Cheetah-v0", 600, 0.1),
    "swimmer6": Training("reverie/Swimmer6-v0", 500, 1.0),
    "ant": Training("reverie/Ant-v0", 1350, 0.03),
    "walker2d": Training("reverie/Walker2d-v0", 600, 0.03),
}
SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 128,
    "buffer_size": 300_000,
    "learning_starts": 1000,
    "policy_kwargs": {"net_arch": [128, 128]},
}


def train(name: str, seed: int) -> list[tuple]:
    """Train until the paper's score is confirmed, or to the end; return the rows."""
    from sbx import SAC
    from stable_baselines3.common.callbacks import BaseCallback

    training, goal, rows = TRAININGS[name], TABLE1[name].naf, []
    test = gym.make(training.env)

    class Score(BaseCallback):
        episodes, confirmed = 0, False

        def score(self, seeds: range) -> float:
            found = [play(test, self.model, start) for start in seeds]
            mean, std = round(float(np.mean(found)), 4), round(float(np.std(found)), 4)
            rows.append((name, goal, seed, self.episodes, self.num_timesteps, len(seeds), mean, std))
            print(*rows[-1], flush=True)
            return mean

        def _on_step(self) -> bool:
            if self.locals["dones"][0]:
                self.episodes += 1
                if self.episodes % EVERY == 0 and self.score(TEST) >= goal:
                    self.confirmed = self.score(CONFIRM) >= goal
            return self.episodes < training.episodes and not self.confirmed

    settings = SETTINGS | {"ent_coef": f"auto_{training.temperature}"}
    SAC("MlpPolicy", training.env, seed=seed, **settings).learn(10**9, callback=Score())
    return rows


def play(env: gym.Env, model: Any, seed: int) -> float:
    """Return the return of one greedy episode."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, over = total + float(reward), terminated or truncated
    return total


def main(names: list[str]) -> None:
    """Train on what is missing."""
    rows = list(csv.reader(FILE.open(newline="")))[1:] if FILE.exists() else []
    for name in names or TRAININGS:
        if not any(row[0] == name for row in rows):
            rows += train(name, seed=0)
            with FILE.open("w", newline="") as lines:
                csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main(sys.argv[1:])
