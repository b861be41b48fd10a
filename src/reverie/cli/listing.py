"""`reverie list`: what there is, and of each thing the settings, their defaults and their meaning."""

import argparse
import dataclasses
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reverie.cli import plan, solve
from reverie.cli.auto_agent import AUTO
from reverie.cli.groups import Method
from reverie.cli.output import emit
from reverie.core.errors import unknown
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.registry import first_line, loaded
from reverie.core.words import count, typed

NAME, VALUE = 17, 12  # characters of a column
CALLBACKS = ("Evaluate", "SaveBest", "StopAtReturn", "Progress")  # of `rv`, for `Learner.learn(callbacks=…)`
ENVIRONMENTS = "environments"
CHOSEN = (
    "One of these, with settings, for a budget of real steps: reverie train auto ENV --budget N (docs/how-to/budget.md)"
)
KINDS = "  any Gymnasium id with Box or Discrete actions, or package.module:callable (`reverie check ENV`)"


class Entry(NamedTuple):
    """A thing that can be chosen.  settings: () -> rows of name, default, choices, text; facts: () -> what else is known."""

    text: str
    settings: Callable[[], list[dict[str, Any]]] = list
    facts: Callable[[], dict[str, Any]] = dict


def run(options: Any) -> None:
    """Print what there is, each with one line of text; with NAME the settings of one, or one group."""
    if options.name == ENVIRONMENTS:
        return _environments(options)
    groups = _groups()
    raise_if_interrupted()
    if options.name in (None, *groups):
        wanted = groups if options.name is None else {options.name: groups[options.name]}
        facts = {group: {name: entry.text for name, entry in members.items()} for group, members in wanted.items()}
        return emit(options, facts, *_overview(facts, options.name is None))
    for group, members in groups.items():
        if options.name in members:
            return _one(options, group, members[options.name])
    raise unknown("name", options.name, all_names(), "`reverie list` names all; of an environment: `reverie check ID`")


def all_names() -> list[str]:
    """Return whatever NAME may be."""
    groups = _groups()
    return [ENVIRONMENTS, *groups, *(name for members in groups.values() for name in members)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="one of them, for its settings with default and meaning; or a group, such as algorithms or environments",
    )


def _groups() -> dict[str, dict[str, Entry]]:
    """Return all there is.  Imports no JAX: settings are looked up when somebody asks for them."""
    import reverie as rv
    from reverie.algorithms import ALGORITHMS
    from reverie.domains import DOMAINS, MAZES
    from reverie.experiments.spec.paper import EXPERIMENTS
    from reverie.maths.noises import NOISES
    from reverie.models import MODELS

    studies = _studies()
    return {
        "algorithms": {
            **{name: Entry(ALGORITHMS.text(name), _of_class(ALGORITHMS, name)) for name in ALGORITHMS},
            AUTO: Entry(CHOSEN, lambda: [_option("budget", None, "real steps that you can spend")]),
        },
        "models": {
            **{name: Entry(MODELS.text(name), _of_class(MODELS, name)) for name in MODELS},
            "imagination": Entry(first_line("reverie.imagination.settings"), _imagination),
        },
        "noises": {name: Entry(NOISES.text(name), _noise(name)) for name in NOISES},
        "solvers": {name: Entry(method.text, _of_method(method)) for name, method in solve.METHODS.items()},
        "planners": {name: Entry(method.text, _of_method(method)) for name, method in plan.METHODS.items()},
        "callbacks": {name: Entry(_sentence(getattr(rv, name)), _of_callback(getattr(rv, name))) for name in CALLBACKS},
        "domains": {
            domain.name: Entry(domain.text, facts=_facts_of(domain, "gym_id", "horizon")) for domain in DOMAINS.values()
        },
        "mazes": {
            maze.name: Entry(maze.text, facts=_facts_of(maze, "gym_id", "slip", "rows")) for maze in MAZES.values()
        },
        "experiments": {name: Entry(found.text, facts=_panels(found)) for name, found in EXPERIMENTS.items()},
        **({"studies": studies} if studies else {}),
    }


def _one(options: Any, group: str, entry: Entry) -> None:
    """Print one thing: its line, what is known of it, its settings."""
    settings, facts = entry.settings(), entry.facts()
    name = f"{options.name}: "
    lines = _wrapped("", entry.text if entry.text.lower().startswith(name) else name + entry.text)
    for name, fact in facts.items():
        lines += [name, *(f"  {row}" for row in fact)] if isinstance(fact, list | tuple) else [f"{name}: {fact}"]
    for row in settings:
        default = "" if row["default"] is None else typed(row["default"])
        choices = f" ({', '.join(row['choices'])})" if row["choices"] else ""
        text = row["text"] + ("" if all(choice in row["text"] for choice in row["choices"]) else choices)
        lines += _wrapped(f"  {row['name']:26} {default:{VALUE}} ", text)
    emit(options, {"name": options.name, "group": group, "text": entry.text, **facts, "settings": settings}, *lines)


def _overview(facts: Mapping[str, Mapping[str, str]], whole: bool) -> Iterator[str]:
    for group, members in facts.items():
        yield group
        for name, text in members.items():
            yield from _wrapped(f"  {name:{NAME}} ", text)
    if whole:
        from reverie.environments.env_factory import toy_text_ids

        yield from (ENVIRONMENTS, KINDS, f"  for `reverie solve`: the mazes, {', '.join(toy_text_ids())}")
        yield "  all ids: `reverie list environments`"


def _environments(options: Any) -> None:
    """Print the ids that Gymnasium knows here, each by where it comes from."""
    import gymnasium as gym

    raise_if_interrupted()
    facts = {name: str(spec.entry_point).partition(":")[0] for name, spec in sorted(gym.registry.items())}
    emit(options, {ENVIRONMENTS: facts}, ENVIRONMENTS, *(f"  {name:34} {text}" for name, text in facts.items()))


def _wrapped(head: str, text: str) -> list[str]:
    """Return a line or, on a terminal, as many as fit into its width."""
    if not sys.stdout.isatty():
        return [(head + text).rstrip()]
    width = max(len(head) + 20, shutil.get_terminal_size().columns)
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]


def _rows(kind: type, prefix: str = "", without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the settings of a dataclass; a default of None where one must be given."""
    from reverie.core.setting_docs import setting_docs

    return [
        setting._asdict()
        | {"name": prefix + setting.name}
        | ({"default": None} if setting.default is dataclasses.MISSING else {})
        for setting in setting_docs(kind)
        if setting.name not in without
    ]


def _of_class(registry: Mapping[str, Any], name: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: _rows(registry[name])


def _imagination() -> list[dict[str, Any]]:
    from reverie.imagination.settings import Imagination

    return _rows(Imagination, without=("agent", "model"))


def _noise(name: str) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that gives a noise's settings, as an agent calls them."""

    def rows() -> list[dict[str, Any]]:
        from reverie.maths.noises import NOISES

        return _rows(NOISES[name], "noise_")

    return rows


def _of_method(method: Method) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that gives a method's options, and its settings after --set."""

    def rows() -> list[dict[str, Any]]:
        found = [_option(name, *option) for name, option in method.options.items()]
        return found + (_rows(loaded(method.settings), "--set ") if method.settings else [])

    return rows


def _option(name: str, default: Any, text: str) -> dict[str, Any]:
    return {"name": f"--{name.replace('_', '-')}", "default": default, "choices": [], "text": text}


def _of_callback(kind: type) -> Callable[[], list[dict[str, Any]]]:
    return lambda: _rows(kind) if dataclasses.is_dataclass(kind) else []


def _facts_of(thing: Any, *names: str) -> Callable[[], dict[str, Any]]:
    return lambda: {name: getattr(thing, name) for name in names}


def _panels(experiment: Any) -> Callable[[], dict[str, Any]]:
    """Return a function that gives the domains of an experiment, for how long whom learns there."""

    def facts() -> dict[str, Any]:
        rows = [
            f"{panel.domain}, {count(panel.episodes, 'episode')}: {', '.join(variant.name for variant in panel.variants)}"
            for panel in experiment.panels
        ]
        return {"domains": rows}

    return facts


def _studies() -> dict[str, Entry]:
    """Return the studies behind the figures of the docs.  They are in a checkout alone, as the table of its README."""
    from reverie.storage.reading import exists, read_whole

    readme = Path(__file__).parents[3] / "studies" / "README.md"
    if not exists(readme):
        return {}
    rows = [
        [cell.strip() for cell in line.split(" | ")]
        for line in str(read_whole(readme), "utf-8", "replace").splitlines()
    ]
    return {
        name.strip("| `"): Entry(question, facts=_row_of_study(command, minutes, quoted))
        for name, question, command, minutes, quoted in (row for row in rows if len(row) == 5)
        if name.startswith("| `")
    }


def _row_of_study(command: str, minutes: str, quoted: str) -> Callable[[], dict[str, Any]]:
    return lambda: {"command": command.strip("`"), "minutes": minutes, "quoted in": quoted.rstrip(" |")}


def _sentence(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0].rstrip(".")
