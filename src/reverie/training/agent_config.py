"""Conversion of an agent to its entry in config.json and back: its name, its settings, and imagination if any.

Classes of the user's own are included.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.core.checked_settings import Settings
from reverie.core.errors import ConfigError
from reverie.core.registry import Registry
from reverie.core.setting_names import require_known_names
from reverie.environments.imports import imported
from reverie.imagination.settings import Imagination
from reverie.models import MODELS
from reverie.storage.config import Agent, Imagined, Part
from reverie.storage.reading import convert


def class_of(name: str) -> type:
    """Return the algorithm called `name`, or the class "package.module:Class".  Raises ConfigError if there is none."""
    found = _class_of(name, ALGORITHMS, "agent")
    if not callable(getattr(found, "build", None)):
        raise ConfigError(f"agent {name!r} has no `build(spec)`; see docs/architecture.md for what an algorithm is")
    return found


def model_class_of(name: str) -> type:
    """Return the class of the model that is called `name`, or is a "package.module:Class".

    Raises ConfigError where there is none.  `Imagination` checks that it is a model.
    """
    return _class_of(name, MODELS, "model")


def import_noise(settings: Mapping[str, Any]) -> None:
    """Import the module of a noise of the user's own, if the settings of an agent name one, as `imported` does."""
    noise = settings.get("noise")
    if isinstance(noise, str) and ":" in noise:
        imported(noise, "noise")


def _class_of(name: str, known: Registry, what: str) -> type:
    found = known.find(name, what, imported)
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        raise ConfigError(f'{what} {name!r} is not a dataclass of settings; give one as "package.module:Class"')
    return found


def _name_of(settings: Any, known: Mapping[str, type]) -> str:
    """Return the name by which `class_of` finds the class of `settings`."""
    kind = type(settings)
    return next((name for name, ours in known.items() if ours is kind), f"{kind.__module__}:{kind.__qualname__}")


def written(algorithm: Any) -> Agent:
    """Return settings for config.json; an algorithm inside imagination keeps its own name and settings.

    Raises ConfigError where they are not a dataclass.
    """
    if not dataclasses.is_dataclass(algorithm):
        kind = type(algorithm).__name__
        raise ConfigError(f"{kind} is not a dataclass, so its settings cannot be saved; make it a frozen one")
    if not isinstance(algorithm, Imagination):
        return Agent(_name_of(algorithm, ALGORITHMS), dataclasses.asdict(algorithm))  # type: ignore[arg-type]
    settings = dataclasses.asdict(algorithm.model)  # type: ignore[call-overload]
    # A function (of Exact) cannot be written to JSON.  Whoever continues the run binds it again.
    model = Part(_name_of(algorithm.model, MODELS), {k: v for k, v in settings.items() if not callable(v)})
    numbers = {name: getattr(algorithm, name) for name in algorithm.numbers()}
    inner = written(algorithm.agent)
    inner.imagination = Imagined(model, numbers)
    return inner


def read(agent: Agent) -> Algorithm:
    """Return the settings that `written` wrote.  Raises ConfigError, TypeError or ValueError where they do not fit."""
    import_noise(agent.settings)
    inner = _made(class_of(agent.name), agent.settings)
    if agent.imagination is None:
        return inner
    model = agent.imagination.model
    own = _made(model_class_of(model.name), model.settings)
    return Imagination(inner, own, **agent.imagination.settings)


def _made(kind: Any, settings: dict[str, Any]) -> Any:
    """Return a dataclass made of its settings; lists become the types of its fields."""
    require_known_names(kind, settings)
    if issubclass(kind, Settings) or set(settings) - {field.name for field in dataclasses.fields(kind)}:
        return kind(**settings)
    try:
        return convert(settings, kind)
    except (TypeError, ValueError):  # of fields without a schema
        return kind(**settings)
