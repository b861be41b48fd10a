"""`reverie export`: arguments and output."""

import argparse
from pathlib import Path
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import stopping
from reverie.cli.output import emit, room_for
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count


def run(options: Any) -> None:
    """Write the greedy policy of a run, or its experience, to a file for other programs."""
    from reverie.logs.minari_log import MINARI

    raise_if_interrupted()
    stopping.set_message(f"nothing was written to {options.output}")
    dataset = options.output.startswith(MINARI)
    with room_for(options, None if dataset else Path(options.output)):
        if options.experience or dataset or options.output.lower().endswith(".csv"):
            _experience(options)
        else:
            _policy(options, Path(options.output))


def _policy(options: Any, output: Path) -> None:
    from reverie.export.policy_file import CHECKED, export_policy
    from reverie.training.saved_policy import SavedPolicy

    saved = SavedPolicy(options.run_directory, best=options.best, trust=options.trust)
    found = export_policy(saved, output)
    reader = (
        "onnxruntime, input `input` [batch, n]" if output.suffix.lower() == ".onnx" else "`reverie.policy`, NumPy alone"
    )
    emit(
        options,
        {"file": str(output), "difference": found.difference, **found.facts},
        f"{output}: the greedy policy of step {saved.step}, in the environment's units; to be read by {reader}",
        f"on {CHECKED:,} random observations it differs from the run's own by at most {found.difference:.1g}"
        + (" of the actions" if saved.spec.actions else " of an actuator's range"),
    )


def _experience(options: Any) -> None:
    from reverie.export.experience_file import export_experience
    from reverie.storage.run import RunDirectory

    if options.best or options.trust:
        raise ConfigError("--best and --trust are for policies; leave them out to export experience")
    found = export_experience(RunDirectory(options.run_directory), options.output)
    emit(
        options,
        {
            **{"file": options.output, "steps": found.steps, "episodes": found.episodes},
            **{"observations": found.spec.sensor_names, "actions": found.spec.actuator_names},
            **{"observation_units": found.spec.observation_units, "action_units": found.spec.action_units},
        },
        f"{options.output}: {count(found.steps, 'step')} of {count(found.episodes, 'episode')}, actions in the "
        "environment's units",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("run_directory", type=types.path, metavar="RUN", help="the directory that training wrote")
    parser.add_argument(
        "-o",
        "--output",
        type=types.file,
        required=True,
        metavar="FILE",
        help="FILE.onnx, or FILE.npz for NumPy alone; for experience FILE.csv, FILE.npz with --experience, or minari:NAME",
    )
    parser.add_argument("--experience", action="store_true", help="write the run's experience instead of its policy")
    parser.add_argument("--best", action="store_true", help="the best evaluated policy instead of the latest")
    parser.add_argument("--trust", action="store_true", help="import what the run names, wherever it came from")
