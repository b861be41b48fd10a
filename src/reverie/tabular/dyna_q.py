"""Dyna-Q: learn from real steps and from steps that a model remembers.  Sutton 1990; Sutton & Barto 2018, section 8.2.

A model stores the outcome of each real step (line (e) of the book's algorithm). Then n earlier steps are drawn, and
updated again as if they had just been taken (line (f)). With n = 0 it is Q-learning. The model keeps only the last
outcome of each step, which is enough if outcomes are not random.

The book does not say how planning draws its random numbers. Here it has a generator of its own, so that runs with
different n explore in the same way until they learn something different.
"""

import numpy as np

from reverie.core.argument_checks import whole
from reverie.core.seeds import SAMPLE, seed_of
from reverie.tabular.q_learning import Also, QLearningSettings, QResult, Samples, Table, Watch, q_learning


def dyna_q(
    world: Samples, settings: QLearningSettings, planning_steps: int = 5, seed: int = 0, watch: Watch | None = None
) -> QResult:
    """Run Dyna-Q for `settings.episodes` episodes.

    planning_steps: n, the number of remembered steps that are updated after each real step.  watch: as in `q_learning`.
    Raises ConfigError as `q_learning` does, and where a number is out of range.
    """
    planning_steps, seed = whole("planning_steps", planning_steps), whole("seed", seed)
    return q_learning(world, settings, seed, planner(planning_steps, seed) if planning_steps else None, watch)


def planner(planning_steps: int, seed: int) -> Also:
    """Return a function that stores a real step in the model, then makes `planning_steps` updates from the model."""
    draw = np.random.default_rng(seed_of(seed, SAMPLE)).random
    states: list[int] = []  # visited states, in the order of their first visits
    taken: dict[int, list[int]] = {}  # actions taken in each of them
    model: dict[tuple[int, int], tuple[float, int, bool]] = {}

    def plan(table: Table, s: int, a: int, reward: float, s_next: int, terminated: bool) -> None:
        if (s, a) not in model:  # line (e)
            if s not in taken:
                states.append(s)
                taken[s] = []
            taken[s].append(a)
        model[s, a] = reward, s_next, terminated
        for _ in range(planning_steps):  # line (f)
            s = states[int(draw() * len(states))]
            a = taken[s][int(draw() * len(taken[s]))]
            reward, s_next, terminated = model[s, a]
            table.update(s, a, reward, s_next, terminated)

    return plan
