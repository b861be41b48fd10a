"""`reverie export`: arguments and output."""

import argparse
from pathlib import Path
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import stopping
from reverie.cli.output import emit, room_for
from reverie.core.interrupts import look


def run(options: Any) -> None:
    """Write the greedy policy of a run to a file for machines without JAX."""
    from reverie.export.policy_file import CHECKED, export_policy
    from reverie.training.saved_policy import SavedPolicy

    look()
    output = Path(options.output)
    stopping.say(f"no policy was written to {output}")
    with room_for(options, output):
        saved = SavedPolicy(options.run_directory, best=options.best, trust=options.trust)
        found = export_policy(saved, output)
        reader = (
            "onnxruntime, input `input` [batch, n]" if output.suffix == ".onnx" else "`reverie.policy`, NumPy alone"
        )
        emit(
            options,
            {"file": str(output), "difference": found.difference, **found.facts},
            f"{output}: the greedy policy of step {saved.step}, in the environment's units; to be read by {reader}",
            f"on {CHECKED:,} random observations it differs from the run's own by at most {found.difference:.1g}"
            + (" of the actions" if saved.spec.actions else " of an actuator's range"),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("run_directory", type=types.path, metavar="RUN", help="the directory that training wrote")
    parser.add_argument(
        "-o", "--output", type=types.file, required=True, metavar="FILE", help="FILE.onnx, or FILE.npz for NumPy alone"
    )
    parser.add_argument("--best", action="store_true", help="the best evaluated policy instead of the latest")
    parser.add_argument("--trust", action="store_true", help="import what the run names, wherever it came from")
