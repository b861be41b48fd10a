"""`reverie train`: its arguments."""

import argparse
from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.cli import argument_types as types
from reverie.cli import groups
from reverie.cli.auto_agent import AUTO, STEPS, add_budget, complete
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import either
from reverie.models import MODELS

PLANNERS = ("ilqg", "mpc")  # that drive real episodes: those of `Imagination.plan`


def run(options: Any) -> int | None:
    """Learn as the options say; exit status 1 where some of several seeds failed."""
    complete(options)
    if options.seeds is not None:
        from reverie.cli.run_sweep import train_seeds

        raise_if_interrupted()
        return train_seeds(options)
    from reverie.cli.run_train import train

    raise_if_interrupted()
    train(options)
    return None


def usual_evaluate_every(env: str, steps: int) -> int:
    """Return the steps between evaluations where --evaluate-every is left out; 0: none.

    Episodes of one's own environment may cost money: they are spent only when asked for.
    """
    return 0 if ":" in env else max(1000, steps // 20)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("agent", metavar="AGENT", help=f"{either([*ALGORITHMS, AUTO])}, or package.module:Class")
    parser.add_argument("env", metavar="ENV", help=groups.ENV)
    parser.add_argument("--steps", type=types.whole, metavar="N", help=f"steps to learn for ({STEPS})")
    add_budget(parser)
    groups.add_seed(parser, default=None)
    parser.add_argument(
        "--seeds",
        type=types.up_to(10_000, least=1),
        metavar="N",
        help="train seeds 0 to N - 1, each in a folder of its own in DIR",
    )
    parser.add_argument(
        "--collectors",
        type=types.up_to(1000, least=1),
        metavar="N",
        help="so many processes act, each in an environment of its own, and this one learns (it does both)",
    )
    groups.add_backend(parser, "with --seeds: ", "with --seeds or --collectors: ")
    parser.add_argument("--out", type=types.folder, metavar="DIR", help="the run directory (one under runs/)")
    groups.add_settings(parser, "a setting of the agent, of imagination or of its model (`reverie list AGENT`)")
    add_imagination(parser)
    parser.add_argument(
        "--limits",
        type=types.file,
        metavar="FILE.json",
        help="what the machine allows beyond its bounds: low, high, slew, region, veto, safe_action",
    )
    parser.add_argument(
        "--period",
        type=types.number,
        metavar="S",
        help="seconds of a tick of the machine; learning fits into what is left",
    )
    _add_experience(parser)
    _add_resuming(parser)
    add_evaluation(parser)
    groups.add_hang_after(parser)
    parser.add_argument("--tensorboard", action="store_true", help="write the numbers for TensorBoard too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_imagination(parser: argparse.ArgumentParser) -> None:
    """Add what has an agent imagine and plan."""
    parser.add_argument(
        "--imagine",
        metavar="MODEL",
        help=f"learn from imagined rollouts too, by the model {either(MODELS)}, or package.module:Class; "
        "recent: no model, the last real episodes again (off)",
    )
    parser.add_argument(
        "--plan",
        choices=("off", *PLANNERS),
        metavar="|".join(PLANNERS),
        help="let a planner drive a share of the episodes: ilqg on the fitted model, mpc on exact physics (off)",
    )


def _add_experience(parser: argparse.ArgumentParser) -> None:
    """Add what has an agent learn from logged transitions too."""
    parser.add_argument(
        "--from",
        dest="experience",
        metavar="FILE|RUN",
        help="learn from logged transitions too: FILE.csv, FILE.npz, the directory of another run, or minari:NAME",
    )
    parser.add_argument(
        "--experience-share",
        type=types.number,
        metavar="S",
        help="with --from: their share of each minibatch at first, which falls as real steps come in (0.5)",
    )
    parser.add_argument(
        "--pretrain-updates",
        type=types.whole,
        metavar="N",
        help="with --from: minibatch updates on them before the first real step (as many as would have followed them, "
        "at most 10,000)",
    )
    groups.add_log(parser, "with --from: ")


def _add_resuming(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in DIR: finish a command that was cut short, or learn N more steps; --set changes settings",
    )
    for flag, text in (
        ("--relearn", "with --resume: learn the journal again from its start, with the command's settings"),
        ("--allow-new-bounds", "with --resume: convert the journal to other action bounds"),
        ("--trust", "with --resume: import what the run names and the command does not"),
    ):
        parser.add_argument(flag, action="store_true", help=text)


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Add when the greedy policy is evaluated, and which training return is enough."""
    parser.add_argument(
        "--evaluate-every",
        type=types.whole,
        metavar="N",
        help="steps between evaluations; 0: none (a twentieth of the steps; none for package.module:callable)",
    )
    parser.add_argument(
        "--evaluate-episodes",
        type=types.up_to(10**6, least=1),
        default=5,
        metavar="N",
        help="greedy episodes each (5)",
    )
    parser.add_argument(
        "--stop-at", type=types.number, metavar="RETURN", help="stop when the mean return of 10 episodes reaches this"
    )
