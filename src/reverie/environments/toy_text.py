"""Environments whose states and actions are numbered: Gymnasium's toy-text tasks, our mazes, and similar ones.

Some have a table of transitions: `env.unwrapped.P[s][a]` is a list of (probability, next state, reward, terminated).
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
from reverie.environments.env_adapter import LARGEST_SPACE, adapter_of
from reverie.environments.env_factory import EnvSource, make_gym_env
from reverie.environments.values import RESET_GIVES, STEP_GIVES, finite_number, parts_of, shown, truth
from reverie.tabular.grid import Grid
from reverie.tabular.mdp import MDP, from_outcomes
from reverie.tabular.outcomes import of_table

LARGEST_TABLE = 20_000_000  # most pairs of a state and an action
ARROWS = {
    "FrozenLakeEnv": ("←", "↓", "→", "↑"),
    "CliffWalkingEnv": ("↑", "→", "↓", "←"),
    "TaxiEnv": ("↓", "↑", "→", "←", "+", "-"),  # + picks the passenger up, - drops them off
    "MazeEnv": maze.ARROWS,
}
HARMLESS = (gym.wrappers.TimeLimit, gym.wrappers.OrderEnforcing, gym.wrappers.PassiveEnvChecker)


class DiscreteEnvAdapter:
    """An environment as tabular learners see it: S states and A actions, numbered from 0.

    Tuples of discrete observations (such as Blackjack's) are numbered as well.

    source: as `make_env` takes it.  seed: of resets.  options: passed on to what makes the environment.
    Raises SpaceError where a space is not discrete or too large, and WorldError where a step returns wrong values.
    """

    def __init__(self, source: EnvSource, seed: int = 0, **options: Any):
        adapter = adapter_of(*make_gym_env(source, **options), largest=math.inf)  # the limit of tables is checked below
        self._adapter, self.env, self.name, self._seed = adapter, adapter.env, adapter.name, seed
        self._sizes, self._first = _sizes(self.env.observation_space), _first(self.env.observation_space)
        if not self._sizes or not isinstance(self.env.action_space, gym.spaces.Discrete):
            spaces = f"observations {self.env.observation_space}, actions {self.env.action_space}"
            self.env.close()
            raise SpaceError(
                f"{self.name} is not discrete ({' '.join(spaces.split())}); `reverie solve` needs Discrete spaces, as "
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
        """Start episode number `episode` and return its first state."""
        try:
            with RESETTING:
                found = self.env.reset(seed=seed_of(self._seed, RESET, episode))
        except BaseException as error:
            raise failed(self.name, "raised in reset", error) from error
        return self._number(parts_of(self.name, "reset", found, RESET_GIVES)[0])

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Take a step and return (next state, reward, terminated, truncated).  action: 0 to A - 1."""
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
        except Exception:  # a user's object may raise anything when it is read
            text = f"an observation is {shown(observation)}, which is not in {self.env.observation_space}"
            raise WorldError(f"{self.name}: {text}") from None
        return state

    def table(self) -> MDP:
        """Return the table of transitions.  Raises ConfigError where there is none, or where it is wrong."""
        reason = self._no_table()
        if reason:
            raise ConfigError(
                f"{self.name} has no table of transitions ({reason}), which value and policy iteration need: "
                "learn it from samples, --method q-learning or dyna-q"
            )
        starts = self._attribute("initial_state_distrib")
        try:
            return from_outcomes(
                of_table(self._attribute("P"), self.states, self.actions), self.states, self.actions, starts
            )
        except ConfigError as error:
            raise ConfigError(f"{self.name}: {error}") from None

    def _attribute(self, what: str) -> Any:
        """Return the environment's attribute `what`, or None.  Raises WorldError where reading it raises."""
        try:
            return getattr(self.env.unwrapped, what, None)
        except BaseException as error:  # raised by a property of the environment
            raise failed(self.name, f"raised when asked for {what}", error) from error

    def close(self) -> None:
        """Close the environment."""
        self._adapter.close()

    @property
    def has_table(self) -> bool:
        """Whether the environment has a table of transitions that is complete."""
        return not self._no_table()

    def _no_table(self) -> str:
        """Return the reason why there is no table, or "" if there is one."""
        env: Any = self.env
        while isinstance(env, gym.Wrapper):
            if not isinstance(env, HARMLESS):
                return f"it is wrapped in {type(env).__name__}"
            env = env.env
        if getattr(env, "fickle_passenger", False):
            return "its table leaves out the fickle passenger"
        table = self._attribute("P")
        return "env.unwrapped.P" if table is None or (isinstance(table, Sized) and not len(table)) else ""

    def grid(self) -> Grid | None:
        """Return the positions of the states on a map, or None if they are not known."""
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
        nobody = np.isin(letters, ("#", "C"))  # no state is in a wall or in the cliff (which leads back to the start)
        cells = np.where(nobody, -1, np.arange(letters.size).reshape(letters.shape))
        return Grid(cells[None], letters, ("",), arrows)


def _taxi(env: Any, arrows: tuple[str, ...]) -> Grid:
    """Return a map for each pair of a passenger's place and a destination that occurs in episodes."""
    places = "RGYB"
    letters = np.full((5, 5), " ")
    for (row, column), letter in zip(env.locs, places, strict=True):
        letters[row, column] = letter
    pairs = [(at, to) for to in range(4) for at in (*range(4), 4) if at != to]
    cells = [[[env.encode(r, c, at, to) for c in range(5)] for r in range(5)] for at, to in pairs]
    titles = tuple(f"{'aboard' if at == 4 else 'at ' + places[at]}, to {places[to]}" for at, to in pairs)
    return Grid(np.array(cells), letters, titles, arrows)


def _sizes(space: gym.Space[Any]) -> list[int]:
    """Return the number of values of each part of an observation; [] if the space is not discrete."""
    if isinstance(space, gym.spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, gym.spaces.MultiDiscrete):
        return [int(n) for n in space.nvec.ravel()]
    if isinstance(space, gym.spaces.Tuple):
        parts = [_sizes(part) for part in space]
        return [part[0] for part in parts] if all(len(part) == 1 for part in parts) else []
    return []


def _first(space: gym.Space[Any]) -> np.ndarray:
    """Return the smallest value of each part of an observation; a scalar if there are no parts."""
    if isinstance(space, gym.spaces.Tuple):
        return np.array([int(getattr(part, "start", 0)) for part in space])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return np.asarray(space.start).ravel()
    return np.array(getattr(space, "start", 0))
