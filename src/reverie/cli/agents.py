"""The agent that AGENT, --imagine, --plan and --set describe."""

import argparse
import dataclasses
from typing import Any

import msgspec

from reverie.algorithms import ALGORITHMS
from reverie.cli.auto_agent import AUTO
from reverie.core.agent import Algorithm
from reverie.core.checked_settings import coerce
from reverie.core.errors import ConfigError, unknown
from reverie.core.words import either
from reverie.imagination.settings import Imagination
from reverie.models import MODELS
from reverie.storage.config import Agent
from reverie.training.agent_config import class_of, import_noise, model_class_of, read


def agent_of(options: Any) -> tuple[Algorithm, dict[str, Any]]:
    """Return the settings of the agent, and those that --set named, as `Agent.flat` has them.

    A name is looked for among the agent's settings, then imagination's, then the model's; "model.NAME" is the model's.
    `options.chosen` has settings that --set overrides.
    Raises ConfigError for what is unknown or cannot work.
    """
    kind: Any = _class_of(options.agent)
    model = _model_of(options.imagine)
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
    for given, into in ((options.chosen.items(), {}), (options.settings, found)):
        for name, text in given:
            if name not in owners:
                raise unknown("setting", name, owners)
            owner, prefix = owners[name]
            short = name.removeprefix("model.")
            parts[owner][short] = into[prefix + short] = coerce(owner, short, text)
    import_noise(parts[kind])
    agent = kind(**parts[kind])
    if model is not None:
        agent = Imagination(agent, model(**parts[model]), **parts[Imagination])
    return agent, found


def _class_of(name: str) -> type:
    """Return the class that AGENT names."""
    if ":" not in name and name not in ALGORITHMS:
        raise unknown("agent", name, [*ALGORITHMS, AUTO])
    return class_of(name)


def _model_of(name: str) -> Any:
    """Return the class of the model that --imagine names, or None where it is off."""
    if name != "off" and ":" not in name and name not in MODELS:
        raise unknown(
            "model", name, ("off", *MODELS), f"--imagine takes off, {either(MODELS)}, or package.module:Class"
        )
    return None if name == "off" else model_class_of(name)


def agent_to_go_on_with(options: Any, held: Agent) -> Algorithm:
    """Return the settings of a run, changed as --set says; another agent or imagination begins from its defaults.

    `auto` is the agent that the run has.  Raises ConfigError as `agent_of` does.
    """
    if options.agent == AUTO:
        options = argparse.Namespace(**vars(options) | _names(held))
    agent, found = agent_of(options)
    if differences(options, held):
        return agent
    there = msgspec.convert(msgspec.to_builtins(held), Agent)
    for name, value in found.items():
        inner = there.imagination
        if inner is not None and name.startswith("model."):
            inner.model.settings[name.removeprefix("model.")] = value
        elif inner is not None and name in inner.settings and name not in there.settings:
            inner.settings[name] = value
        else:
            there.settings[name] = value
    return read(there)


def differences(options: Any, held: Agent) -> dict[str, tuple[str, str]]:
    """Return (there, asked) of agent, imagination and planner, where they differ; with `auto`, where they were asked for."""
    there, asked = _names(held), {name: getattr(options, name) for name in ("agent", "imagine", "plan")}
    if options.agent == AUTO:
        asked = {name: there[name] if value in (None, AUTO) else value for name, value in asked.items()}
    return {name: (value, asked[name]) for name, value in there.items() if asked[name] != value}


def _names(held: Agent) -> dict[str, str]:
    """Return agent, imagination and planner of a run, by the names of the options."""
    flat = held.flat()
    return {"agent": held.name, "imagine": flat.get("model", "off"), "plan": flat.get("plan", "off")}
