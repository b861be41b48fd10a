"""Errors for names that are no environment: they suggest a file of the user's, or similar names.

Nothing is imported or run.
"""

import ast
import difflib
import importlib.machinery
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from reverie.core.errors import LIKENESS, ConfigError
from reverie.core.words import listed

NEAREST = 3  # most names that are suggested
LISTS = "`reverie list` names the domains, `reverie list environments` Gymnasium's ids"
WHERE_ALL = f"{LISTS}; your own is package.module:callable"
METHODS = {"reset", "step"}  # a class with these is taken for an environment, whatever its base classes


def no_environment(name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for a `name` that is not one of the `known` environments."""
    module = _module_here(name)
    if module is not None:
        return ConfigError(_of_file(name, *module))
    package, _, attribute = name.rpartition(".")
    if package and _module_here(package) is not None:
        return ConfigError(f"{name!r} is no environment; write {package}:{attribute}, with a colon before the name")
    close = nearest(name, known)
    if not close:
        return ConfigError(f"unknown environment {name!r}; {WHERE_ALL}")
    others = f"near it: {listed(map(repr, close[1:]))}; " if close[1:] else ""
    return ConfigError(f"unknown environment {name!r}; did you mean {close[0]!r}? ({others}{LISTS})")


def nearest(name: str, known: Iterable[str], most: int = NEAREST) -> list[str]:
    """Return the `known` ids most similar to `name`, at most `most`. Only newest versions; capitals do not matter."""
    newest: dict[str, tuple[int, str]] = {}
    for full in known:
        stem, version = _parts(full)
        newest[stem] = max(newest.get(stem, (-1, "")), (version, full))
    ids = {full.lower(): full for _, full in newest.values()}
    return [ids[close] for close in difflib.get_close_matches(name.lower(), ids, n=most, cutoff=LIKENESS)]


def _parts(name: str) -> tuple[str, int]:
    """Return (id without its version, version). The version is 0 if the id has none."""
    found = re.fullmatch(r"(.+)-v(\d+)", name)
    return (found[1], int(found[2])) if found else (name, 0)


def _module_here(name: str) -> tuple[str, Path] | None:
    """Return (module, file) in the current folder for a name such as beam, beam.py, lab/beam.py or lab.beam."""
    parts = re.split(r"[/\\.]", name.removesuffix(".py").removeprefix("./"))
    if not all(part.isidentifier() for part in parts):
        return None
    try:
        place = Path(*parts)
        files = (place.with_suffix(".py"), place / "__init__.py")
        return next(((".".join(parts), file) for file in files if file.is_file()), None)
    except OSError:  # the name is too long for a file
        return None


def _of_file(name: str, module: str, file: Path) -> str:
    offered = list(environments_in(file))
    such_as = f", where NAME is {listed(offered)}" if offered else ", where NAME is a class or function that makes one"
    return f"{name!r} is no environment, but there is a file {file}: write {module}:NAME{such_as}"


def environments_in(file: Path) -> Iterator[str]:
    """Yield the names of classes and functions of a Python file that look like environments or makers of them."""
    try:
        source = importlib.machinery.SourceFileLoader(file.stem, str(file)).get_source(file.stem)
        tree = ast.parse(source or "")
    except (ImportError, SyntaxError, ValueError):  # of unknown encoding, or not Python
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") and _looks_like_one(node):
            yield node.name


def _looks_like_one(node: ast.ClassDef | ast.FunctionDef) -> bool:
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base) for base in node.bases]
        own = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
        return own >= METHODS or any(base.endswith(("Env", "Wrapper", "TimeLimit")) for base in bases)
    returns = ast.unparse(node.returns) if node.returns is not None else ""
    return returns.endswith("Env") or "env" in node.name.lower() or node.name.startswith("make")
