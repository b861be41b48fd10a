"""`reverie watch`: its arguments."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.core.interrupts import raise_if_interrupted

PORT = 8808


def run(options: Any) -> None:
    """Serve a page about runs that stays current, until a signal."""
    from reverie.cli.run_watch import watch

    raise_if_interrupted()
    watch(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "directories", type=types.path, nargs="+", metavar="RUN", help="run directories; they may be learning"
    )
    parser.add_argument(
        "--port",
        type=types.up_to(65535),
        default=PORT,
        metavar="N",
        help=f"of 127.0.0.1, which only this machine reaches; 0: any that is free ({PORT})",
    )
