"""The tour's pictures: `python results/pictures.py [NAME …]` draws docs/tour/NAME.png again (all if none is named).

What a command of docs/tour.md makes is drawn from just that command, run in a passing directory: read from the page, so that
picture and page cannot part.  What took hours is drawn from the tables beside this file.
"""

import csv
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from imagine import curves

from reverie.experiments.spec.paper_numbers import TABLE1
from reverie.maths.bootstrap import interval

HERE = Path(__file__).parent
TOUR = HERE.parent / "docs" / "tour.md"
FOLDER = HERE.parent / "docs" / "tour"
GREEN, GREY, RED, BLUE, GOLD = "#0b6e4f", "#7b8794", "#b5432a", "#2f5f98", "#b8860b"
PAPER = {domain: TABLE1[domain].naf for domain in ("peg", "reacher", "cartpole")}
Axes = Any


def commands(section: str) -> list[str]:
    """Return the fenced `reverie` commands of a section of the tour."""
    text = TOUR.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def run(command: str, folder: str) -> str:
    """Run one of them in `folder`; return what it printed."""
    words = [sys.executable, "-m", *shlex.split(command, comments=True)]
    return subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def table(name: str, **kinds: Callable) -> list[dict[str, Any]]:
    """Return rows of a CSV beside this file, columns converted."""
    with (HERE / name).open(newline="") as lines:
        return [{c: kinds.get(c, str)(v) for c, v in row.items()} for row in csv.DictReader(lines)]


def finish(axes: Axes, x: str, y: str, title: str, name: str | None = None) -> None:
    """Label axes; with a name, save the figure under it."""
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.25)
    if name is not None:
        axes.figure.savefig(FOLDER / f"{name}.png", dpi=100)
        plt.close(axes.figure)
        print(FOLDER / f"{name}.png", flush=True)


def figure(columns: int = 1, width: float = 6.0) -> tuple[Any, Any]:
    """Return a figure and its axes."""
    return plt.subplots(1, columns, figsize=(width, 3.4), layout="constrained")


def solved(section: str, name: str) -> None:
    """Keep the picture that the section's `reverie solve … -o` draws."""
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(section):
            if " -o " in command:
                run(command, folder)
        (drawn,) = Path(folder).glob("*.png")
        (FOLDER / f"{name}.png").write_bytes(drawn.read_bytes())
    print(FOLDER / f"{name}.png", flush=True)


def learnt(section: str, name: str, title: str) -> None:
    """Draw the training and evaluation returns of the section's `reverie train` commands."""
    _, axes = figure()
    with tempfile.TemporaryDirectory() as folder:
        colours = iter((GREEN, RED, BLUE))
        for command in (line for line in commands(section) if line.startswith("reverie train")):
            run(f"{command} --quiet", folder)
            out = Path(folder) / shlex.split(command)[shlex.split(command).index("--out") + 1]
            colour, agent = next(colours), shlex.split(command)[2].upper()
            for file, column, style in (("episodes", "return", "."), ("evaluations", "return_mean", "-o")):
                with (out / f"{file}.csv").open(newline="") as lines:
                    rows = list(csv.DictReader(lines))
                label = f"{agent}, greedy" if file == "evaluations" else f"{agent}, exploring"
                xy = [[float(row[c]) for row in rows] for c in ("step", column)]
                axes.plot(*xy, style, color=colour, alpha=0.35 if style == "." else 1, markersize=4, label=label)
    axes.legend(frameon=False)
    finish(axes, "real steps", "return of an episode", title, name)


def ilqg() -> None:
    """Draw cost, and promised against true falls, over the iterations of the swing-up's plan."""
    (command,) = (line for line in commands("iLQG") if "plan cartpole" in line)
    with tempfile.TemporaryDirectory() as folder:
        facts = json.loads(run(f"{command} --json", folder))
    rows = facts["table"]
    _, (left, right) = figure(2, 9.0)
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i]["steps"] != rows[first]["steps"] or rows[i]["iteration"] == 1:
            part = rows[first:i]
            left.plot(range(first + 1, i + 1), [row["cost"] for row in part], "-o", markersize=3)
            left.annotate(f"{part[0]['steps']}", (first + 1, part[0]["cost"]), fontsize=8, va="bottom")
            first = i
    finish(left, "iteration", "J", "cost; numbers: steps planned for")
    both = np.array([[row["expected"], row["fall"]] for row in rows if row["alpha"]])
    both = both[(both > 0).all(1)]
    right.loglog(*both.T, "o", color=GREEN, markersize=4)
    ends = [both.min(), both.max()]
    right.loglog(ends, ends, color=GREY, linewidth=1)
    finish(right, "fall of J that the model expects", "fall that came", "a step's promise and its worth", "ilqg")


def band(axes: Axes, found: dict[int, dict[int, float]], colour: str, label: str) -> None:
    """Draw the mean over seeds and its 95 % bootstrap interval."""
    episodes = sorted(set.intersection(*(set(curve) for curve in found.values())))
    values = np.array([[curve[e] for e in episodes] for curve in found.values()])
    bounds = [interval(lambda drawn: drawn.mean(-1), [column], np.random.default_rng(0)) for column in values.T]
    axes.plot(episodes, values.mean(0), color=colour, label=f"{label} ({len(values)})")
    axes.fill_between(episodes, *np.transpose(bounds), color=colour, alpha=0.15, linewidth=0)


def scores(name: str) -> list[dict[str, Any]]:
    """Return the rows of a table of scores by variant, seed and episode."""
    return table(name, seed=int, episode=int, return_mean=float)


def imagination() -> None:
    """Draw what imagination brings on reacher_single, from imagine.csv."""
    rows, (_, axes) = scores("imagine.csv"), figure(width=6.5)
    variants = {"plain": (GREY, "plain NAF"), "recent": (GOLD, "last real episodes again")}
    variants |= {
        "linear": (GREEN, "imagined, linear models"),
        "linear-bare": (BLUE, "the same without layer normalisation"),
    }
    for variant, (colour, label) in variants.items():
        band(axes, curves(rows, "reacher_single", variant), colour, label)
    axes.set(xlim=(5, 60), ylim=(-1.2, -0.3))
    axes.legend(frameon=False, fontsize=8, title="mean of so many seeds, 95 % interval", title_fontsize=8)
    finish(axes, "real episodes", "greedy return", "reacher_single", "imagination")


def paper() -> None:
    """Draw NAF with the paper's settings on three of its tasks, from paper-*.csv."""
    _, panels = figure(3, 10.0)
    for axes, (name, printed) in zip(panels, PAPER.items(), strict=True):
        rows = table(f"paper-{name}.csv", seed=int, step=int, return_mean=float)
        for seed in sorted({row["seed"] for row in rows}):
            mine = [row for row in rows if row["seed"] == seed]
            axes.plot([row["step"] / 150 for row in mine], [row["return_mean"] for row in mine], label=f"seed {seed}")
        axes.axhline(printed, color=GREY, linestyle="--", linewidth=1, label="the paper's NAF")
        axes.legend(frameon=False, fontsize=7)
        finish(axes, "episodes", "greedy return", name)
    finish(panels[0], "episodes", "greedy return", "peg", "paper")


def difficulties() -> None:
    """Draw the kettle with and without layer normalisation, from kettle*.csv."""
    _, axes = figure()
    for name, colour, label in (("kettle-plain", RED, "plain networks"), ("kettle", GREEN, "layer normalisation")):
        rows = table(f"{name}.csv", seed=int, step=int, return_mean=float)
        for seed in sorted({row["seed"] for row in rows}):
            mine = [row for row in rows if row["seed"] == seed]
            xy = [row["step"] / 60 for row in mine], [row["return_mean"] for row in mine]
            axes.plot(*xy, "-o", color=colour, alpha=0.6, markersize=4, label=None if seed else label)
    axes.axhline(-27.2, color=GREY, linestyle="--", linewidth=1, label="full power for ever")
    axes.legend(frameon=False)
    finish(axes, "real episodes", "greedy return", "the README's kettle, five seeds each", "difficulties")


def critique() -> None:
    """Draw the answers to the three questions, from critique.csv."""
    rows, (_, panels) = scores("critique.csv"), figure(3, 10.0)
    asked = {
        "one network or three": {
            "plain": (GREY, "three"),
            "shared": (RED, "one trunk"),
            "shared 176": (GREEN, "one of as many weights"),
        },
        "who drives half of the episodes": {"plain": (GREY, "NAF drives all"), "planner": (BLUE, "iLQG half")},
        "minibatch": {"batch 32": (GOLD, "32"), "plain": (GREY, "100"), "batch 256": (RED, "256")},
    }
    for axes, (title, variants) in zip(panels, asked.items(), strict=True):
        for variant, (colour, label) in variants.items():
            band(axes, curves(rows, "reacher_single", variant), colour, label)
        axes.set(ylim=(-1.2, -0.3))
        axes.legend(frameon=False, fontsize=8)
        finish(axes, "real episodes", "greedy return", title)
    finish(panels[0], "real episodes", "greedy return", "one network or three", "critique")


PICTURES: dict[str, Callable[[], None]] = {
    "values": lambda: solved("Bellman equations", "values"),
    "q-learning": lambda: solved("Q-learning", "q-learning"),
    "dyna-q": lambda: solved("Dyna-Q", "dyna-q"),
    "difficulties": difficulties,
    "dqn": lambda: learnt("Deep Q-learning", "dqn", "CartPole-v1, seed 0"),
    "ddpg": lambda: learnt("DDPG", "ddpg", "Pendulum-v1, seed 0"),
    "naf": lambda: learnt("NAF", "naf", "Pendulum-v1, seed 0"),
    "ilqg": ilqg,
    "imagination": imagination,
    "paper": paper,
    "outlook": lambda: learnt("Outlook", "outlook", "Pendulum-v1, seed 0"),
    "critique": critique,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for asked in sys.argv[1:] or PICTURES:
        PICTURES[asked]()
