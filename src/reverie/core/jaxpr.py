"""Walking the program that JAX makes of a function (a jaxpr): what all readers of such programs share."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.extend.core as jex
import numpy as np

CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat")  # equations with a program inside


def run(
    jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any], equation: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """Return the results of a jaxpr, whose equations are read in order.

    constants, inputs: values of its variables.  equation: (an equation, values of its inputs) -> values of its results.
    A value is whatever the reader takes for one; constants and literals are arrays.
    """
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
    known.update(zip(jaxpr.invars, inputs, strict=True))

    def value(variable: Any) -> Any:
        if isinstance(variable, jex.Literal):
            return np.asarray(variable.val, getattr(variable.aval, "dtype", None))
        return known[variable]

    for each in jaxpr.eqns:
        results = equation(each, [value(variable) for variable in each.invars])
        known.update(zip(each.outvars, results, strict=True))
    return [value(variable) for variable in jaxpr.outvars]


def called(equation: Any) -> tuple[Any, Sequence[Any]]:
    """Return (jaxpr, constants) of the program inside one of CALLS."""
    inner = next(equation.params[key] for key in ("jaxpr", "call_jaxpr") if key in equation.params)
    return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
