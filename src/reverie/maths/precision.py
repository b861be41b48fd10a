"""Run functions in float64, for fits, backward passes and duals. Networks may use another precision."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

import jax
import numpy as np

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def double(function: Callable[[*Arguments], Result], **compile_with: Any) -> Callable[[*Arguments], Result]:
    """Return `function` compiled for float64. It takes arrays of any precision and returns NumPy arrays.

    function: a pure function of JAX arrays.  compile_with: options of `jax.jit`. Static arguments are passed on as they
    are. All arguments are positional.
    """
    compiled = jax.jit(function, **compile_with)

    @functools.wraps(function)
    def run(*arguments: *Arguments) -> Result:
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, compiled(*jax.tree.map(_widened, arguments)))

    return run


def _widened(leaf: Any) -> Any:
    """Return an array of float32 as float64; anything else as it is."""
    return np.asarray(leaf, np.float64) if getattr(leaf, "dtype", None) == np.float32 else leaf
