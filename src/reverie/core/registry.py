"""Registries of named things to choose from.  Names are known at once; the things are imported when asked for."""

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any


class Registry(Mapping[str, Any]):
    """Names of "package.module:attribute".  Looking up a name imports its module; listing names or texts does not."""

    def __init__(self, homes: Mapping[str, str]):
        self._homes = dict(homes)

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self._homes[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)

    def text(self, name: str) -> str:
        """Return the first line of the docstring of a name's module, without importing the module."""
        return first_line(self._homes[name].partition(":")[0])


def first_line(module: str) -> str:
    """Return the first line of a module's docstring, or "".  Imports only the packages around it."""
    spec = importlib.util.find_spec(module)
    source = getattr(spec and spec.loader, "get_source", lambda name: None)(module)
    text = ast.get_docstring(ast.parse(source or ""))
    return text.splitlines()[0] if text else ""
