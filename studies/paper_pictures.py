"""The three figures of a talk on the paper, from the committed cells: precision, locomotion, and models."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reverie.experiments.analysis.statistics import Curve, banded
from reverie.experiments.spec.paper_numbers import TABLE1, TABLE2
from studies import plots
from studies.paper_tables import found
from studies.study import Row

PANEL = 3.5  # inches
AGENTS = {"naf": ("NAF", plots.GREEN), "ddpg": ("DDPG", plots.RED)}
TRUE = {
    "true-naf": ("NAF", plots.GREEN),
    "true-imagined": ("imagination", plots.BLUE),
    "true-mpc": ("half of the episodes by MPC", plots.GOLD),
}
FITTED = {
    "layer-naf": ("NAF", plots.GREEN),
    "fitted": ("imagination, linear models", plots.BLUE),
    "neural": ("imagination, networks", plots.GOLD),
}


class Panel(NamedTuple):
    """A domain, and the variants that are drawn on it: (label, colour) by name."""

    domain: str
    variants: dict[str, tuple[str, str]]
    title: str = ""


PRECISION = tuple(Panel(domain, AGENTS) for domain in ("reacher", "peg", "cartpole"))
LOCOMOTION = tuple(Panel(domain, AGENTS) for domain in ("cheetah", "swimmer6", "ant", "walker2d"))
MODELS = (
    Panel("reacher", TRUE, "reacher, exact dynamics"),
    Panel("canada2d", TRUE, "canada2d, exact dynamics"),
    Panel("reacher_single", FITTED, "reacher_single, fitted models"),
    Panel("gripper_single", FITTED, "gripper_single, fitted models"),
)


def draw(panels: Sequence[Panel], rows: list[Row], path: Path) -> None:
    """Draw those panels of a figure that have cells: interquartile means over seeds, with intervals.

    Dashed lines are the paper's scores of table 1.  Crosses are those of table 2, at the paper's numbers of episodes.
    """
    del rows
    shown = [panel for panel in panels if any((panel.domain, name) in found() for name in panel.variants)]
    all_axes = plots.panels(len(shown), PANEL * len(shown))
    for axes, panel in zip(all_axes, shown, strict=True):
        for name, (label, colour) in panel.variants.items():
            if (curve := found().get((panel.domain, name))) is not None:
                _curve(axes, curve, label, colour)
            _paper(axes, panel.domain, name, label, colour)
        if any((panel.domain, name) in TABLE2 for name in panel.variants):
            axes.set_xscale("log")  # the paper's runs are many times longer
        axes.legend(frameon=False, fontsize=7)
        plots.label(axes, "real episodes", "greedy return", panel.title or panel.domain)
    plots.save(all_axes[0], path, dpi=80)


def _curve(axes: plots.Axes, curve: Curve, label: str, colour: str) -> None:
    line = banded(label, curve.episodes.tolist(), curve.scores)
    axes.plot(line.x, line.y, color=colour, label=f"{label} ({len(curve.seeds)} seeds)")
    if line.low:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)


def _paper(axes: plots.Axes, domain: str, name: str, label: str, colour: str) -> None:
    if name in AGENTS and domain in TABLE1:
        score = TABLE1[domain].naf if name == "naf" else TABLE1[domain].ddpg
        axes.axhline(score, color=colour, linestyle="--", linewidth=1, label=f"the paper's {label}")
    elif (domain, name) in TABLE2:
        score, episodes = TABLE2[domain, name]
        axes.plot([episodes], [score], "x", color=colour, label=f"the paper: {score:g} at {episodes}")
