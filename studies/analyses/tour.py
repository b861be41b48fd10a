"""The tour's pictures that its own commands make.

The commands are read from docs/tour.md and run in a folder that is removed afterwards, so picture and page cannot part.
"""

import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from reverie.storage.tables import read_rows
from studies import plots
from studies.study import DOCS, Row, Study

TOUR = DOCS / "tour.md"


def commands(section: str) -> list[str]:
    """Return the fenced `reverie` commands of a section of the tour."""
    text = TOUR.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def run(command: str, folder: str) -> str:
    """Run one of them in `folder`; return what it printed."""
    words = [sys.executable, "-m", *shlex.split(command, comments=True)]
    return subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def solved(section: str, rows: list[Row], path: Path) -> None:
    """Keep the picture that the section's `reverie solve … -o` draws."""
    del rows
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(section):
            if " -o " in command:
                run(command, folder)
        (drawn,) = Path(folder).glob("*.png")
        path.write_bytes(drawn.read_bytes())


def learnt(section: str, title: str, rows: list[Row], path: Path) -> None:
    """Draw the training and evaluation returns of the section's `reverie train` commands."""
    del rows
    axes = plots.axes()
    colours = iter((plots.GREEN, plots.RED, plots.BLUE))
    with tempfile.TemporaryDirectory() as folder:
        for command in (line for line in commands(section) if line.startswith("reverie train")):
            run(f"{command} --quiet", folder)
            words = shlex.split(command)
            out, agent, colour = Path(folder) / words[words.index("--out") + 1], words[2].upper(), next(colours)
            for file, column, style in (("episodes", "return", "."), ("evaluations", "return_mean", "-o")):
                found = read_rows(out / f"{file}.csv")
                text = f"{agent}, greedy" if file == "evaluations" else f"{agent}, exploring"
                xy = [[float(row[c]) for row in found] for c in ("step", column)]
                axes.plot(*xy, style, color=colour, alpha=0.35 if style == "." else 1, markersize=4, label=text)
    axes.legend(frameon=False)
    plots.label(axes, "real steps", "return of an episode", title)
    plots.save(axes, path)


def ilqg(rows: list[Row], path: Path) -> None:
    """Draw cost, and promised against true falls, over the iterations of the swing-up's plan."""
    del rows
    (command,) = (line for line in commands("iLQG") if "plan cartpole" in line)
    with tempfile.TemporaryDirectory() as folder:
        table = json.loads(run(f"{command} --json", folder))["table"]
    left, right = plots.panels(2, 9.0)
    first = 0
    for i in range(1, len(table) + 1):
        if i == len(table) or table[i]["steps"] != table[first]["steps"] or table[i]["iteration"] == 1:
            part = table[first:i]
            left.plot(range(first + 1, i + 1), [row["cost"] for row in part], "-o", markersize=3)
            left.annotate(f"{part[0]['steps']}", (first + 1, part[0]["cost"]), fontsize=8, va="bottom")
            first = i
    plots.label(left, "iteration", "J", "cost; numbers: steps planned for")
    both = np.array([[row["expected"], row["fall"]] for row in table if row["alpha"]])
    both = both[(both > 0).all(1)]
    right.loglog(*both.T, "o", color=plots.GREEN, markersize=4)
    ends = [both.min(), both.max()]
    right.loglog(ends, ends, color=plots.GREY, linewidth=1)
    plots.label(right, "fall of J that the model expects", "fall that came", "a step's promise and its worth")
    plots.save(right, path)


PICTURES: dict[str, Callable[[list[Row], Path], None]] = {
    "tour/values.png": partial(solved, "Bellman equations"),
    "tour/q-learning.png": partial(solved, "Q-learning"),
    "tour/dyna-q.png": partial(solved, "Dyna-Q"),
    "tour/dqn.png": partial(learnt, "Deep Q-learning", "CartPole-v1, seed 0"),
    "tour/ddpg.png": partial(learnt, "DDPG", "Pendulum-v1, seed 0"),
    "tour/naf.png": partial(learnt, "NAF", "Pendulum-v1, seed 0"),
    "tour/ilqg.png": ilqg,
    "tour/outlook.png": partial(learnt, "Outlook", "Pendulum-v1, seed 0"),
}
STUDY = Study(
    name="tour",
    question="What do the commands of the tour come to?",
    variants=tuple(Path(name).stem for name in PICTURES),
    tasks=("docs/tour.md",),
    seeds=1,
    scored="nothing: pictures alone, drawn from the commands of the page",
    minutes=8,
    quoted=("docs/tour.md",),
    pictures=PICTURES,
)
