"""`reverie solve`: its methods and arguments."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import groups
from reverie.cli.groups import Method
from reverie.core.interrupts import raise_if_interrupted

PLANNING_STEPS = 5
DISCOUNT = {"discount": (0.99, "γ, from 0 to 1")}
SAMPLED = {
    **DISCOUNT,
    "episodes": (500, "to learn from"),
    "learning_rate": (0.1, "α, the step size"),
    "decay": (0.0, "D of α / N(s, a)^D, the step size after N updates; 0: constant"),
    "epsilon": (0.1, "ε: the share of actions drawn at random"),
}
METHODS = {  # keys are values of `--method`
    "value-iteration": Method(
        "sweeps of Bellman's optimality equation over a known table",
        {**DISCOUNT, "iterations": (100_000, "sweeps at most")},
    ),
    "policy-iteration": Method(
        "solves for a policy's values and makes it greedy by turns, over a known table",
        {**DISCOUNT, "iterations": (1000, "policies at most")},
    ),
    "q-learning": Method("learns a table of values from samples", SAMPLED),
    "dyna-q": Method(
        "Q-learning that also replays what it remembers of a step",
        {**SAMPLED, "planning_steps": (PLANNING_STEPS, "replayed steps after each real one")},
    ),
}


def run(options: Any) -> None:
    """Solve a table, or learn it from samples; print and draw values and policy."""
    from reverie.cli.run_solve import solve

    raise_if_interrupted()
    solve(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "env",
        metavar="ENV",
        help="FrozenLake-v1, Taxi-v4, CliffWalking-v1, dyna-maze, or whatever else has Discrete spaces",
    )
    parser.add_argument(
        "--method",
        choices=tuple(METHODS),
        required=True,
        help="the first two need a table of transitions, the others learn from samples",
    )
    parser.add_argument("--discount", type=types.number, default=0.99, metavar="G", help="γ, from 0 to 1 (0.99)")
    parser.add_argument(
        "--iterations", type=types.positive, metavar="N", help="at most (100000; policy-iteration: 1000)"
    )
    parser.add_argument("--episodes", type=types.up_to(10**8, least=1), metavar="N", help="to learn from (500)")
    parser.add_argument("--learning-rate", type=types.number, metavar="A", help="α (0.1)")
    parser.add_argument(
        "--decay", type=types.number, metavar="D", help="α = A / N(s, a)^D after N updates (0: constant)"
    )
    parser.add_argument("--epsilon", type=types.number, metavar="E", help="share of actions drawn at random (0.1)")
    parser.add_argument(
        "--planning-steps",
        type=types.up_to(10**6),
        metavar="N",
        help=f"of dyna-q, after each real step ({PLANNING_STEPS})",
    )
    groups.add_seed(parser)
    groups.add_settings(parser, "an option of the environment, such as map_name=8x8")
    parser.add_argument("-o", "--output", type=types.file, metavar="FILE.png", help="draw values and policy")
