"""Check the shapes and kinds of arrays that signatures promise, at every call while tests run.

jaxtyping's import hook applies `checked` to all functions of the packages in `PACKAGES`. Only jaxtyping's annotations are
checked, also within tuples, unions, and the fields of named tuples and typed dicts. Other annotations are pyright's: a
checker of all types would refuse bad arguments before the functions themselves can, and those errors are tested too.
"""

import collections.abc
import functools
import inspect
import types
import typing

import numpy as np
from jaxtyping import AbstractArray, install_import_hook

PACKAGES = "reverie.algorithms", "reverie.control", "reverie.maths", "reverie.models"


def install():
    """Check every call of the packages that are imported from here on."""
    install_import_hook(list(PACKAGES), "shape_checks.checked")


def checked(function):
    """Decorate a function without a body, which jaxtyping makes of a signature, so that it checks its arguments.

    jaxtyping passes what the real function returned as the last argument, which is this function's result.
    """
    signature = inspect.signature(function)
    promises = {
        name: each.annotation
        for name, each in signature.parameters.items()
        if promises_arrays(each.annotation) and not is_open(each.annotation)  # these may hold lists
    }
    promises = dict(sorted(promises.items(), key=lambda promise: needs_sizes(promise[1])))
    result = signature.return_annotation if promises_arrays(signature.return_annotation) else None
    if not promises and result is None:
        return function

    def run(*given, **named):
        returned = function(*given, **named)
        arguments = signature.bind(*given, **named).arguments
        for name, annotation in promises.items():
            if name in arguments:
                verify(name, arguments[name], annotation)
        if result is not None:
            verify("the result", returned, result)
        return returned

    return run


def promises_arrays(annotation):
    """Return whether an annotation says anything of an array's shape."""
    if is_named_tuple(annotation) or typing.is_typeddict(annotation):
        return any(promises_arrays(each) for each in fields_of(annotation).values())
    return is_array(annotation) or any(map(promises_arrays, parts_of(annotation)))


def parts_of(annotation):
    """Return the annotations within one. A function's own signature promises nothing of arrays that are here now."""
    return () if typing.get_origin(annotation) is collections.abc.Callable else typing.get_args(annotation)


def verify(name, value, annotation):
    """Raise TypeError unless `value` has the shape that its annotation promises."""
    if not fits(value, annotation):
        shape = f"{value.dtype}{list(value.shape)}" if hasattr(value, "shape") else repr(value)
        raise TypeError(f"{name} is {shape}, which is not {annotation}")


def fits(value, annotation):
    """Return whether `value` has the shape that its annotation promises, as far as this module looks at it."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if is_array(annotation):
        return isinstance(np.asarray(value) if isinstance(value, np.generic) else value, annotation)
    if is_named_tuple(annotation):
        return all(fits(getattr(value, name, None), each) for name, each in fields_of(annotation).items())
    if typing.is_typeddict(annotation):
        return all(fits(value[name], each) for name, each in fields_of(annotation).items())
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is tuple and promises_arrays(annotation):
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(fits(each, inner[0]) for each in value)
        pairs = sorted(zip(value, inner, strict=False), key=lambda pair: needs_sizes(pair[1]))
        return len(value) == len(inner) and all(fits(*pair) for pair in pairs)
    if origin is list:
        return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, inner[1]) for each in value.values())
    if annotation is float:
        return isinstance(value, float | int)
    kind = origin or annotation
    checkable = isinstance(kind, type) and kind is not typing.Any and not getattr(kind, "_is_protocol", False)
    return isinstance(value, kind) if checkable else True


def is_array(annotation):
    return isinstance(annotation, type) and issubclass(annotation, AbstractArray)


def is_named_tuple(annotation):
    return isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")


def is_open(annotation):
    """Return whether callers may give lists and numbers in place of the arrays within: in named tuples and dicts."""
    return (
        is_named_tuple(annotation)
        or typing.is_typeddict(annotation)
        or typing.get_origin(annotation) is dict
        or any(map(is_open, parts_of(annotation)))
    )


@functools.cache
def fields_of(annotation):
    """Return the annotations of a named tuple's fields by name. Those that need the sizes of others come last."""
    found = annotation.__annotations__  # as written: `get_type_hints` would look for names within optax's types
    return dict(sorted(found.items(), key=lambda field: needs_sizes(field[1])))


def needs_sizes(annotation):
    """Return whether an annotation has a size such as T+1, which can be checked once T is known."""
    return "+" in str(annotation)
