"""Settings that check themselves: frozen dataclasses that convert each field to its annotation, or raise."""

import dataclasses
import functools
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError, unknown
from reverie.core.registry import registry_of
from reverie.core.setting_docs import document_settings
from reverie.core.setting_names import KnownNames
from reverie.core.words import plain

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")  # as users type them
TRUTHS: dict[str, bool] = {word: word in TRUE for word in (*TRUE, *FALSE)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(KnownNames):
    """Base class of settings.  Raises ConfigError for an unknown name, and where a value does not have its field's type."""

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        document_settings(cls)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, coerce(type(self), field.name, getattr(self, field.name)))

    def replace(self, **changes: Any) -> Self:
        """Return a copy with changes."""
        return dataclasses.replace(self, **changes)

    def require(self, **least: float) -> None:
        """Raise ConfigError where a field is below its least value."""
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least {value}")


def coerce(config_type: type, name: str, value: Any) -> Any:
    """Return `value`, of its type or as text after `--set`, converted to the type of field `name` of `config_type`.

    Raises ConfigError: with the nearest name for an unknown one, with the right type for a wrong value.
    """
    hints = _hints(config_type)
    if name not in hints:
        raise unknown("setting", name, hints)
    words, hint = _words_and_other(hints[name])
    if isinstance(value, str) and value in words:
        return value
    try:
        if hint is None:
            raise ValueError
        if (known := registry_of(hint)) is not None:
            if isinstance(value, str) and (value in known or ":" in value):
                return value
            raise ValueError
        if hint is str:  # of somebody's own class
            return str(value)
        if hint is bool:
            return TRUTHS[value.lower()] if isinstance(value, str) else {True: True, False: False}[value]
        if get_origin(hint) is tuple:
            return tuple(_whole(item) for item in (_parts(value) if isinstance(value, str) else value))
        return _whole(value) if hint is int else _finite(value)
    except Exception:  # a strange object may raise anything
        raise ConfigError(f"{name} is {shown(value)}; it must be {_wanted(hints[name])}") from None


def _words_and_other(hint: Any) -> tuple[tuple[str, ...], Any]:
    """Return the words that a setting may be, and what else it may be: None where it is one of the words.

    hint: a type, a Literal of words, or "one or the other".
    """
    if get_origin(hint) is Literal:
        return get_args(hint), None
    if get_origin(hint) not in (Union, UnionType):
        return (), hint
    kinds = get_args(hint)
    words = tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))
    (other,) = (kind for kind in kinds if get_origin(kind) is not Literal)
    return words, other


def _parts(text: str) -> list[str]:
    """Return the parts between the commas of text such as "200,200" or "(200,)"; only "()" and "[]" are empty."""
    inner = text.strip()
    if inner in ("()", "[]"):
        return []
    parts = inner.strip("()[] ").split(",")
    return parts[:-1] if len(parts) > 1 and not parts[-1].strip() else parts


@functools.cache
def _hints(config_type: type) -> dict[str, Any]:
    """Return the types of a class's fields.  Cached, since resolving them takes longer than all else here."""
    hints = get_type_hints(config_type, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_type)}


def _whole(value: Any) -> int:
    number = float(plain(value))
    if number != int(number) or isinstance(value, bool) or abs(number) > 2**53:  # larger floats skip whole numbers
        raise ValueError
    return int(number)


def _finite(value: Any) -> float:
    number = float(plain(value))
    if number - number != 0 or isinstance(value, bool):
        raise ValueError
    return number


def _wanted(hint: Any) -> str:
    words, other = _words_and_other(hint)
    if other is None:
        return "one of " + ", ".join(map(repr, words))
    if words:
        return f"{_wanted(other)} or {', '.join(map(repr, words))}"
    if (known := registry_of(hint)) is not None:
        return f"one of {', '.join(map(repr, known))}, or package.module:Class"
    if get_origin(hint) is tuple:
        return "whole numbers separated by commas, such as 200,200"
    return {bool: "true or false", int: "a whole number"}.get(hint, "a finite number")
