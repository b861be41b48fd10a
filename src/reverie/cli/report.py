"""`reverie report`: its arguments."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.core.interrupts import raise_if_interrupted

OUTPUT = "report.html"


def run(options: Any) -> None:
    """Write one page about all folders."""
    from reverie.cli.run_report import report

    raise_if_interrupted()
    report(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "directories",
        type=types.path,
        nargs="+",
        metavar="DIR",
        help="folders of `reproduce` or `sweep`, or run directories",
    )
    parser.add_argument(
        "-o", "--output", type=types.file, metavar="FILE.html", help=f"the page ({OUTPUT}, in DIR if there is only one)"
    )
