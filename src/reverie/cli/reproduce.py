"""`reverie reproduce`: its arguments."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.core.interrupts import raise_if_interrupted
from reverie.experiments.spec.paper import EXPERIMENTS


def run(options: Any) -> int:
    """Run the missing cells of an experiment, then write the report; return exit status 1 where some failed."""
    from reverie.cli.run_reproduce import reproduce

    raise_if_interrupted()
    return reproduce(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "experiment",
        choices=(*EXPERIMENTS, "all"),
        metavar="|".join((*EXPERIMENTS, "all")),
        help="which table or figure; all fill one report",
    )
    parser.add_argument("--domains", type=types.names, default=[], metavar="reacher,peg", help="only these (all)")
    parser.add_argument("--variants", type=types.names, default=[], metavar="naf,ddpg", help="only these (all)")
    parser.add_argument(
        "--seeds", type=types.up_to(10_000, least=1), default=5, metavar="N", help="number of seeds (5)"
    )
    parser.add_argument(
        "--first-seed", type=types.up_to(2**32 - 10_001), default=0, metavar="N", help="the first of the seeds (0)"
    )
    parser.add_argument(
        "--episodes", type=types.up_to(10**8, least=1), metavar="N", help="real episodes of a cell (as in the paper)"
    )
    parser.add_argument("--search", action="store_true", help="run the paper's 18 configurations of each agent too")
    parser.add_argument("--backend", default="local", metavar="local|ray", help="where cells run (local)")
    parser.add_argument(
        "--jobs", type=types.up_to(10_000, least=1), metavar="N", help="local: how many at a time (one per core)"
    )
    parser.add_argument(
        "--out", type=types.path, default="reproduction", metavar="DIR", help="the folder of results (reproduction)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and for how long")
    parser.add_argument("--quiet", action="store_true", help="no progress")
