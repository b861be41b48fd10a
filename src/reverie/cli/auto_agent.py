"""The agent `auto`: what is chosen for a budget of real steps, and the command without `auto` that means the same."""

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from reverie.algorithms import ALGORITHMS
from reverie.core.errors import ConfigError
from reverie.core.words import typed

if TYPE_CHECKING:
    from reverie.core.env_spec import EnvSpec

AUTO = "auto"


def refuse_budget(options: Any) -> None:
    """Raise ConfigError where another agent than `auto` has a budget."""
    is_other = options.agent in ALGORITHMS or ":" in options.agent
    if is_other and options.budget is not None:
        raise ConfigError(f"--budget is what `auto` chooses by: `reverie train auto …`; {options.agent} takes --steps")


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
    named = {"agent": found.name, "imagine": found.model, "steps": steps_of(options), "budget": None}
    named |= {"chosen": {name: typed(value) for name, value in found.settings.items()}, "reason": found.reason}
    return argparse.Namespace(**vars(options) | named)


def steps_of(options: Any) -> int:
    """Return how many steps a command learns for: --steps, or else the whole budget."""
    return options.budget if options.steps is None else options.steps


def say(options: Any) -> None:
    """Say on stderr what was chosen, as the command that means the same, and why."""
    from reverie.cli.output import note
    from reverie.training.train_command import train_words

    said = {name: getattr(options, name) for name in ("agent", "env", "steps", "imagine", "plan")}
    note(f"auto: {shlex.join(train_words(said, (options.chosen | dict(options.settings)).items()))}")
    note(f"auto: {options.reason}")
