"""Dyna-Q, Sutton 1990: learning, planning and acting at once.  Sutton & Barto 2018, section 8.2, the boxed algorithm.

After each real step, whose outcome a model remembers, n steps that were taken before are updated again as if they had just
been taken (lines (e) and (f)).  With n = 0 it is Q-learning.  Differences (ours / the book's):
 1. Planning draws from random numbers of its own / not said.  So runs with different n explore alike until they learn.

The model keeps the last outcome of each step, which is all there is to know where steps are not random.
"""

import numpy as np

from reverie.core.argument_checks import whole
from reverie.core.seeds import SAMPLE, seed_of
from reverie.tabular.q_learning import Also, QLearningSettings, QResult, Samples, Table, Watch, q_learning


def dyna_q(
    world: Samples, settings: QLearningSettings, planning_steps: int = 5, seed: int = 0, watch: Watch | None = None
) -> QResult:
    """Return what Dyna-Q learns in `settings.episodes` episodes with n = `planning_steps` after each real step."""
    planning_steps, seed = whole("planning_steps", planning_steps), whole("seed", seed)
    return q_learning(world, settings, seed, planner(planning_steps, seed) if planning_steps else None, watch)


def planner(planning_steps: int, seed: int) -> Also:
    """Return the function that remembers a real step, then plans."""
    draw = np.random.default_rng(seed_of(seed, SAMPLE)).random
    states: list[int] = []  # in the order of their first visits
    taken: dict[int, list[int]] = {}  # in each of them
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
