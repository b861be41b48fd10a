"""Convert the text after `--set` to options of an environment."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from reverie.core.checked_settings import TRUTHS
from reverie.core.errors import ConfigError, unknown
from reverie.environments.blocking_calls import IMPORT
from reverie.environments.env_factory import OUR_IDS, is_id
from reverie.environments.imports import imported, imported_module

GYMNASIUM = "max_episode_steps"  # an option that `gymnasium.make` adds to an environment's own


def options_of(source: str, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return an environment's options as values.

    source: the environment.  typed: text of each option by name. An option gets the type of its default if that is
    known; else its text decides.  Raises ConfigError for an unknown option, and for text that should be true or false.
    """
    parameters = _parameters(source) if typed else None
    found = {}
    for name, text in typed.items():
        if parameters is not None and name not in parameters:
            raise unknown(f"setting of {source}", name, parameters, "it takes none" * (not parameters))
        found[name] = _value(name, text, None if parameters is None else parameters[name])
    return found


def _parameters(source: str) -> dict[str, Any] | None:
    """Return an environment's options with their defaults. None if they are not known, or if any option is allowed."""
    is_registered = is_id(source)
    spec = _spec(source) if is_registered else None
    maker = spec.entry_point if spec is not None else None if is_registered else imported(source, "environment")
    try:
        with IMPORT:
            signature = inspect.signature(_loaded(maker))
    except Exception:  # a user's code may raise anything; the error is reported when the environment is made
        return None
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return None
    own = {
        p.name: p.default for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    return own if spec is None else own | {k: v for k, v in spec.kwargs.items() if k in own} | {GYMNASIUM: None}


def _spec(name: str) -> Any:
    """Return Gymnasium's registration of an id, or None."""
    known = OUR_IDS.get(name, name)
    if ":" in known:
        imported_module(known.partition(":")[0], name, "environment")
    return gym.registry.get(known.rpartition(":")[2])


def _loaded(maker: Any) -> Callable[..., Any]:
    return load_env_creator(maker) if isinstance(maker, str) else maker


def _value(name: str, text: str, default: Any) -> Any:
    """Return text as a value: true or false, a number, a tuple, else the text.  default: the option's default."""
    if isinstance(default, bool):
        if text.lower() not in TRUTHS:
            raise ConfigError(f"{name} is {text!r}; it must be true or false")
        return TRUTHS[text.lower()]
    if not text.isdecimal() and not isinstance(default, str) and text.lower() in TRUTHS:
        return TRUTHS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text
