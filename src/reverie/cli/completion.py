"""`reverie --print-completion SHELL`: the script with which a shell completes verbs, options, names and files."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from reverie.cli import argument_types as types
from reverie.core.errors import ConfigError

SHELLS = ("bash", "zsh", "tcsh")


class PrintCompletion(argparse.Action):
    """Print the script for a shell, and exit."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Print the script and exit.  Raises ConfigError where shtab is not installed."""
        print(script(parser, values))
        parser.exit(0)


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for a parser of all verbs, which cannot be used otherwise afterwards.

    Raises ConfigError where shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise ConfigError("completion needs a package that is not installed: pip install shtab") from None
    offers = {"agent": _agents, "env": _environments, "imagine": _models, "name": _names}
    files = {types.file: shtab.FILE, types.path: shtab.DIRECTORY, types.folder: shtab.DIRECTORY}
    for action in _actions(parser):
        if action.type in files:
            action.complete = files[action.type]  # type: ignore[attr-defined]
        elif action.dest in offers and action.choices is None:
            action.choices = tuple(offers[action.dest]())
    return shtab.complete(parser, shell=shell)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its verbs."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]  # it has no other name
            for verb in action.choices.values():
                yield from _actions(verb)


def _agents() -> Iterable[str]:
    from reverie.algorithms import ALGORITHMS
    from reverie.cli.auto_agent import AUTO

    return [*ALGORITHMS, AUTO]


def _environments() -> Iterable[str]:
    from reverie.domains import DOMAINS, MAZES

    return [*DOMAINS, *MAZES]


def _models() -> Iterable[str]:
    from reverie.models import MODELS

    return ["off", *MODELS]


def _names() -> Iterable[str]:
    from reverie.cli.listing import all_names

    return all_names()
