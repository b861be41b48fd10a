"""The agent that AGENT, --imagine, --plan and --set describe."""

import dataclasses
from typing import Any

from reverie.algorithms.imagination import Imagination
from reverie.core.agent import Algorithm
from reverie.core.errors import ConfigError, unknown
from reverie.core.settings import coerce
from reverie.loops.agents import class_of
from reverie.models import MODELS


def agent_of(options: Any) -> tuple[Algorithm, dict[str, Any]]:
    """Return the settings of the agent, and those that --set named, as `Agent.flat` has them.

    A name is looked for among the agent's settings, then imagination's, then the model's; "model.NAME" is the model's.
    Raises ConfigError for what is unknown or cannot work.
    """
    kind: Any = class_of(options.agent)
    model = None if options.imagine == "off" else MODELS[options.imagine]
    if model is None and options.plan != "off":
        raise ConfigError(
            "--plan needs a model: --imagine linear or exact (and --set rollout_length=0 to plan without imagining)"
        )
    owners: dict[str, Any] = {}
    if model is not None:
        owners |= {field.name: (model, "model.") for field in dataclasses.fields(model)}
        owners |= {name: (Imagination, "") for name in Imagination.numbers()}
        owners |= {f"model.{field.name}": (model, "model.") for field in dataclasses.fields(model)}
    owners |= {field.name: (kind, "") for field in dataclasses.fields(kind)}
    found: dict[str, Any] = {}
    parts: dict[Any, dict[str, Any]] = {kind: {}, Imagination: {"plan": options.plan}, model: {}}
    for name, text in options.settings:
        if name not in owners:
            raise unknown("setting", name, owners)
        owner, prefix = owners[name]
        short = name.removeprefix("model.")
        parts[owner][short] = found[prefix + short] = coerce(owner, short, text)
    agent = kind(**parts[kind])
    if model is not None:
        agent = Imagination(agent, model(**parts[model]), **parts[Imagination])
    return agent, found
