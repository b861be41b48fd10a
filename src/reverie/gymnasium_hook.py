"""Gymnasium knows our domains as soon as both packages are imported, in whichever order; neither import waits for the other.

Gymnasium loads no plugins of its own accord, and importing it from here would cost everybody a third of a second.
"""

import sys

TYPE_CHECKING = False  # imports as little as can be: the command line starts with this
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def register_with_gymnasium() -> None:
    """Register the domains now if Gymnasium is imported already, else as soon as it is."""
    if "gymnasium" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Waiting())  # pyright: ignore[reportArgumentType]


def _register() -> None:
    from reverie.domains import register

    register()


class _Waiting:
    """Finds nothing itself, but has the domains registered once Gymnasium has been imported."""

    def find_spec(self, fullname: str, path: "Any" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return Gymnasium's own spec with the registration after it."""
        del path, target
        if fullname != "gymnasium":
            return None
        import importlib.util

        sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: "ModuleType") -> None:
            execute(module)
            _register()

        spec.loader.exec_module = execute_and_register
        return spec
