"""How much does planning save?  `python results/dyna.py`: Sutton & Barto 2018, example 8.1 and figure 8.2, again.

Dyna-Q with 0, 5 and 50 planning steps on their maze (γ .95, α .1, ε .1), 30 runs of 50 episodes each.  `dyna.csv` holds a
row per episode: its steps, and how many the greedy policy takes after it (14 at best; empty: it goes in circles).
`docs/dyna.png` is drawn from it.  Half a minute.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from reverie.domains.maze import MAZES, find, move
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.tabular.dyna_q import dyna_q
from reverie.tabular.q_learning import QLearningSettings, Table

HERE = Path(__file__).parent
ROWS = MAZES["dyna-maze"].rows
PLANNING, RUNS, BEST = (0, 5, 50), 30, 14
SETTINGS = QLearningSettings(discount=0.95, learning_rate=0.1, epsilon=0.1, episodes=50)
COLUMNS = ("planning_steps", "run", "episode", "steps", "greedy")


def greedy_steps(table: Table) -> int | None:
    """Return how many steps the greedy policy takes from the start, None if it does not arrive."""
    (state,), (goal,) = find(ROWS, "S"), find(ROWS, "G")
    for steps in range(len(table.Q)):
        if state == goal:
            return steps
        state = move(ROWS, state, int(np.argmax(table.Q[state])))
    return None


def learn(planning_steps: int, run: int) -> list[tuple]:
    """Return a row per episode of one run."""
    rows = []

    def watch(episode: int, steps: int, total: float, table: Table) -> None:
        del total
        rows.append((planning_steps, run, episode + 1, steps, greedy_steps(table)))

    dyna_q(DiscreteEnvAdapter("dyna-maze", seed=run), SETTINGS, planning_steps, seed=run, watch=watch)
    return rows


def summarise(rows: list[dict[str, str]]) -> None:
    """Print what the page says of it."""
    for n in PLANNING:
        mine = [row for row in rows if row["planning_steps"] == str(n)]
        steps = np.array([int(row["steps"]) for row in mine]).reshape(RUNS, -1)
        greedy = np.array([int(row["greedy"] or 1000) for row in mine]).reshape(RUNS, -1)
        print(
            f"n = {n:2}: mean steps at most {1.5 * BEST:g} from episode {np.argmax(steps.mean(0) <= 1.5 * BEST) + 1}; "
            f"greedy policy of at most {BEST + 2} steps {_first(greedy <= BEST + 2)}; of {BEST} {_first(greedy == BEST)}; "
            + ", ".join(f"episode {e}: {steps[:, e - 1].mean():.4g}" for e in (1, 2, 3, 5, 10, 20, 50))
        )


def _first(reached: np.ndarray) -> str:
    """Return after how many episodes runs first get there; reached: [RUNS, episodes]."""
    got = reached.any(1)
    first = reached[got].argmax(1) + 1
    return f"after {np.median(first):g} ({first.min()} to {first.max()}) episodes in {got.sum()} of {RUNS} runs"


def draw(rows: list[dict[str, str]], output: Path) -> None:
    """Draw mean steps against episodes, with 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for n, colour in zip(PLANNING, ("#c44536", "#3d6fb6", "#0b6e4f"), strict=True):
        steps = np.array([int(r["steps"]) for r in rows if r["planning_steps"] == str(n)]).reshape(RUNS, -1)
        mean, half = steps.mean(0), 1.96 * steps.std(0, ddof=1) / RUNS**0.5
        episodes = np.arange(2, steps.shape[1] + 1)  # as in the book: the first is the same for all
        axes.plot(episodes, mean[1:], color=colour, label=f"{n} planning steps")
        axes.fill_between(episodes, (mean - half)[1:], (mean + half)[1:], color=colour, alpha=0.2, linewidth=0)
    axes.axhline(BEST, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(xlabel="episode", ylabel="steps to the goal", ylim=(0, 800), title="Dyna maze, mean of 30 runs")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(output, dpi=90)
    plt.close(figure)


def main() -> None:
    """Learn what the CSV lacks, then draw and print."""
    file = HERE / "dyna.csv"
    if not file.exists():
        rows = [row for n in PLANNING for run in range(RUNS) for row in learn(n, run)]
        with file.open("w", newline="") as lines:
            csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    draw(rows, HERE.parent / "docs" / "dyna.png")
    summarise(rows)


if __name__ == "__main__":
    sys.exit(main())
