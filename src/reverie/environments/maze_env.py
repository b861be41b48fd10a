"""A grid maze as a Gymnasium environment, with a table of transitions `P` like that of Gymnasium's toy-text tasks."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from reverie.core.errors import ConfigError, unknown
from reverie.domains.maze import MAZES, find, table


class MazeEnv(gym.Env):
    """A grid maze. An episode ends at the goal.

    maze: the name of a maze.  rows: a map instead of the named one. Its rows have equal length and hold `#` (wall), `.`
    (free), one or more `S` (start) and one or more `G` (goal).  slip: probability that a move goes astray.
    Raises ConfigError where a name, a map or a probability is wrong.
    """

    def __init__(self, maze: str = "dyna-maze", rows: Sequence[str] | None = None, slip: float | None = None):
        if maze not in MAZES:
            raise unknown("maze", maze, MAZES)
        rows = MAZES[maze].rows if rows is None else tuple(rows)
        self.slip = MAZES[maze].slip if slip is None else slip
        if not 0 <= self.slip <= 1:
            raise ConfigError(f"slip is {self.slip}; it must lie in [0, 1]")
        for number, row in enumerate(rows):
            if len(row) != len(rows[0]) or set(row) - set("#.SG"):
                raise ConfigError(
                    f"row {number} of the maze is {row!r}; rows have the same length and consist of # . S G"
                )
        starts = find(rows, "S")
        if not starts or not find(rows, "G"):
            raise ConfigError("the maze lacks a start S or a goal G")
        self.desc = np.array([list(row) for row in rows])
        self.P = table(rows, self.slip)
        self.initial_state_distrib = np.zeros(self.desc.size)
        self.initial_state_distrib[starts] = 1 / len(starts)
        self.observation_space, self.action_space = gym.spaces.Discrete(self.desc.size), gym.spaces.Discrete(4)
        self._starts, self.s = starts, starts[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Start an episode at one of the starts, drawn uniformly.  Returns (state, {})."""
        super().reset(seed=seed)
        self.s = self._starts[int(self.np_random.random() * len(self._starts))]
        return self.s, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Make one move.  action: 0 to 3.  Returns (state, reward, terminated, truncated, {})."""
        outcomes, left, i = self.P[self.s][int(action)], 1.0, 0
        if len(outcomes) > 1:
            left = self.np_random.random()
            while left >= outcomes[i][0] and i < len(outcomes) - 1:
                left, i = left - outcomes[i][0], i + 1
        _, self.s, reward, terminated = outcomes[i]
        return self.s, reward, terminated, False, {}
