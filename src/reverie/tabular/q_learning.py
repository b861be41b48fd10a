"""Q-learning, Watkins 1989.  Sutton & Barto 2018, section 6.5; epsilon-greedy: section 2.2.

Learns Q* from samples alone: Q(S, A) <- Q(S, A) + α [R + γ max_a Q(S', a) - Q(S, A)], eq. 6.8.  Differences (ours / the
book's):
 1. Ties are broken at random / not said.  From Q = 0 nothing else would explore.
 2. α = learning_rate / N(s, a)^decay with N the updates of (s, a), decay 0 by default / constant.  Where steps are random
    Q converges only with decay in (1/2, 1].
 3. An episode that ran out of time is no end: its last step counts what S' is worth / has no time limits.

Plain lists: with a handful of actions NumPy's calls would take most of the time.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from reverie.core.argument_checks import shown, whole
from reverie.core.checked_settings import Settings
from reverie.core.errors import ConfigError
from reverie.core.interrupts import look
from reverie.core.seeds import NOISE, seed_of
from reverie.core.status import Status
from reverie.tabular.limits import LARGEST, too_large
from reverie.tabular.termination import check_discount


class Samples(Protocol):
    """A world whose states and actions are numbers."""

    states: int
    actions: int

    def reset(self, episode: int) -> int:
        """Start episode number `episode`; return its first state."""
        ...

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Return next state, reward, terminated, truncated."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class QLearningSettings(Settings):
    """Settings of Q-learning and Dyna-Q."""

    discount: float = 0.99
    learning_rate: float = 0.1  # α
    decay: float = 0.0  # of α with the updates of a pair
    epsilon: float = 0.1  # the share of actions that are drawn at random
    episodes: int = 500
    episode_steps: int = 100_000  # at most: where no end can be found there must be one

    def __post_init__(self):
        super().__post_init__()
        check_discount(None, self.discount)
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"learning_rate is {self.learning_rate}; it must lie in (0, 1]")
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(f"epsilon is {self.epsilon}; it must lie in [0, 1]")
        if not 0 <= self.decay <= 1:
            raise ConfigError(f"decay is {self.decay}; it must lie in [0, 1]")
        self.require(episodes=1, episode_steps=1)


class QResult(NamedTuple):
    """What was learnt, and what each episode came to."""

    action_values: np.ndarray  # Q [S, A]
    lengths: np.ndarray  # steps of each episode [E]
    returns: np.ndarray  # undiscounted [E]
    status: Status  # DONE; MAX_ITERATIONS: an episode was cut at `episode_steps`


class Table:
    """Q, and the one update that all who learn here make."""

    def __init__(self, states: int, actions: int, settings: QLearningSettings):
        self.Q = [[0.0] * actions for _ in range(states)]
        self._settings = settings
        self._updates = [[0] * actions for _ in range(states)]

    def update(self, s: int, a: int, reward: float, s_next: int, terminated: bool) -> None:
        """Eq. 6.8.  Raises ConfigError where the value goes beyond what can be calculated with."""
        alpha = self._settings.learning_rate
        if self._settings.decay:
            self._updates[s][a] += 1
            alpha /= self._updates[s][a] ** self._settings.decay
        target = reward if terminated else reward + self._settings.discount * max(self.Q[s_next])
        Q = self.Q[s][a] + alpha * (target - self.Q[s][a])
        if not -LARGEST <= Q <= LARGEST:  # NaN compares false
            raise too_large(f"the value of action {a} in state {s}, after a reward of {reward:g}, goes")
        self.Q[s][a] = Q


Also = Callable[[Table, int, int, float, int, bool], None]  # (table, s, a, reward, s', terminated)
Watch = Callable[[int, int, float, Table], None]  # (episode, its steps, its return, table)


def q_learning(
    world: Samples, settings: QLearningSettings, seed: int = 0, also: Also | None = None, watch: Watch | None = None
) -> QResult:
    """Return what Q-learning learns in `settings.episodes` episodes.

    also: called after each update with its transition (Dyna-Q plans there); watch: after each episode.
    Raises ConfigError where one of them is none, or a value or a return goes beyond what can be calculated with.
    """
    seed = _require_possible(world, settings, seed)
    table = Table(world.states, world.actions, settings)
    draw, epsilon = np.random.default_rng(seed_of(seed, NOISE)).random, settings.epsilon
    lengths, returns, cut = [], [], 0
    for episode in range(settings.episodes):
        s, steps, total = world.reset(episode), 0, 0.0
        ended = terminated = truncated = False
        while not ended:
            look()
            a = int(draw() * world.actions) if draw() < epsilon else best(table.Q[s], draw)
            s_next, reward, terminated, truncated = world.step(a)
            table.update(s, a, reward, s_next, terminated)
            if also is not None:
                also(table, s, a, reward, s_next, terminated)
            s, steps, total = s_next, steps + 1, total + reward
            ended = terminated or truncated or steps == settings.episode_steps
        if not -LARGEST <= total <= LARGEST:
            raise too_large(f"the return of episode {episode + 1} goes")
        cut += not (terminated or truncated)
        lengths.append(steps)
        returns.append(total)
        if watch is not None:
            watch(episode, steps, total, table)
    status = Status.MAX_ITERATIONS if cut else Status.DONE
    return QResult(np.array(table.Q), np.array(lengths), np.array(returns), status)


def _require_possible(world: Any, settings: Any, seed: Any) -> int:
    """Return the seed.  Raises ConfigError unless there is something to learn on, and settings to learn by."""
    try:
        sizes = whole("states", world.states, 1), whole("actions", world.actions, 1)
        possible = all(sizes) and callable(world.reset) and callable(world.step)
    except Exception:  # whatever somebody's object raises
        possible = False
    if not possible:
        raise ConfigError(f"the world is {shown(world)}; give one with states, actions, reset and step, see `Samples`")
    if not isinstance(settings, QLearningSettings):
        raise ConfigError(f"the settings are {shown(settings)}; give QLearningSettings(…)")
    return whole("seed", seed)


def best(values: list[float], draw: Callable[[], float]) -> int:
    """Return the index of the largest value, of those that tie one drawn at random."""
    top = max(values)
    if values.count(top) == 1:
        return values.index(top)
    tied = [action for action, value in enumerate(values) if value == top]
    return tied[int(draw() * len(tied))]
