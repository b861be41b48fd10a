"""How good is a policy?  Whole greedy episodes, their returns and an interval for the mean."""

import math
import statistics
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from reverie.core.errors import ReverieWarning
from reverie.core.interrupts import Interrupted, look
from reverie.core.seeds import EVALUATE, seed_of
from reverie.core.words import count
from reverie.environments.env_adapter import EnvAdapter
from reverie.storage.tables import number, numbers, whole

COLUMNS = {"step": whole, "episode": whole, "return_mean": number, "return_std": number, "returns": numbers}

LONGEST = 10_000  # steps of a greedy episode, where training has met no time limit

LEVEL = 0.95  # of the interval for a mean
HUGE = 1e100  # returns whose squares are still far from overflow


class Played(NamedTuple):
    """A greedy episode."""

    total: float  # its undiscounted return
    length: int
    cut: bool  # whether it was ended here, as it had not ended by itself


class Evaluation(NamedTuple):
    """Greedy episodes; `limit`: the steps at which those that had not ended were cut."""

    returns: list[float]
    cut: int
    limit: int

    @property
    def facts(self) -> dict[str, Any]:
        """Return `summary` of the returns, and how many episodes were cut at how many steps (None: none was)."""
        return summary(self.returns) | {"cut": self.cut, "cut_at": self.limit if self.cut else None}

    def row(self, step: int, episode: int) -> dict[str, Any]:
        """Return the row of evaluations.csv."""
        facts = summary(self.returns)
        spread = {"return_mean": facts["mean"], "return_std": facts["std"]}
        return {"step": step, "episode": episode, **spread, "returns": " ".join(map(repr, self.returns))}


def limit_for(world: EnvAdapter, lengths: Iterable[int] = (), truncated: bool = False) -> int:
    """Return after how many steps an episode of `world` is cut: nobody waits for one that never ends.

    lengths: of training episodes; truncated: whether one of them ran out of time.  Then the longest of them is the limit,
    else 10,000 or that, whichever is more: a better policy may keep alive for longer.  A time limit that the world itself
    names is never cut short.
    """
    longest = max(lengths, default=0)
    return max(world.time_limit or 0, longest if truncated else max(longest, LONGEST))


def evaluate(
    greedy: Callable[[np.ndarray], np.ndarray], world: EnvAdapter, episodes: int, seed: int, limit: int | None = None
) -> Evaluation:
    """Return what `episodes` greedy episodes come to; the start of each depends on `seed` alone.

    greedy: observation [n] -> action [m] in [-1, 1].  limit: steps, see `limit_for`.  An interrupt says which are done.
    """
    limit, played = limit or limit_for(world), list[Played]()
    try:
        for episode in range(episodes):
            played.append(play(greedy, world, seed, episode, limit=limit))
    except Interrupted:
        returns = " ".join(f"{done.total:.4g}" for done in played)
        how_far = f"after {len(played)} of {episodes} greedy episodes" + (f" (returns {returns})" if played else "")
        raise Interrupted(how_far) from None
    return Evaluation([done.total for done in played], sum(done.cut for done in played), limit)


def play(
    greedy: Callable[[np.ndarray], np.ndarray],
    world: EnvAdapter,
    seed: int,
    episode: int,
    watch: Callable[[int], object] = lambda step: None,
    limit: int | None = None,
) -> Played:
    """Play greedy episode number `episode` of `seed`, of `limit` steps at most; `watch` is called before each, from 1 on."""
    look()
    observation, total, limit = world.reset(seed_of(seed, EVALUATE, episode)), 0.0, limit or limit_for(world)
    for step in range(1, limit + 1):
        look()
        watch(step)
        reward, observation, terminated, truncated = world.step(world.spec.to_world(greedy(observation)), step)
        total += reward
        if terminated or truncated:
            return Played(total, step, cut=False)
    return Played(total, limit, cut=True)


def warn_of_waiting(name: str, steps: int) -> None:
    """Say that `learn(episodes=…)` waits for ends that do not come."""
    warnings.warn(
        f"{name}: no episode has ended in {count(steps, 'step')}, and learn(episodes=...) waits for ends; wrap the "
        "environment in gymnasium.wrappers.TimeLimit, or give a number of steps",
        ReverieWarning,
        stacklevel=3,
    )


def cut_line(cut: int, episodes: int, limit: int) -> str:
    """Return the sentence that says so."""
    were = "was" if cut == 1 else "were"
    return (
        f"{cut} of {count(episodes, 'episode')} {were} cut at {count(limit, 'step')}: they had not ended, and the world "
        "has no time limit"
    )


def summary(returns: list[float]) -> dict[str, Any]:
    """Return mean, sample standard deviation, the mean's 95 % interval (Student's t) and the returns themselves.

    The interval is [None, None] of one episode, which says nothing of its spread, and where a return is not finite.
    """
    mean = std = math.nan
    low = high = None
    if all(map(math.isfinite, returns)):
        unit = max(1.0, max(map(abs, returns)) / HUGE)  # 1, but where squares would overflow
        parts = returns if unit == 1.0 else [part / unit for part in returns]
        mean = unit * statistics.fmean(parts)
        std = unit * statistics.stdev(parts) if len(parts) > 1 else 0.0
        if len(parts) > 1:
            half = float(stdtrit(len(parts) - 1, 0.5 + 0.5 * LEVEL)) * std / len(parts) ** 0.5
            low, high = mean - half, mean + half
    return {"mean": mean, "std": std, "interval_95": [low, high], "episodes": len(returns), "returns": returns}
