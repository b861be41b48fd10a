"""`reverie recover`: arguments and output."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reverie.cli import argument_types as types
from reverie.cli import stopping
from reverie.cli.output import emit
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count, listed

if TYPE_CHECKING:
    from reverie.training.recovery import Recovery


def run(options: Any) -> None:
    """Save the whole parts of a damaged run in a new directory, and print what was lost."""
    from reverie.training.recovery import recover

    raise_if_interrupted()
    stopping.set_message(f"nothing was recovered; {options.run_directory} is unchanged")
    found = recover(Path(options.run_directory), None if options.output is None else Path(options.output))
    emit(options, dataclasses.asdict(found) | {"goes_on": found.goes_on}, *_lines(found))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "run_directory", type=types.path, metavar="RUN", help="the damaged directory; nothing in it is changed"
    )
    parser.add_argument("-o", "--output", type=types.path, metavar="DIR", help="a new directory (RUN-recovered)")


def _lines(found: "Recovery") -> list[str]:
    lost = sum(last - first + 1 for first, last in found.lost_steps)
    lines = [f"{found.out}: {count(found.steps, 'step')} saved from {found.run}, which is unchanged"]
    if found.journal != "whole":
        lines.append(f"journal: {found.journal}; {count(found.damaged_bytes, 'byte')} outside intact records")
    if lost:
        lines.append(
            f"{count(lost, 'step')} lost before the last one saved: {listed([f'{a}-{b}' for a, b in found.lost_steps])}"
        )
    if found.cut_episodes:
        lines.append(f"episodes cut by a gap: {listed(found.cut_episodes)}")
    if found.doubled_records:
        lines.append(f"{count(found.doubled_records, 'record')} of steps that occur twice, left out")
    lines += [f"left out: {what}" for what in found.left_out]
    if found.checkpoint == "none":
        lines.append("no checkpoint fits: opening it learns again from the journal")
    if not found.goes_on:
        lines.append(
            f"config.json: {found.config}; copy that of a run with the same command there, then continue with --resume"
        )
    elif found.config != "whole":
        lines.append(f"config.json: {found.config}; check it")
    elif len(lines) == 1:
        lines.append("nothing is damaged")
    if found.to_go_on is not None:
        lines.append(f"to continue: {found.to_go_on}")
    return lines
