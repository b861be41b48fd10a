"""Checks of the names of settings: an unknown one raises an error that gives the name used here."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from reverie.core.errors import unknown


def require_known_names(kind: type, names: Iterable[str]) -> None:
    """Raise ConfigError for the first of `names` that is not an argument of the class `kind`."""
    parameters = inspect.signature(kind).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise unknown("setting", name, parameters)


class KnownNames:
    """Base class of dataclasses.  Their constructors raise ConfigError for an unknown name, not Python's TypeError."""

    if not TYPE_CHECKING:  # type checkers read the arguments from the dataclass's own `__init__`

        def __new__(cls, /, *positional: Any, **named: Any) -> Self:
            """Return a new object, once the names are known to be right."""
            if not named.keys() <= cls.__dataclass_fields__.keys():
                require_known_names(cls, named)
            return super().__new__(cls)
