"""What the pictures of the studies share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GREEN, GREY, RED, BLUE, GOLD = "#0b6e4f", "#7b8794", "#b5432a", "#2f5f98", "#b8860b"
HEIGHT, DPI, COLOURS = 3.4, 100, 128  # inches; dots per inch; of a saved picture

Axes = Any


def panels(columns: int, width: float, height: float = HEIGHT, rows: int = 1) -> list[Axes]:
    """Return the axes of a new figure, row by row.  width, height: of the figure, in inches."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, found = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)
    return list(found.flat)


def axes(width: float = 6.0, height: float = HEIGHT) -> Axes:
    """Return the axes of a new figure of one panel."""
    return panels(1, width, height)[0]


def label(axes: Axes, x: str, y: str, title: str) -> None:
    """Name the axes, and draw a grid."""
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.25)


def save(axes: Axes, path: Path, dpi: int = DPI, **options: Any) -> None:
    """Save the figure that some axes belong to, in few colours so that the file is small, and close it."""
    import matplotlib.pyplot as plt
    from PIL import Image

    axes.figure.savefig(path, dpi=dpi, **options)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(COLOURS)
    few.save(path, optimize=True)
    plt.close(axes.figure)


def band(axes: Axes, found: dict[int, dict[int, float]], colour: str, label: str) -> None:
    """Draw the mean over seeds and its 95 % bootstrap interval.  found: scores by seed and x."""
    from reverie.maths.bootstrap import interval  # imports JAX, which some cells do without

    x = sorted(set.intersection(*(set(curve) for curve in found.values())))
    values = np.array([[curve[place] for place in x] for curve in found.values()])
    mean: Callable[..., Any] = lambda drawn: drawn.mean(-1)  # noqa: E731
    bounds = [interval(mean, [column], np.random.default_rng(0)) for column in values.T]
    axes.plot(x, values.mean(0), color=colour, label=f"{label} ({len(values)})")
    axes.fill_between(x, *np.transpose(bounds), color=colour, alpha=0.15, linewidth=0)
