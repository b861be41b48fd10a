"""Convert arguments of pure functions: arrays of NumPy and JAX stay as they are, lists of numbers become arrays."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from reverie.core.argument_checks import shown
from reverie.core.array_like import as_array
from reverie.core.errors import SpaceError
from reverie.maths.array_types import Array

ARRAYS = np.ndarray, np.generic, jax.Array  # traced arrays are instances of the last
NUMBERS = int, float

Function = TypeVar("Function", bound=Callable[..., Any])


def array(where: str, value: object, wanted: str = "an array of real numbers") -> Array:
    """Return an array as it is, and anything else as a NumPy array of float64.

    where: the argument, and wanted: what it should be, for messages.  Raises SpaceError where it has no real numbers.
    """
    if isinstance(value, ARRAYS):
        return cast(Array, value)  # scalars of NumPy, too, have what is asked of arrays
    found = as_array(value)
    if found.dtype.kind not in "iufb":
        raise SpaceError(f"{where} is {shown(value)}; give {wanted}")
    return found.astype(float)


def real(where: str, value: object, wanted: str = "an array of real numbers") -> Array:
    """Return an array of real floating-point numbers, as `array` does. Integers are converted.

    Raises SpaceError where they are not real numbers.
    """
    found = array(where, value, wanted)
    if jnp.issubdtype(found.dtype, np.floating):
        return found
    if found.dtype.kind not in "iub":
        raise SpaceError(f"{where} is {shown(value)}; give {wanted}")
    return found.astype(float)


def of_arrays(function: Function) -> Function:
    """Decorate `function` so that it accepts lists instead of arrays, also within named tuples and dicts.

    Numbers, functions and None are passed on as they are. The decorated function raises SpaceError that names an
    argument without real numbers.
    """
    names, where = tuple(inspect.signature(function).parameters), f"{function.__module__.rpartition('.')[2]}."
    where += function.__name__

    @functools.wraps(function)
    def run(*given: Any, **named: Any) -> Any:
        found = [_within(f"{where}: {name}", value) for name, value in zip(names, given, strict=False)]
        # the function itself reports arguments that are too many
        return function(
            *found,
            *given[len(found) :],
            **{name: _within(f"{where}: {name}", value) for name, value in named.items()},
        )

    return run  # type: ignore[return-value]


def _within(where: str, value: Any) -> Any:
    """Return `value` with its lists converted to arrays."""
    if isinstance(value, ARRAYS) or value is None or isinstance(value, NUMBERS):
        return value
    if isinstance(value, dict):
        return {name: _within(f"{where}[{name!r}]", part) for name, part in value.items()}
    if hasattr(value, "_fields"):
        parts = zip(value._fields, value, strict=True)
        return type(value)(*(_within(f"{where}.{name}", part) for name, part in parts))
    if callable(value):
        return value
    return array(where, value)
