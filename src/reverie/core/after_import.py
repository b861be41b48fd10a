"""Calls that wait for a module to be imported, whoever imports it.  Imports as little as can be: the command line starts so."""

import sys

TYPE_CHECKING = False  # not typing's own, which takes time
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class AfterImport:
    """Calls a function with a module once that is imported, or at once where it is; until `cancel`."""

    def __init__(self, name: str, function: "Callable[[ModuleType], object]"):
        self._name, self._function = name, function
        if (module := sys.modules.get(name)) is not None:  # None stands there for what must not be imported
            function(module)
        else:
            sys.meta_path.insert(0, self)  # pyright: ignore[reportArgumentType]

    def cancel(self) -> None:
        """Wait no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]

    def find_spec(self, fullname: str, path: "Any" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return the module's own spec with the call after it; None for all other modules: it finds nothing itself."""
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
