"""What most studies do in a cell: an agent learns, and its greedy policy is tested now and then."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import reverie as rv
from reverie.environments.env_factory import make_env
from reverie.training.evaluation import evaluate
from studies.study import Row

EVERY, TEST_EPISODES, STARTS = 5, 10, 12345  # episodes between tests, and of a test; the seed of their starts


def tested_by_episodes(agent: Any, domain: str, seed: int, episodes: int) -> Iterator[Row]:
    """Yield the greedy score after every 5 episodes, over 10 episodes whose starts are the same for all agents and seeds.

    Seconds count tests too.  A learner that diverged scores -inf.
    """
    began, env = time.perf_counter(), make_env(domain)
    with rv.Learner(agent, env=domain, seed=seed) as learner:

        def greedy(observation: np.ndarray) -> np.ndarray:
            return learner.spec.from_world(learner.predict(observation))

        for episode in range(EVERY, episodes + 1, EVERY):
            try:
                learner.learn(episodes=EVERY)
                score = float(np.mean(evaluate(greedy, env, TEST_EPISODES, STARTS).returns))
            except rv.DivergedError:
                score = -math.inf
            yield {
                "episode": episode,
                "return_mean": round(score, 4),
                "seconds": round(time.perf_counter() - began, 1),
            }


def _nothing(learner: rv.Learner) -> Row:
    return {}


def tested_by_steps(
    agent: Any,
    env: Any,
    seed: int,
    steps: int,
    every: int,
    episodes: int,
    besides: Callable[[rv.Learner], Row] = _nothing,
) -> Iterator[Row]:
    """Yield mean and deviation of the greedy return over so many episodes, after every `every` steps.

    besides: further columns.
    """
    with rv.Learner(agent, env=env, seed=seed) as learner:
        while learner.steps < steps:
            learner.learn(every)
            found = learner.evaluate(episodes)
            scores = {"return_mean": round(found["mean"], 3), "return_std": round(found["std"], 3)}
            yield {"step": learner.steps, **scores, **besides(learner)}
