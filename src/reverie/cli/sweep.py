"""`reverie sweep`: its arguments."""

import argparse
from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.cli import argument_types as types
from reverie.cli import groups
from reverie.cli.auto_agent import AUTO, STEPS, add_budget, complete
from reverie.cli.train import add_evaluation, add_imagination
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import either

SEEDS = 5  # where --seeds is left out
MOST = 10_000  # seeds, runs at a time, and draws


def run(options: Any) -> int:
    """Train the runs of the grid that are missing, then write the table and the page; exit status 1 where some failed."""
    from reverie.cli.run_sweep import sweep

    raise_if_interrupted()
    complete(options)
    return sweep(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("agent", metavar="AGENT", help=f"{either([*ALGORITHMS, AUTO])}, or package.module:Class")
    parser.add_argument("env", metavar="ENV", help=groups.ENV)
    parser.add_argument(
        "--set",
        type=types.pair,
        action=groups.Newest,
        default=[],
        metavar="NAME=A,B,C",
        dest="settings",
        help="values of a setting; several --set make a grid. Several numbers in one value: hidden=64x64,200x200",
    )
    parser.add_argument(
        "--random", type=types.up_to(MOST, least=1), metavar="N", help="N combinations of the grid, always the same"
    )
    parser.add_argument(
        "--seeds", type=types.up_to(MOST, least=1), default=SEEDS, metavar="N", help=f"seeds 0 to N - 1 ({SEEDS})"
    )
    parser.add_argument("--steps", type=types.whole, metavar="N", help=f"steps of each run ({STEPS})")
    add_budget(parser)
    groups.add_backend(parser)
    parser.add_argument("--out", type=types.folder, metavar="DIR", help="the folder of the sweep (one under runs/)")
    add_imagination(parser)
    add_evaluation(parser)
    parser.add_argument("--tensorboard", action="store_true", help="write the numbers for TensorBoard too")
    parser.add_argument("--dry-run", action="store_true", help="list the runs, say which are done, and stop")
    parser.add_argument("--quiet", action="store_true", help="no progress")
