"""Registries of named things to choose from.  Names are known at once; the things are imported when asked for."""

import ast
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from reverie.core.errors import ConfigError, sentence, unknown


class Registry(Mapping[str, Any]):
    """Names of "package.module:attribute".  Looking up a name imports its module; listing names or texts does not."""

    def __init__(self, homes: Mapping[str, str]):
        self._homes = dict(homes)

    def __getitem__(self, name: str) -> Any:
        return loaded(self._homes[name])

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)

    def __repr__(self) -> str:
        """Return the names, as signatures in `help` show them."""
        return " | ".join(self._homes)

    def find(self, name: str, what: str, load: Callable[[str, str], Any] | None = None) -> Any:
        """Return what a name stands for, or what a "package.module:attribute" of the user's own does.

        what: the kind of thing, for messages.  load: (name, what) -> what the user's "package.module:attribute" names;
        by default a plain import.  Raises ConfigError where nothing is there.
        """
        if name in self:
            return self[name]
        if ":" not in name:
            raise unknown(what, name, self)
        return (load or _loaded_or_refused)(name, what)

    def text(self, name: str) -> str:
        """Return the first line of the docstring of a name's module, without importing the module."""
        return first_line(self._homes[name].partition(":")[0])


def loaded(home: str) -> Any:
    """Import and return what `home`, a "package.module:attribute", names.  The attribute may have dots."""
    module, _, attribute = home.partition(":")
    return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))


def _loaded_or_refused(name: str, what: str) -> Any:
    try:
        return loaded(name)
    except Exception as error:  # a user's module may raise anything
        raise ConfigError(f"cannot import {what} {name!r}: {sentence(error)}") from error


def registry_of(hint: Any) -> Registry | None:
    """Return the registry of a setting's type `Annotated[str, REGISTRY]`: a name in it, or "package.module:Class"."""
    found = get_args(hint)[-1] if get_origin(hint) is Annotated else None
    return found if isinstance(found, Registry) else None


def first_line(module: str) -> str:
    """Return the first line of a module's docstring, or "".  Imports only the packages around it."""
    spec = importlib.util.find_spec(module)
    source = getattr(spec and spec.loader, "get_source", lambda name: None)(module)
    text = ast.get_docstring(ast.parse(source or ""))
    return text.splitlines()[0] if text else ""
