"""`reverie plan`: its methods and arguments."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import groups
from reverie.cli.groups import Method
from reverie.core.interrupts import raise_if_interrupted

HORIZON = 50  # steps that mpc plans ahead
ITERATIONS = {"ilqg": 100, "mpc": 3, "fitted": 10, "pilqr": 20}
EPISODES = {"ilqg": 5, "pilqr": 20}  # real episodes per fit

METHODS = {  # keys are values of `--method`
    "ilqg": Method(
        "iterative LQG: one plan for a whole episode, on exact physics or on models fitted to real episodes",
        {
            "model": ("exact", "the environment's own physics, or linear models fitted to real episodes: fitted"),
            "horizon": ("all", "steps planned; left out: the whole episode"),
            "iterations": (
                ITERATIONS["ilqg"],
                f"at most, to a plan; with --model fitted: fits, {ITERATIONS['fitted']}",
            ),
            "episodes": (
                1,
                f"starts to plan from, one by one; with --model fitted: real ones to a fit, {EPISODES['ilqg']}",
            ),
        },
    ),
    "mpc": Method(
        "model predictive control: a new plan at each step, on exact physics",
        {
            "horizon": (HORIZON, "steps planned ahead"),
            "iterations": (ITERATIONS["mpc"], "at most, to a plan"),
            "episodes": (1, "starts to plan from, one by one"),
        },
    ),
    "pilqr": Method(
        "LQR on what a fitted model explains of the cost, path integrals on the rest",
        {
            "horizon": ("all", "steps planned; left out: the whole episode"),
            "iterations": (ITERATIONS["pilqr"], "fits of a model, and steps of the controller"),
            "episodes": (EPISODES["pilqr"], "real episodes to a fit"),
        },
        "reverie.control.pilqr_step:PILQR",
    ),
}


def run(options: Any) -> None:
    """Plan, act on the plan in the real environment, and film it."""
    from reverie.cli.run_plan import plan

    raise_if_interrupted()
    plan(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "env",
        metavar="ENV",
        help="a domain (`reverie list`), or a MuJoCo environment: an id, or package.module:callable",
    )
    parser.add_argument(
        "--method",
        choices=tuple(METHODS),
        required=True,
        help="one plan for a whole episode; a new one at each step; or LQR on fitted models and path integrals on the rest",
    )
    parser.add_argument(
        "--model",
        choices=("exact", "fitted"),
        help="the environment's own physics, or linear models fitted to real episodes (exact; pilqr: fitted)",
    )
    groups.add_settings(parser, "a setting of pilqr, such as stages=pi2 (`reverie list pilqr`)")
    groups.add_seed(parser, "decides starts and first controls")
    parser.add_argument(
        "--horizon",
        type=types.up_to(10**5, least=1),
        metavar="H",
        help=f"steps planned (ilqg: the whole episode; mpc: {HORIZON} ahead)",
    )
    parser.add_argument(
        "--iterations",
        type=types.positive,
        metavar="N",
        help="at most, to a plan (ilqg: {ilqg}; mpc: {mpc}); fits (fitted: {fitted}; pilqr: {pilqr})".format(
            **ITERATIONS
        ),
    )
    parser.add_argument(
        "--episodes",
        type=types.up_to(10**4, least=1),
        metavar="N",
        help="starts, one by one (1); real episodes to a fit (fitted: {ilqg}; pilqr: {pilqr})".format(**EPISODES),
    )
    parser.add_argument("-o", "--output", type=types.file, metavar="FILE", help="FILE.mp4 or FILE.gif (ENV-METHOD.mp4)")
