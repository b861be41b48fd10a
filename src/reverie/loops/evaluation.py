"""How good is a policy?  Whole greedy episodes, their returns and an interval for the mean."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from reverie.core.seeds import EVALUATE, seed_of
from reverie.environments.world import World
from reverie.storage.tables import number, numbers, whole

COLUMNS = {"step": whole, "episode": whole, "return_mean": number, "return_std": number, "returns": numbers}

# Two-sided 97.5 % points of Student's t for 1 … 30 degrees of freedom; beyond that the normal's 1.96 is within 2 %.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
T_975 += (2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


def evaluate(greedy: Callable[[np.ndarray], np.ndarray], world: World, episodes: int, seed: int) -> list[float]:
    """Return the undiscounted return of each of `episodes` greedy episodes; the start of each depends on `seed` alone.

    greedy: observation [n] -> action [m] in [-1, 1].
    """
    return [play(greedy, world, seed, episode) for episode in range(episodes)]


def play(
    greedy: Callable[[np.ndarray], np.ndarray],
    world: World,
    seed: int,
    episode: int,
    watch: Callable[[int], object] = lambda step: None,
) -> float:
    """Return the return of greedy episode number `episode` of `seed`; `watch` is called before each step, from 1 on."""
    observation, total, over, step = world.reset(seed_of(seed, EVALUATE, episode)), 0.0, False, 0
    while not over:
        step += 1
        watch(step)
        reward, observation, terminated, truncated = world.step(world.spec.to_world(greedy(observation)), step)
        total, over = total + reward, terminated or truncated
    return total


def summary(returns: list[float]) -> dict[str, Any]:
    """Return mean, sample standard deviation, the mean's 95 % interval (Student's t) and the returns themselves."""
    mean = statistics.fmean(returns)
    std = statistics.stdev(returns) if len(returns) > 1 else 0.0
    low = high = None  # one episode says nothing of its spread
    if len(returns) > 1:
        half = (T_975[len(returns) - 2] if len(returns) <= len(T_975) + 1 else 1.96) * std / len(returns) ** 0.5
        low, high = mean - half, mean + half
    return {"mean": mean, "std": std, "interval_95": [low, high], "episodes": len(returns), "returns": returns}
