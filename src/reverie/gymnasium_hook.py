"""Gymnasium knows our domains as soon as both packages are imported, in whichever order; neither import waits for the other.

Gymnasium loads no plugins of its own accord, and importing it from here would cost everybody a third of a second.
"""

from reverie.core.after_import import AfterImport

TYPE_CHECKING = False  # imports as little as can be: the command line starts with this
if TYPE_CHECKING:
    from types import ModuleType


def register_with_gymnasium() -> None:
    """Register the domains now if Gymnasium is imported already, else as soon as it is."""
    AfterImport("gymnasium", _register)


def _register(gymnasium: "ModuleType") -> None:
    del gymnasium
    from reverie.domains import register

    register()
