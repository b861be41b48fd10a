"""How much does planning save?  Sutton & Barto 2018, example 8.1 and figure 8.2, again.

Dyna-Q with 0, 5 and 50 planning steps on their maze (γ .95, α .1, ε .1), 30 runs of 50 episodes each.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from reverie.domains.maze import MAZES, find, move
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.tabular.dyna_q import dyna_q
from reverie.tabular.q_learning import QLearningSettings, Table
from studies import plots
from studies.study import Row, Study
from studies.summaries import where

ROWS = MAZES["dyna-maze"].rows
PLANNING, RUNS, BEST = (0, 5, 50), 30, 14
NEVER = 1000  # steps of a greedy policy that goes in circles, for comparisons
COLUMNS = ("planning_steps", "run", "episode", "steps", "greedy")
SETTINGS = QLearningSettings(discount=0.95, learning_rate=0.1, epsilon=0.1, episodes=50)


def greedy_steps(table: Table) -> int | None:
    """Return how many steps the greedy policy takes from the start, None if it does not arrive."""
    (state,), (goal,) = find(ROWS, "S"), find(ROWS, "G")
    for steps in range(len(table.Q)):
        if state == goal:
            return steps
        state = move(ROWS, state, int(np.argmax(table.Q[state])))
    return None


def learn(planning_steps: int, run: int) -> Iterator[Row]:
    """Yield a row per episode of one run: its steps, and those of the greedy policy after it."""
    rows: list[Row] = []

    def watch(episode: int, steps: int, total: float, table: Table) -> None:
        del total
        rows.append({"episode": episode + 1, "steps": steps, "greedy": greedy_steps(table)})

    dyna_q(DiscreteEnvAdapter("dyna-maze", seed=run), SETTINGS, planning_steps, seed=run, watch=watch)
    yield from rows


def _steps(rows: list[Row], planning_steps: int, column: str = "steps") -> np.ndarray:
    """Return steps [RUNS, episodes]."""
    found = [NEVER if row[column] is None else row[column] for row in where(rows, planning_steps=planning_steps)]
    return np.array(found).reshape(-1, SETTINGS.episodes)


def _verdict(rows: list[Row]) -> Iterator[str]:
    near, short = 1.5 * BEST, BEST + 2
    for n in sorted({row["planning_steps"] for row in rows}):
        steps, greedy = _steps(rows, n), _steps(rows, n, "greedy")
        means = ", ".join(f"episode {e}: {steps[:, e - 1].mean():.4g}" for e in (1, 2, 3, 5, 10, 20, 50))
        yield (
            f"{n} planning steps: mean steps at most {near:g} from episode {np.argmax(steps.mean(0) <= near) + 1}; "
            f"greedy policy of at most {short} steps {_first(greedy <= short)}; of {BEST} {_first(greedy == BEST)}; {means}"
        )


def _first(reached: np.ndarray) -> str:
    """Return after how many episodes runs first get there; reached: [RUNS, episodes]."""
    got = reached.any(1)
    if not got.any():
        return f"in none of {len(reached)} runs"
    first = reached[got].argmax(1) + 1
    return f"after {np.median(first):g} ({first.min()} to {first.max()}) episodes in {got.sum()} of {len(reached)} runs"


def _draw(rows: list[Row], path: Path) -> None:
    """Draw mean steps against episodes, with 95 % intervals."""
    axes = plots.axes(6, 3.6)
    for n, colour in zip(PLANNING, ("#c44536", "#3d6fb6", "#0b6e4f"), strict=True):
        steps = _steps(rows, n)
        mean, half = steps.mean(0), 1.96 * steps.std(0, ddof=1) / len(steps) ** 0.5
        episodes = np.arange(2, steps.shape[1] + 1)  # as in the book: the first is the same for all
        axes.plot(episodes, mean[1:], color=colour, label=f"{n} planning steps")
        axes.fill_between(episodes, (mean - half)[1:], (mean + half)[1:], color=colour, alpha=0.2, linewidth=0)
    axes.axhline(BEST, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(xlabel="episode", ylabel="steps to the goal", ylim=(0, 800), title="Dyna maze, mean of 30 runs")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    plots.save(axes, path, dpi=90)


STUDY = Study(
    name="dyna",
    question="How many episodes do planning steps of Dyna-Q save?",
    variants=tuple(f"{n} planning steps" for n in PLANNING),
    tasks=("dyna-maze",),
    seeds=RUNS,
    scored="steps of an episode, and of the greedy policy after it (empty: it goes in circles)",
    minutes=1,
    quoted=("docs/tabular.md", "docs/tour.md"),
    columns=COLUMNS,
    key=("planning_steps", "run"),
    cells=tuple((n, run) for n in PLANNING for run in range(RUNS)),
    run=learn,
    verdict=_verdict,
    pictures={"dyna.png": _draw},
)
