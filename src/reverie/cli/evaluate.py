"""`reverie evaluate`: arguments and output."""

import argparse
from typing import Any

from reverie.cli import argument_types as types
from reverie.cli import groups, stopping
from reverie.cli.output import emit
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count


def run(options: Any) -> None:
    """Print mean, standard deviation, 95 % interval and each return of the greedy policy."""
    from reverie.training.evaluation import cut_note, evaluate
    from reverie.training.hang_guard import hang_guard
    from reverie.training.saved_policy import SavedPolicy

    raise_if_interrupted()
    saved = SavedPolicy(options.run_directory, best=options.best, trust=options.trust)
    env = saved.env(options.env, options.allow_new_bounds)
    stopping.set_message("an evaluation saves nothing")
    with hang_guard(options.hang_after, env.name, lambda: "an evaluation saves nothing"):
        found = evaluate(saved.greedy, env, options.episodes, options.seed, saved.limit(env), saved.limiter(env.spec))
        env.close()
    facts = found.facts
    facts = {"run": options.run_directory, "step": saved.step, "seed": options.seed, **facts}
    low, high = facts["interval_95"]
    interval = "" if low is None else f", 95 % interval [{low:.4g}, {high:.4g}]"
    emit(
        options,
        facts,
        f"{env.name}, policy of step {saved.step}, {count(options.episodes, 'greedy episode')}",
        f"mean {facts['mean']:.4g}, standard deviation {facts['std']:.4g}{interval}",
        "returns " + " ".join(f"{value:.4g}" for value in facts["returns"]),
        *([cut_note(found.cut, options.episodes, found.limit)] if found.cut else []),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    groups.add_run(parser)
    parser.add_argument(
        "--episodes", type=types.up_to(10**8, least=1), default=10, metavar="N", help="whole episodes (10)"
    )
