"""What a user names as "package.module:name": found where Python finds modules, and last of all in the current folder."""

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from reverie.core.errors import ConfigError, sentence, unknown
from reverie.environments.blocking_calls import IMPORT, failed

_LOOKED_IN: list[str] = []  # current folders that stand on the path because of us: one at most


def imported(source: str, what: str) -> Any:
    """Return what `source`, a "package.module:name", names.  Runs that module, with all that it does when imported.

    what: the kind of thing, for messages.  Raises ConfigError where there is no such module or name, or where an installed
    module has the name of one in the current folder.
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
            f"{what} {source!r} was made inside a function, where no other program finds it; give it again"
        )
    module = imported_module(module_name, source, what)
    try:
        return functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        if module_name == "__main__":
            raise ConfigError(
                f"{what} {source!r} was made in a program that is not this one; give it again, or put it into a module"
            ) from error
    except BaseException as error:  # of a module's own __getattr__
        raise _failed(module_name, source, what, error) from error
    offered = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
    raise unknown(
        f"name in module {module_name}", attribute, offered, f"nothing in it can be the {what}" * (not offered)
    )


def imported_module(name: str, source: str, what: str) -> ModuleType:
    """Return the module `name`, of the `what` that `source` names.  Raises as `imported` does."""
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
    """Have the current folder looked in last, so that nothing in it takes the place of an installed module."""
    here = str(_current_folder() or "")
    for folder in [folder for folder in _LOOKED_IN if folder != here]:  # where the process has been before
        _LOOKED_IN.remove(folder)
        if folder in sys.path:
            sys.path.remove(folder)
    if here and here not in sys.path and "" not in sys.path:
        sys.path.append(here)
        _LOOKED_IN.append(here)
    importlib.invalidate_caches()


def _refuse_hidden(module_name: str, source: str) -> None:
    """Raise ConfigError where the current folder holds the module, but another of its name comes first."""
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
    except (ImportError, ValueError):  # what cannot be found, or says nothing of where it comes from
        found = None
    if found is None or (found.has_location and found.origin is not None and os.path.samefile(found.origin, mine)):
        return
    raise ConfigError(
        f"{source!r}: a module {top!r} is installed ({found.origin or 'part of Python'}) and hides {mine}; rename yours, or "
        "put this folder first with PYTHONPATH=."
    )


def place_of(source: str) -> str:
    """Return where the module of a "package.module:name" would be taken from: its file, or "" where none is found.

    Imports nothing, so of a package it is the place of the outermost.
    """
    top = source.partition(":")[0].partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is not None:
        return os.path.realpath(getattr(loaded, "__file__", None) or "")
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
    """Return the current folder, or None where it is gone."""
    try:
        return Path.cwd()
    except OSError:
        return None
