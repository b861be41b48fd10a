"""`reverie video`: arguments and output."""

import argparse
from pathlib import Path
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import groups, stopping
from reverie.cli.output import emit, note, room_for
from reverie.core.interrupts import raise_if_interrupted


def run(options: Any) -> None:
    """Film one greedy episode."""
    from reverie.report.film import SKETCHED, TRACED, record
    from reverie.training.evaluation import cut_note
    from reverie.training.hang_guard import hang_guard
    from reverie.training.saved_policy import SavedPolicy

    raise_if_interrupted()
    saved = SavedPolicy(options.run_directory, best=options.best, trust=options.trust)
    output = Path(options.output) if options.output else Path(options.run_directory) / "film.mp4"
    stopping.set_message(nothing := f"no film was written to {output}")
    with room_for(options, output), hang_guard(options.hang_after, "the environment", lambda: nothing):
        played, sketched, traced = record(
            saved.greedy,
            lambda **more: saved.env(options.env, options.allow_new_bounds, **more),
            output,
            options.seed,
            options.seconds,
            saved.limit,
            saved.limiter,
        )
        if sketched:
            note(SKETCHED)
        if traced:
            note(TRACED)
        words = [cut_note(1, 1, played.length)] if played.cut else []
        facts = {
            "film": str(output),
            "step": saved.step,
            "return": played.total,
            "sketch": sketched,
            "traces": traced,
            "cut": played.cut,
            "cut_at": played.length if played.cut else None,
        }
        emit(
            options,
            facts,
            f"{output}: one greedy episode of the policy of step {saved.step}, return {played.total:.4g}",
            *words,
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    groups.add_run(parser)
    parser.add_argument(
        "-o", "--output", type=types.file, metavar="FILE", help="FILE.mp4 or FILE.gif (film.mp4 in RUN)"
    )
    parser.add_argument(
        "--seconds", type=types.seconds, default=20.0, metavar="S", help="longest film, in seconds (20)"
    )
