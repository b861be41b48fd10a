"""Drawings of value tables and their policies, on the terminal and as a picture."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from reverie.core.errors import ConfigError
from reverie.storage.output_file import output_at, require_ending
from reverie.tabular.grid import Grid

WIDTH = 6  # characters of a cell
MAPS = 4  # at most, on the terminal
ROWS = 20  # of a table without a map, at most
LOW, HIGH = np.array([38, 50, 88]), np.array([30, 140, 100])  # colours of the lowest and highest value


def show(grid: Grid | None, values: np.ndarray, policy: np.ndarray, terminal: np.ndarray) -> None:
    """Print values [S] and policy [S] as maps or, without a grid, as a table.

    terminal: bool [S]; no action is shown for these states.  Colours are left out where stdout is not a terminal.
    """
    console = Console(highlight=False, soft_wrap=True)
    if grid is None:
        console.print(f"{'state':>8}{'value':>12}{'action':>8}")
        valued = np.flatnonzero(values)  # a value of 0 means terminal or never visited
        for state in valued[:ROWS]:
            console.print(f"{state:8}{values[state]:12.5g}{'-' if terminal[state] else policy[state]:>8}")
        if len(valued) > ROWS:
            console.print(f"… {len(valued) - ROWS} more states with a value that is not 0: --json lists all")
        return
    low, high = _range(grid, values)
    for title, cells in zip(grid.titles[:MAPS], grid.cells, strict=False):
        if title:
            console.print(title)
        for row, letters in zip(cells, grid.letters, strict=True):
            lines = Text(), Text()
            for state, letter in zip(row, letters, strict=True):
                if state < 0:
                    top, bottom, style = f"{_shown_of_nobody(str(letter))}  ", "", ""
                else:
                    share = (values[state] - low) / (high - low) if high > low else 0.5
                    style = "white on rgb({},{},{})".format(*(LOW + np.clip(share, 0, 1) * (HIGH - LOW)).astype(int))
                    top, bottom = f"{letter} {_arrow(grid, policy, terminal, state)}", short(values[state])
                lines[0].append(top.center(WIDTH), style)
                lines[1].append(bottom.center(WIDTH), style)
            for line in lines:
                console.print(line)
    if len(grid.titles) > MAPS:
        console.print(f"… {len(grid.titles) - MAPS} more maps: -o FILE.png draws all")


def save(
    grid: Grid | None, values: np.ndarray, policy: np.ndarray, terminal: np.ndarray, output: Path, title: str
) -> Path:
    """Draw values [S] and policy [S] into `output`, a PNG; without a grid, as a curve over states.  Return `output`."""
    plt = _pyplot()
    if grid is None:
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        dots = axes.scatter(np.arange(len(values)), values, c=np.where(terminal, -1, policy), s=8, cmap="tab10")
        axes.set(xlabel="state", ylabel="value", title=title)
        figure.colorbar(dots, label="action (-1: terminal)")
    else:
        figure = _maps(plt, grid, values, policy, terminal, title)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    plt.close(figure)
    output_at(output).write(picture.getvalue())
    return output


def refuse_what_cannot_be_drawn(output: Path) -> None:
    """Raise ConfigError for a file that is not a PNG or without Matplotlib, StorageError where it cannot be written."""
    require_ending(output, (".png",), "pictures are")
    output_at(output)
    _pyplot()


def short(value: Any) -> str:
    """Return a value in at most five characters if possible: .542, -13, 7.93, 12300 as 1e+04."""
    if not math.isfinite(value):
        return f"{value}"
    for digits in (3, 2, 1):
        text = f"{value:.{digits}g}"
        text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
        if len(text) < WIDTH:
            break
    return text


def _pyplot() -> Any:
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise ConfigError("a picture needs a package: pip install 'reverie[plot]'") from None
    return plt


def _range(grid: Grid, values: np.ndarray) -> tuple[float, float]:
    """Return the lowest and highest finite value on the maps."""
    shown = values[grid.cells[grid.cells >= 0]]
    shown = shown[np.isfinite(shown)]
    return (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 0.0)


def _shown_of_nobody(letter: str) -> str:
    """Return the label of a cell that is no state: a letter for a cliff, nothing for a wall."""
    return "" if letter == "#" else letter


def _arrow(grid: Grid, policy: np.ndarray, terminal: np.ndarray, state: int) -> str:
    return " " if terminal[state] else grid.arrows[policy[state]]


def _maps(plt: Any, grid: Grid, values: np.ndarray, policy: np.ndarray, terminal: np.ndarray, title: str) -> Any:
    maps, rows, columns = grid.cells.shape
    across = math.ceil(math.sqrt(maps))
    down = math.ceil(maps / across)
    size = min(0.62, 12 / (across * columns))
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(max(4.0, across * columns * size), down * rows * size + 0.8),
        layout="constrained",
        squeeze=False,
    )
    low, high = _range(grid, values)
    for panel in axes.flat[maps:]:
        panel.axis("off")
    for panel, name, cells in zip(axes.flat, grid.titles, grid.cells, strict=False):
        picture = np.ma.masked_where(cells < 0, values[cells])
        panel.imshow(picture, cmap="viridis", vmin=low, vmax=high)
        panel.set_facecolor("white")
        panel.set(title=name, xticks=[], yticks=[])
        for (row, column), state in np.ndenumerate(cells):
            if state < 0:
                letter = _shown_of_nobody(str(grid.letters[row, column]))
                panel.text(column, row, letter, ha="center", va="center", color="grey", fontsize=7)
            else:
                dark = values[state] < 0.6 * high + 0.4 * low
                words = f"{grid.letters[row, column]} {_arrow(grid, policy, terminal, state)}".strip()
                words += f"\n{short(values[state])}" if maps == 1 else ""
                colour, points = "white" if dark else "black", 7 if maps == 1 else 6
                panel.text(column, row, words, ha="center", va="center", color=colour, fontsize=points)
    figure.suptitle(title, fontsize=10)
    return figure
