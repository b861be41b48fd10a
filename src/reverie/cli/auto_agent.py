"""The agent `auto`: the command without it that means the same."""

import argparse
from pathlib import Path
from typing import Any

from reverie.core.errors import ConfigError
from reverie.core.words import typed

AUTO = "auto"


def explicit(options: Any) -> Any:
    """Return the options with an agent that has a name and settings, as if they had been typed.

    `auto` becomes what `rv.recommended` gives for the environment and the budget; what --set, --imagine and --steps say
    stays.  A run that is resumed keeps the agent that it has.
    Raises ConfigError where a budget is missing, has no meaning, or is less than --steps.
    """
    options = argparse.Namespace(**vars(options))
    if options.agent != AUTO:
        if options.budget is not None:
            raise ConfigError(
                f"--budget is what `auto` chooses by: `reverie train auto …`; {options.agent} takes --steps"
            )
        options.imagine = options.imagine or "off"
        return options
    if getattr(options, "resume", False) and _take_on(options):
        return options
    if options.budget is None:
        raise ConfigError("auto chooses by what you can spend: give --budget N, in real steps")
    if options.steps is not None and options.steps > options.budget:
        raise ConfigError(f"--steps {options.steps} is more than --budget {options.budget}; raise the budget")
    return _recommended(options)


def say(options: Any) -> None:
    """Say which agent was chosen, and why; nothing where the command names one."""
    from reverie.cli.output import note

    for line in getattr(options, "chosen", ()):
        note(line)


def _take_on(options: Any) -> bool:
    """Take the agent of the run that is to be resumed.  Returns False where there is none."""
    from reverie.storage.run import RunDirectory

    if options.out is None or not (directory := RunDirectory(Path(options.out))).holds_run:
        return False
    held = directory.read_config().agent
    flat = held.flat()
    options.agent, options.plan = held.name, flat.get("plan", "off")
    options.imagine = flat.get("model", "off")
    return True


def _recommended(options: Any) -> Any:
    """Choose the agent.  What was chosen and why is in `options.chosen`, for `say`."""
    from reverie.training.recommendation import recommendation

    found = recommendation(options.env, options.budget, options.imagine)
    chosen = {name: typed(value) for name, value in found.settings.items()}
    options.chosen = f"auto: {found.words}", f"auto: {found.reason}"
    options.agent, options.imagine = found.name, found.model or "off"
    options.settings = [*(chosen | dict(options.settings)).items()]
    options.steps = options.budget if options.steps is None else options.steps
    return options
