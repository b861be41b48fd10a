"""Calls that wait until a module is imported.  Imports as little as possible, since the command line starts with it."""

import sys

TYPE_CHECKING = False  # typing's own takes time to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class AfterImport:
    """Calls a function with a module once it is imported, or at once if it is already, unless `cancel` comes first."""

    def __init__(self, name: str, function: "Callable[[ModuleType], object]"):
        self._name, self._function = name, function
        if (module := sys.modules.get(name)) is not None:  # None marks a module that must not be imported
            function(module)
        else:
            sys.meta_path.insert(0, self)  # pyright: ignore[reportArgumentType]

    def cancel(self) -> None:
        """Stop waiting."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]

    def find_spec(self, fullname: str, path: "Any" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return the module's own spec with the call added; None for all other modules, which it does not find."""
        del path, target
        if fullname != self._name:
            return None
        import importlib.util

        self.cancel()
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_call(module: "ModuleType") -> None:
            execute(module)
            self._function(module)

        spec.loader.exec_module = execute_and_call
        return spec
