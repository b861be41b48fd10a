"""Documentation of dataclass settings: the text below each field, read from the source when asked for."""

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from reverie.core.registry import registry_of

T = TypeVar("T")
WIDTH = 100  # characters of a line in help()


class SettingDoc(NamedTuple):
    """Documentation of one setting.  default: `dataclasses.MISSING` where a value is required."""

    name: str
    default: Any
    choices: tuple[str, ...]  # of a Literal or a registry, else ()
    text: str  # one line; "" where the source has none


def setting_docs(kind: type) -> list[SettingDoc]:
    """Return the documentation of a dataclass's settings, in order; a class's own texts override those of its bases."""
    hints = get_type_hints(kind, include_extras=True)
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        texts |= _texts(base)
    return [
        SettingDoc(field.name, _default(field), _choices(hints[field.name]), texts.get(field.name, ""))
        for field in dataclasses.fields(kind)
        if not field.name.startswith("_")
    ]


class LazyDoc:
    """A `__doc__` that ends with the settings of its dataclass.  It is built only when it is read."""

    def __init__(self, text: str):
        self._text = text

    def __get__(self, instance: object, owner: type) -> str:
        if (
            "__match_args__" not in owner.__dict__
        ):  # `dataclass` reads it while making the class, before this attribute is set
            return self._text
        return _with_settings(owner, self._text)


def document_settings(kind: type[T]) -> type[T]:
    """Make `help` of a dataclass list each setting with its default and meaning; return the class."""
    if own := kind.__dict__.get("__doc__"):
        kind.__doc__ = LazyDoc(own)  # pyright: ignore[reportAttributeAccessIssue]
    return kind


@functools.cache
def _with_settings(kind: type, text: str) -> str:
    lines = [inspect.cleandoc(text), "", "Settings:"]
    for setting in setting_docs(kind):
        default = "" if setting.default is dataclasses.MISSING else f" = {setting.default!r}"
        lines.append(f"    {setting.name}{default}")
        lines += textwrap.wrap(setting.text, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


@functools.cache
def _texts(kind: type) -> dict[str, str]:
    """Return the text below each field of one class; {} where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):  # a class typed at a prompt, or written in C
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for field, after in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = after.value.value if isinstance(after.value, ast.Constant) else None
            if isinstance(text, str):
                found[field.target.id] = " ".join(text.split())
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _choices(hint: Any) -> tuple[str, ...]:
    known = registry_of(hint)
    if known is not None:
        return tuple(known)
    return tuple(map(str, get_args(hint))) if get_origin(hint) is Literal else ()
