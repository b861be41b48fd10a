"""`reverie check`: arguments and output."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import groups, stopping
from reverie.cli.output import emit, note
from reverie.core.errors import one_line
from reverie.core.interrupts import raise_if_interrupted


def run(options: Any) -> int | None:
    """Print the findings; return exit status 2 where learning cannot work."""
    from reverie.environments.environment_check import check
    from reverie.training.hang_guard import hang_guard

    raise_if_interrupted()
    stopping.set_message("a check saves nothing")
    with hang_guard(options.hang_after, options.env, lambda: "a check saves nothing"):
        findings, figures = check(options.env, options.steps)
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    facts = {"env": options.env, "fit": not wrong, "findings": [finding._asdict() for finding in findings], **figures}
    lines = [f"{finding.verdict:6}{finding.topic:9}{finding.text}" for finding in findings]
    emit(options, facts, options.env, *lines)
    if wrong:
        note(one_line(f"reverie: {options.env} is not fit to learn on: {wrong[0].text}"))
        return 2
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("env", metavar="ENV", help=groups.ENV)
    parser.add_argument(
        "--steps", type=types.up_to(10**7, least=1), default=1000, metavar="N", help="random steps to try (1000)"
    )
    groups.add_hang_after(parser)
