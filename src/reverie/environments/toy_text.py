"""Worlds whose states and actions are numbers: Gymnasium's toy-text tasks, our mazes, and whatever else is like them.

Some tell their table of transitions: `env.unwrapped.P[s][a]`, a list of (probability, next state, reward, terminated).
"""

import math
from collections.abc import Sized
from typing import Any

import gymnasium as gym
import numpy as np

from reverie.core.errors import ConfigError, SpaceError, WorldError
from reverie.core.seeds import RESET, seed_of
from reverie.domains import maze
from reverie.environments.blocking_calls import RESET as RESETTING
from reverie.environments.blocking_calls import STEP, failed
from reverie.environments.env_adapter import LARGEST_SPACE, EnvSource, adapter_of, make_gym_env
from reverie.environments.values import RESET_GIVES, STEP_GIVES, finite_number, parts_of, shown, truth
from reverie.tabular.grid import Grid
from reverie.tabular.mdp import MDP, from_outcomes
from reverie.tabular.outcomes import of_table

LARGEST_TABLE = 20_000_000  # values of states and actions, some bytes each
ARROWS = {
    "FrozenLakeEnv": ("←", "↓", "→", "↑"),
    "CliffWalkingEnv": ("↑", "→", "↓", "←"),
    "TaxiEnv": ("↓", "↑", "→", "←", "+", "-"),  # + picks the passenger up, - lets them out
    "MazeEnv": maze.ARROWS,
}
HARMLESS = (gym.wrappers.TimeLimit, gym.wrappers.OrderEnforcing, gym.wrappers.PassiveEnvChecker)


class DiscreteEnvAdapter:
    """An environment as tabular learners see it: S states, A actions, numbered from 0.

    Tuples of discrete observations (Blackjack's) are numbered too.  options: passed on to the maker.  Raises SpaceError
    where the spaces are not discrete, WorldError where a step is not what they say.
    """

    def __init__(self, source: EnvSource, seed: int = 0, **options: Any):
        world = adapter_of(*make_gym_env(source, **options), largest=math.inf)  # a table has a limit of its own
        self._world, self.env, self.name, self._seed = world, world.env, world.name, seed
        self._sizes, self._first = _sizes(self.env.observation_space), _first(self.env.observation_space)
        if not self._sizes or not isinstance(self.env.action_space, gym.spaces.Discrete):
            spaces = f"observations {self.env.observation_space}, actions {self.env.action_space}"
            self.env.close()
            raise SpaceError(
                f"{self.name} is no table ({' '.join(spaces.split())}); `reverie solve` needs Discrete spaces, as "
                "FrozenLake-v1, Taxi-v4, CliffWalking-v1 and dyna-maze have: use `reverie train` here"
            )
        self.states, self.actions = math.prod(map(int, self._sizes)), int(self.env.action_space.n)
        if self.states * self.actions > LARGEST_TABLE:
            self.env.close()
            train = "use `reverie train` here"
            if self.states > LARGEST_SPACE or self.actions > LARGEST_SPACE:
                train = "describe states and actions by few numbers (a Box each) and use `reverie train`"
            raise SpaceError(
                f"{self.name}: a table of {self.states:,} states and {self.actions:,} actions does not fit; "
                f"at most {LARGEST_TABLE:,} entries do: {train}"
            )
        self._first_action, self._steps = int(self.env.action_space.start), 0

    def reset(self, episode: int) -> int:
        """Start episode number `episode`; return its first state."""
        try:
            with RESETTING:
                found = self.env.reset(seed=seed_of(self._seed, RESET, episode))
        except BaseException as error:
            raise failed(self.name, "raised in reset", error) from error
        return self._number(parts_of(self.name, "reset", found, RESET_GIVES)[0])

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Return next state, reward, terminated, truncated."""
        try:
            with STEP:
                found = self.env.step(action + self._first_action)
        except BaseException as error:
            raise failed(self.name, "raised in a step", error) from error
        self._steps += 1
        observation, reward, terminated, truncated, _ = parts_of(self.name, "step", found, STEP_GIVES)
        if type(reward) is not float or reward - reward != 0.0:
            reward = finite_number(self.name, "a reward", reward)
        terminated = truth(self.name, "terminated", self._steps, terminated)
        return self._number(observation), reward, terminated, truth(self.name, "truncated", self._steps, truncated)

    def _number(self, observation: Any) -> int:
        parts = observation if self._first.shape else (observation,)
        state = 0
        try:
            for part, size, first in zip(parts, self._sizes, self._first.ravel().tolist(), strict=True):
                if not 0 <= int(part) - first < size or isinstance(part, str) or int(part) != part:
                    raise ValueError
                state = state * size + int(part) - first
        except Exception:  # whatever a strange object raises when it is looked at
            said = f"an observation is {shown(observation)}; {self.env.observation_space} says else"
            raise WorldError(f"{self.name}: {said}") from None
        return state

    def table(self) -> MDP:
        """Return the table of transitions.  Raises ConfigError where there is none, or none that is right."""
        reason = self._no_table()
        if reason:
            raise ConfigError(
                f"{self.name} has no table of transitions ({reason}), which value and policy iteration need: "
                "learn it from samples, --method q-learning or dyna-q"
            )
        starts = self._told("initial_state_distrib")
        try:
            return from_outcomes(
                of_table(self._told("P"), self.states, self.actions), self.states, self.actions, starts
            )
        except ConfigError as error:
            raise ConfigError(f"{self.name}: {error}") from None

    def _told(self, what: str) -> Any:
        """Return what the environment tells of itself, None where it does not."""
        try:
            return getattr(self.env.unwrapped, what, None)
        except BaseException as error:  # of a property of theirs
            raise failed(self.name, f"raised when asked for {what}", error) from error

    def close(self) -> None:
        """Release the environment."""
        self._world.close()

    @property
    def has_table(self) -> bool:
        """Whether the environment tells its table of transitions, and the table tells all."""
        return not self._no_table()

    def _no_table(self) -> str:
        """Return why there is no table, or nothing."""
        env: Any = self.env
        while isinstance(env, gym.Wrapper):
            if not isinstance(env, HARMLESS):
                return f"{type(env).__name__} is round it"
            env = env.env
        if getattr(env, "fickle_passenger", False):
            return "it does not tell of the fickle passenger"
        table = self._told("P")
        return "env.unwrapped.P" if table is None or (isinstance(table, Sized) and not len(table)) else ""

    def grid(self) -> Grid | None:
        """Return where the states lie on paper, or None if nobody knows."""
        env: Any = self.env.unwrapped
        arrows = ARROWS.get(type(env).__name__)
        if arrows is None:
            return None
        if type(env).__name__ == "TaxiEnv":
            return _taxi(env, arrows)
        if type(env).__name__ == "CliffWalkingEnv":
            letters = np.full(env.shape, " ")
            letters[3, 0], letters[3, 1:-1], letters[3, -1] = "S", "C", "G"
        else:
            letters = np.where(np.isin(env.desc.astype(str), ("F", ".")), " ", env.desc.astype(str))
        nobody = np.isin(letters, ("#", "C"))  # the cliff sends back to the start whoever steps over its edge
        cells = np.where(nobody, -1, np.arange(letters.size).reshape(letters.shape))
        return Grid(cells[None], letters, ("",), arrows)


def _taxi(env: Any, arrows: tuple[str, ...]) -> Grid:
    """Return a map for each place of the passenger that episodes meet, and each destination."""
    places = "RGYB"
    letters = np.full((5, 5), " ")
    for (row, column), letter in zip(env.locs, places, strict=True):
        letters[row, column] = letter
    pairs = [(at, to) for to in range(4) for at in (*range(4), 4) if at != to]
    cells = [[[env.encode(r, c, at, to) for c in range(5)] for r in range(5)] for at, to in pairs]
    titles = tuple(f"{'aboard' if at == 4 else 'at ' + places[at]}, to {places[to]}" for at, to in pairs)
    return Grid(np.array(cells), letters, titles, arrows)


def _sizes(space: gym.Space) -> list[int]:
    """Return how many values each part of an observation has; [] where that is not a few whole numbers."""
    if isinstance(space, gym.spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, gym.spaces.MultiDiscrete):
        return [int(n) for n in space.nvec.ravel()]
    if isinstance(space, gym.spaces.Tuple):
        parts = [_sizes(part) for part in space]
        return [part[0] for part in parts] if all(len(part) == 1 for part in parts) else []
    return []


def _first(space: gym.Space) -> np.ndarray:
    """Return the least value of each part of an observation; a scalar where there are no parts."""
    if isinstance(space, gym.spaces.Tuple):
        return np.array([int(getattr(part, "start", 0)) for part in space])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return np.asarray(space.start).ravel()
    return np.array(getattr(space, "start", 0))
