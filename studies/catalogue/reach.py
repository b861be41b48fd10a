"""Can the paper's scores be reached on our domains?  Soft Actor-Critic of SBX trains until it reaches them.

This is an outside learner on purpose: it takes the registered Gymnasium environments as they are.  Every 25 episodes the
greedy policy is scored over 20 episodes.  One that reaches the score of NAF in the paper's table 1 must confirm it over 100
episodes with new starts, which ends the training.  Needs `pip install 'reverie[bench]'`.  For reacher see the study
`naf-paper`, for canada2d `shoot`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from reverie.experiments.spec.paper_numbers import TABLE1  # importing reverie makes the domains known to Gymnasium
from studies.study import Row, Study
from studies.summaries import where

EVERY, TEST, CONFIRM = 25, range(10_000, 10_020), range(20_000, 20_100)  # episodes; seeds of test episodes
ENDLESS = 10**9  # steps: the callback ends the training


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


def _run(domain: str) -> Iterator[Row]:
    """Train until the paper's score is confirmed, or to the end."""
    from sbx import SAC
    from stable_baselines3.common.callbacks import BaseCallback

    training, goal, rows = TRAININGS[domain], TABLE1[domain].naf, []
    test = gym.make(training.env)

    class Score(BaseCallback):
        episodes, confirmed = 0, False

        def score(self, seeds: range) -> float:
            found = [_play(test, self.model, start) for start in seeds]
            mean, std = round(float(np.mean(found)), 4), round(float(np.std(found)), 4)
            row = {"paper": goal, "seed": 0, "episode": self.episodes, "step": self.num_timesteps}
            rows.append(row | {"test_episodes": len(seeds), "return_mean": mean, "return_std": std})
            return mean

        def _on_step(self) -> bool:
            if self.locals["dones"][0]:
                self.episodes += 1
                if self.episodes % EVERY == 0 and self.score(TEST) >= goal:
                    self.confirmed = self.score(CONFIRM) >= goal
            return self.episodes < training.episodes and not self.confirmed

    settings = SETTINGS | {"ent_coef": f"auto_{training.temperature}"}
    SAC("MlpPolicy", training.env, seed=0, **settings).learn(ENDLESS, callback=Score())
    yield from rows


def _play(env: gym.Env, model: Any, seed: int) -> float:
    """Return the return of one greedy episode."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, over = total + float(reward), terminated or truncated
    return total


def _verdict(rows: list[Row]) -> Iterator[str]:
    for domain in TRAININGS:
        if not (mine := where(rows, domain=domain)):
            continue
        last = mine[-1]
        outcome = "reached and confirmed" if last["test_episodes"] == len(CONFIRM) else "not confirmed"
        yield (
            f"{domain}: the paper's {last['paper']:g} is {outcome} after {last['episode']} episodes ({last['step']:,} "
            f"steps, seed {last['seed']}): {last['return_mean']} ± {last['return_std']} over {last['test_episodes']} episodes"
        )


STUDY = Study(
    name="reach",
    question="Can the paper's scores be reached on our domains?",
    variants=("SAC of SBX",),
    tasks=tuple(TRAININGS),
    seeds=1,
    scored="mean and deviation of the greedy return, every 25 episodes, until the paper's score is confirmed",
    minutes=120,
    quoted=("docs/domains.md",),
    columns=("domain", "paper", "seed", "episode", "step", "test_episodes", "return_mean", "return_std"),
    key=("domain",),
    cells=tuple((domain,) for domain in TRAININGS),
    run=_run,
    settings=lambda stem: {"settings": SETTINGS, "trainings": {n: t._asdict() for n, t in TRAININGS.items()}},
    verdict=_verdict,
)
