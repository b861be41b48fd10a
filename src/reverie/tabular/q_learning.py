"""Q-learning: learn optimal action values from samples.  Watkins 1989; Sutton & Barto 2018, sections 6.5 and 2.2.

The update is Q(S, A) <- Q(S, A) + α [R + γ max_a Q(S', a) - Q(S, A)], equation 6.8. Actions are epsilon-greedy.

Where we differ from the book:

 1. Equal values are chosen between at random, because from Q = 0 nothing else would explore. The book does not say.
 2. α = learning_rate / N(s, a)^decay, where N counts the updates of (s, a). By default decay is 0, and α constant as in
    the book. If steps are random, Q converges only with decay in (1/2, 1].
 3. A time limit is not the end of an episode: the last update uses the value of S'. The book has no time limits.

Tables are plain lists, because with few actions NumPy's calls would take most of the time.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from reverie.core.argument_checks import shown, whole
from reverie.core.checked_settings import Settings
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.seeds import NOISE, seed_of
from reverie.core.status import Status
from reverie.tabular.limits import LARGEST, too_large
from reverie.tabular.termination import check_discount


class Samples(Protocol):
    """An environment with S states and A actions that are numbered from 0."""

    states: int
    actions: int

    def reset(self, episode: int) -> int:
        """Start episode number `episode` and return its first state."""
        ...

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Take a step and return (next state, reward, terminated, truncated)."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class QLearningSettings(Settings):
    """Settings of Q-learning and Dyna-Q.  Raises ConfigError where a value is out of range."""

    discount: float = 0.99
    """γ: how much the next step's value counts, from 0 to 1."""
    learning_rate: float = 0.1
    """α: step size of the first update of each state and action."""
    decay: float = 0.0
    """Exponent D of the step size α / N^D, after N updates of a state and action. 0: constant."""
    epsilon: float = 0.1
    """ε: share of actions that are drawn at random."""
    episodes: int = 500
    """Number of episodes to learn from."""
    episode_steps: int = 100_000
    """Most steps of an episode. It ends episodes that would never end otherwise."""

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
    """The learnt values, and the length and return of each of E episodes."""

    action_values: np.ndarray  # Q [S, A]
    lengths: np.ndarray  # steps of each episode [E]
    returns: np.ndarray  # undiscounted returns [E]
    status: Status  # DONE; MAX_ITERATIONS: an episode was cut at `episode_steps`


class Table:
    """The table Q, and its update, which Q-learning and Dyna-Q share."""

    def __init__(self, states: int, actions: int, settings: QLearningSettings):
        self.Q = [[0.0] * actions for _ in range(states)]
        self._settings = settings
        self._updates = [[0] * actions for _ in range(states)]

    def update(self, s: int, a: int, reward: float, s_next: int, terminated: bool) -> None:
        """Update Q(s, a) from one transition.  Equation 6.8.  Raises ConfigError where the value is too large."""
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
    """Run Q-learning for `settings.episodes` episodes.

    world: the environment.  seed: of actions.  also: called with (table, s, a, reward, s', terminated) after each
    update; Dyna-Q plans there.  watch: called with (episode, steps, return, table) after each episode.
    Raises ConfigError where an argument is wrong, and where a value or a return is too large.
    Source: Sutton & Barto 2018, section 6.5.
    """
    seed = _require_possible(world, settings, seed)
    table = Table(world.states, world.actions, settings)
    draw, epsilon = np.random.default_rng(seed_of(seed, NOISE)).random, settings.epsilon
    lengths, returns, cut = [], [], 0
    for episode in range(settings.episodes):
        s, steps, total = world.reset(episode), 0, 0.0
        ended = terminated = truncated = False
        while not ended:
            raise_if_interrupted()
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
    """Return the seed.  Raises ConfigError unless environment, settings and seed are of the right kind."""
    try:
        sizes = whole("states", world.states, 1), whole("actions", world.actions, 1)
        possible = all(sizes) and callable(world.reset) and callable(world.step)
    except Exception:  # a user's object may raise anything
        possible = False
    if not possible:
        raise ConfigError(f"the world is {shown(world)}; give one with states, actions, reset and step, see `Samples`")
    if not isinstance(settings, QLearningSettings):
        raise ConfigError(f"the settings are {shown(settings)}; give QLearningSettings(…)")
    return whole("seed", seed)


def best(values: list[float], draw: Callable[[], float]) -> int:
    """Return the index of the largest value, at random among equal ones.  draw: () -> uniform in [0, 1)."""
    top = max(values)
    if values.count(top) == 1:
        return values.index(top)
    tied = [action for action, value in enumerate(values) if value == top]
    return tied[int(draw() * len(tied))]
