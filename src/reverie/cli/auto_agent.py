"""The agent `auto`: what is chosen for a budget of real steps, and the command without `auto` that means the same."""

import argparse
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from reverie.algorithms import ALGORITHMS
from reverie.cli import argument_types as types
from reverie.core.errors import ConfigError
from reverie.core.words import typed

if TYPE_CHECKING:
    from reverie.core.env_spec import EnvSpec

AUTO = "auto"
STEPS = 20_000  # to learn for, where neither --steps nor --budget is given


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Add what `auto` chooses by.  `chosen` is for the settings that it chooses, as typed, and `reason` says why."""
    text = "with auto: real steps that you can spend (all are taken)"
    parser.add_argument("--budget", type=types.whole, metavar="N", help=text)
    parser.set_defaults(chosen={}, reason="")


def complete(options: Any) -> None:
    """Set imagination and planner to "off" where an agent is named and they are not; `auto` still has to know.

    Raises ConfigError where another agent than `auto` has a budget.
    """
    if options.agent == AUTO:
        return
    is_known = options.agent in ALGORITHMS or ":" in options.agent
    if is_known and options.budget is not None:
        raise ConfigError(f"--budget is what `auto` chooses by: `reverie train auto …`; {options.agent} takes --steps")
    options.imagine, options.plan = options.imagine or "off", options.plan or "off"


def require_budget(options: Any) -> None:
    """Raise ConfigError where `auto` has no budget, or a smaller one than --steps."""
    if options.agent != AUTO:
        return
    if options.budget is None:
        raise ConfigError("auto chooses by what you can spend: give --budget N, in real steps")
    if options.steps is not None and options.steps > options.budget:
        raise ConfigError(f"--steps {options.steps} is more than --budget {options.budget}; raise the budget")


def chosen(options: Any, env: "EnvSpec | str") -> Any:
    """Return the options with the agent that `auto` stands for in an environment, for `say`.

    env: its spec, or what makes it.  What --set gives has precedence over settings that are chosen.
    """
    from reverie.training.recommendation import recommendation

    found = recommendation(env, options.budget, options.imagine or None)
    named = {"agent": found.name, "imagine": found.model or "off", "plan": options.plan or "off", "budget": None}
    named |= {"steps": steps_of(options), "reason": found.reason}
    settings = {**found.settings, **found.imagination}
    named |= {"chosen": {name: typed(value) for name, value in settings.items()}}
    return argparse.Namespace(**vars(options) | named)


def steps_of(options: Any) -> int:
    """Return how many steps a command learns for: --steps, or else the whole budget, or else STEPS."""
    if options.steps is not None:
        return options.steps
    return STEPS if options.budget is None else options.budget


def with_chosen(options: Any, settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the settings that were chosen and not typed, and those that were: name and text."""
    own = dict(settings)
    replaced = {name.removeprefix("model.") for name in own}  # the model's may be typed without the prefix
    return {name: text for name, text in options.chosen.items() if name.removeprefix("model.") not in replaced} | own


def say(options: Any, settings: Iterable[tuple[str, str]]) -> None:
    """Say on stderr what was chosen, as the command that means the same, and why.

    settings: name and text of those that were typed.
    """
    from reverie.cli.output import note
    from reverie.training.train_command import train_words

    said = {name: getattr(options, name) for name in ("agent", "env", "steps", "imagine", "plan")}
    note(f"auto: {shlex.join(train_words(said, with_chosen(options, settings).items()))}")
    note(f"auto: {options.reason}")
