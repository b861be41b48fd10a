"""Evaluation of a policy over whole greedy episodes: returns, and a confidence interval for their mean."""

import math
import statistics
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from reverie.core.errors import ReverieWarning
from reverie.core.interrupts import Interrupted, raise_if_interrupted
from reverie.core.limiter import Limiter
from reverie.core.seeds import EVALUATE, seed_of
from reverie.core.words import count
from reverie.environments.env_adapter import EnvAdapter
from reverie.storage.tables import number, numbers, whole

COLUMNS = {"step": whole, "episode": whole, "return_mean": number, "return_std": number, "returns": numbers}

LONGEST = 10_000  # longest greedy episode, in steps, where training has met no time limit

LEVEL = 0.95  # of the confidence interval for a mean
HUGE = 1e100  # squares of such returns are still far from overflow


class EpisodeResult(NamedTuple):
    """The result of one greedy episode."""

    total: float  # undiscounted return
    length: int
    cut: bool  # whether it was ended here, because it had not ended by itself


class Evaluation(NamedTuple):
    """Results of greedy episodes; `limit`: steps at which an episode is cut."""

    returns: list[float]
    cut: int
    limit: int

    @property
    def facts(self) -> dict[str, Any]:
        """`summary` of the returns, the number of episodes that were cut, and at how many steps (None: none was)."""
        return summary(self.returns) | {"cut": self.cut, "cut_at": self.limit if self.cut else None}

    def row(self, step: int, episode: int) -> dict[str, Any]:
        """Return the row of evaluations.csv."""
        facts = summary(self.returns)
        moments = {"return_mean": facts["mean"], "return_std": facts["std"]}
        return {"step": step, "episode": episode, **moments, "returns": " ".join(map(repr, self.returns))}


def limit_for(env: EnvAdapter, lengths: Iterable[int] = (), truncated: bool = False) -> int:
    """Return the number of steps after which an episode of `env` is cut, so that evaluation always ends.

    lengths: of training episodes; truncated: whether one of them ran out of time.
    If one did, the limit is the longest of them.  Otherwise it is that or 10,000, whichever is more: a better policy
    may last longer.  It is never below the environment's own time limit.
    """
    longest = max(lengths, default=0)
    return max(env.spec.max_episode_steps or 0, longest if truncated else max(longest, LONGEST))


def evaluate(
    greedy: Callable[[np.ndarray], np.ndarray],
    env: EnvAdapter,
    episodes: int,
    seed: int,
    limit: int | None = None,
    limiter: Limiter | None = None,
) -> Evaluation:
    """Run `episodes` greedy episodes and return their results; their starts depend on `seed` alone.

    greedy: observation [n] -> action [m] in [-1, 1].  limit: steps of an episode, see `limit_for`.
    limiter: holds each action within the limits of the machine; in each episode the slew counts from its first action.
    Raises Interrupted, with the returns so far in its text.
    """
    limit, played = limit or limit_for(env), list[EpisodeResult]()
    try:
        for episode in range(episodes):
            played.append(play(greedy, env, seed, episode, limit=limit, limiter=limiter))
    except Interrupted:
        returns = " ".join(f"{done.total:.4g}" for done in played)
        how_far = f"after {len(played)} of {episodes} greedy episodes" + (f" (returns {returns})" if played else "")
        raise Interrupted(how_far) from None
    return Evaluation([done.total for done in played], sum(done.cut for done in played), limit)


def play(
    greedy: Callable[[np.ndarray], np.ndarray],
    env: EnvAdapter,
    seed: int,
    episode: int,
    watch: Callable[[int], object] = lambda step: None,
    limit: int | None = None,
    limiter: Limiter | None = None,
) -> EpisodeResult:
    """Run greedy episode number `episode` of `seed`, of at most `limit` steps.

    watch: called with the number of each step, from 1 on, before the step.  limiter: see `evaluate`.
    """
    limiter, last = Limiter(env.spec) if limiter is None else limiter, None
    raise_if_interrupted()
    observation, total, limit = env.reset(seed_of(seed, EVALUATE, episode)), 0.0, limit or limit_for(env)
    for step in range(1, limit + 1):
        raise_if_interrupted()
        watch(step)
        last = limiter.apply(greedy(observation), observation, last)
        reward, observation, terminated, truncated = env.step(limiter.to_world(last), step)
        total += reward
        if terminated or truncated:
            return EpisodeResult(total, step, cut=False)
    return EpisodeResult(total, limit, cut=True)


def warn_of_waiting(name: str, steps: int) -> None:
    """Warn that `learn(episodes=…)` waits for the end of an episode that does not end."""
    warnings.warn(
        f"{name}: no episode has ended in {count(steps, 'step')}, and learn(episodes=...) waits for ends; wrap the "
        "environment in gymnasium.wrappers.TimeLimit, or give a number of steps",
        ReverieWarning,
        stacklevel=3,
    )


def cut_note(cut: int, episodes: int, limit: int) -> str:
    """Return the sentence about episodes that were cut."""
    were = "was" if cut == 1 else "were"
    return (
        f"{cut} of {count(episodes, 'episode')} {were} cut at {count(limit, 'step')}: they had not ended, and the environment "
        "has no time limit"
    )


def summary(returns: list[float]) -> dict[str, Any]:
    """Return mean, sample standard deviation, the mean's 95 % interval (Student's t) and the returns.

    The interval is [None, None] for a single episode, which has no spread, and where a return is not finite.
    """
    mean = std = math.nan
    low = high = None
    if all(map(math.isfinite, returns)):
        unit = max(1.0, max(map(abs, returns)) / HUGE)  # 1 unless squares would overflow
        parts = returns if unit == 1.0 else [part / unit for part in returns]
        mean = unit * statistics.fmean(parts)
        std = unit * statistics.stdev(parts) if len(parts) > 1 else 0.0
        if len(parts) > 1:
            half = float(stdtrit(len(parts) - 1, 0.5 + 0.5 * LEVEL)) * std / len(parts) ** 0.5
            low, high = mean - half, mean + half
    return {"mean": mean, "std": std, "interval_95": [low, high], "episodes": len(returns), "returns": returns}
