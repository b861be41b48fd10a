"""Import objects that users name as "package.module:name".

Modules are found as Python finds them, and last in the current folder.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from reverie.core.errors import ConfigError, sentence, unknown
from reverie.core.registry import loaded
from reverie.environments.blocking_calls import IMPORT, failed

_LOOKED_IN: list[str] = []  # current folders that we added to sys.path: at most one


def imported(source: str, what: str) -> Any:
    """Import and return the object that `source`, a "package.module:name", names. The module's code runs.

    what: the kind of object, for messages.  Raises ConfigError where there is no such module or name, or where an
    installed module has the name of a module in the current folder.
    """
    module_name, _, attribute = source.partition(":")
    if not module_name or not attribute:
        raise ConfigError(
            f"{what} {source!r} lacks the {'name' if module_name else 'module'}; give package.module:name"
        )
    if module_name.endswith(".py"):
        module = module_name.removesuffix(".py").replace("/", ".").lstrip(".")
        raise ConfigError(f"{what} {source!r} names a file; give the module: {module}:{attribute}")
    if "<" in attribute:
        raise ConfigError(
            f"{what} {source!r} is defined inside a function, so that it cannot be imported; give the object itself again"
        )
    module = imported_module(module_name, source, what)
    try:
        return loaded(source)
    except AttributeError as error:
        if module_name == "__main__":
            raise ConfigError(
                f"{what} {source!r} is defined in another program; give it again, or put it into a module"
            ) from error
    except BaseException as error:  # raised by the module's own __getattr__
        raise _failed(module_name, source, what, error) from error
    offered = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
    raise unknown(
        f"name in module {module_name}", attribute, offered, f"nothing in it can be the {what}" * (not offered)
    )


def imported_module(name: str, source: str, what: str) -> ModuleType:
    """Import and return the module `name`.  source, what: for messages.  Raises as `imported` does."""
    _look_here_too()
    _refuse_hidden(name, source)
    try:
        with IMPORT:
            return importlib.import_module(name)
    except BaseException as error:
        raise _failed(name, source, what, error) from error


def _failed(name: str, source: str, what: str, error: BaseException) -> BaseException:
    if isinstance(failed(name, "", error), KeyboardInterrupt):
        return error
    return ConfigError(f"cannot import {name!r} for {what} {source!r}: {sentence(error)}")


def _look_here_too() -> None:
    """Add the current folder to the end of sys.path, so that its modules do not hide installed ones."""
    here = str(_current_folder() or "")
    for folder in [folder for folder in _LOOKED_IN if folder != here]:  # earlier current folders of this process
        _LOOKED_IN.remove(folder)
        if folder in sys.path:
            sys.path.remove(folder)
    if here and here not in sys.path and "" not in sys.path:
        sys.path.append(here)
        _LOOKED_IN.append(here)
    importlib.invalidate_caches()


def _refuse_hidden(module_name: str, source: str) -> None:
    """Raise ConfigError if the current folder has the module, but Python finds another one of that name first."""
    top, here = module_name.partition(".")[0], _current_folder()
    mine = (
        None
        if here is None
        else next((p for p in (here / f"{top}.py", here / top / "__init__.py") if p.is_file()), None)
    )
    if mine is None:
        return
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # not found, or without a place of origin
        found = None
    if found is None or (found.has_location and found.origin is not None and os.path.samefile(found.origin, mine)):
        return
    raise ConfigError(
        f"{source!r}: a module {top!r} is installed ({found.origin or 'part of Python'}) and hides {mine}; rename yours, or "
        "put this folder first with PYTHONPATH=."
    )


def place_of(source: str) -> str:
    """Return the file of the module that "package.module:name" names, or "" if there is none.

    Nothing is imported, so for a module in packages it is the file of the outermost package.
    """
    top = source.partition(":")[0].partition(".")[0]
    module = sys.modules.get(top)
    if module is not None:
        return os.path.realpath(getattr(module, "__file__", None) or "")
    here = _current_folder()
    path = [*sys.path, *([] if here is None else [str(here)])]
    try:
        found = importlib.machinery.PathFinder.find_spec(top, path)
    except (ImportError, ValueError):
        found = None
    if found is None:
        return ""
    return os.path.realpath(found.origin or next(iter(found.submodule_search_locations or ()), ""))


def _current_folder() -> Path | None:
    """Return the current folder, or None if it no longer exists."""
    try:
        return Path.cwd()
    except OSError:
        return None
