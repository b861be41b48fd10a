"""`reverie list`."""

from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.cli.output import emit
from reverie.domains import DOMAINS, MAZES
from reverie.environments.env_adapter import toy_text_ids
from reverie.experiments.spec.paper import EXPERIMENTS
from reverie.models import MODELS


def run(options: Any) -> None:
    """Print what there is, each with one line of text."""
    facts: dict[str, dict[str, str]] = {
        "algorithms": {name: _first_line(kind) for name, kind in ALGORITHMS.items()},
        "domains": {domain.name: domain.text for domain in DOMAINS.values()},
        "mazes": {maze.name: maze.text for maze in MAZES.values()},
        "models": {name: _first_line(kind) for name, kind in MODELS.items()},
        "experiments": {experiment.name: experiment.text for experiment in EXPERIMENTS.values()},
    }
    lines = []
    for group, members in facts.items():
        lines.append(group)
        lines += [f"  {name:14} {text}" for name, text in members.items()]
    lines += [
        "environments",
        "  any Gymnasium id with Box or Discrete actions, or package.module:callable (`reverie check ENV`)",
        f"  for `reverie solve`: the mazes, {', '.join(toy_text_ids())}",
    ]
    emit(options, facts, *lines)


def _first_line(kind: type) -> str:
    import sys

    text = sys.modules[kind.__module__].__doc__ or ""
    return text.strip().splitlines()[0]
