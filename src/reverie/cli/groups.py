"""Arguments that several verbs share."""

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from reverie.cli import argument_types as types

ENV = "a domain (`reverie list`), a Gymnasium id, or package.module:callable"


class Method(NamedTuple):
    """What `--method` can be, for people: a line, the options that it reads, and where the class of its settings is."""

    text: str
    options: Mapping[str, tuple[Any, str]]  # as argparse calls them -> default, meaning; without those that all read
    settings: str = ""  # "package.module:Class"; "": options alone


class Newest(argparse.Action):
    """Gather name=value pairs; of a name that is given twice the last value counts, as with every other option."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Add a pair in the place of the one before."""
        before = [pair for pair in getattr(namespace, self.dest) if pair[0] != values[0]]
        setattr(namespace, self.dest, [*before, values])


def add_settings(parser: argparse.ArgumentParser, text: str) -> None:
    """Add --set NAME=VALUE, which may be given several times."""
    parser.add_argument(
        "--set", type=types.pair, action=Newest, default=[], metavar="NAME=VALUE", dest="settings", help=text
    )


def add_seed(parser: argparse.ArgumentParser, text: str = "decides every random draw", default: int | None = 0) -> None:
    """Add --seed.  default: None where a verb must know whether one was given."""
    parser.add_argument("--seed", type=types.seed, default=default, metavar="S", help=f"{text} (0)")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add RUN, and what decides how its policy is taken up."""
    parser.add_argument("run_directory", type=types.path, metavar="RUN", help="the directory that training wrote")
    parser.add_argument("--best", action="store_true", help="the best evaluated policy instead of the latest")
    parser.add_argument("--env", metavar="ENV", help="the environment, where the run has none of its own")
    parser.add_argument(
        "--allow-new-bounds",
        action="store_true",
        help="act in an environment with other action bounds than in training",
    )
    parser.add_argument("--trust", action="store_true", help="import what the run names, wherever it came from")
    add_seed(parser, "decides how episodes start")
    add_hang_after(parser)


def add_hang_after(parser: argparse.ArgumentParser) -> None:
    """Add --hang-after."""
    parser.add_argument(
        "--hang-after",
        type=types.waiting,
        metavar="S",
        help="give up where one call of the environment takes longer, in seconds (no limit)",
    )


def add_log(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Add --columns and --reward: how a log is read.  when: what the help begins with."""
    parser.add_argument(
        "--columns",
        type=types.file,
        metavar="FILE.json",
        help=f'{when}columns with other names or units, {{"our name": "their column"}} (docs/how-to/logs.md)',
    )
    parser.add_argument(
        "--reward",
        metavar="MODULE:FUNCTION",
        help=f"{when}compute rewards again, by a function (observation, action, next_observation) -> number",
    )


def add_backend(parser: argparse.ArgumentParser, when: str = "", when_backend: str | None = None) -> None:
    """Add --backend and --jobs: where processes run, and how many at a time.

    when: what the help begins with.  when_backend: the same for --backend alone.
    """
    text = f"{when if when_backend is None else when_backend}where the processes run (local)"
    parser.add_argument("--backend", metavar="local|ray", help=text)
    parser.add_argument(
        "--jobs", type=types.up_to(10_000, least=1), metavar="N", help=f"{when}how many at a time (one per core)"
    )
