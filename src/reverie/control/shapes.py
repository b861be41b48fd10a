"""Check the arguments of this package's functions: arrays of real numbers whose shapes agree.

Axes have the letters of `maths.array_types`. An argument's name decides its axes. Only shapes are checked, so it works
on arrays that JAX traces as well, and costs nothing in compiled programs.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np

from reverie.core.argument_checks import finite, shown
from reverie.core.errors import ConfigError, SpaceError
from reverie.maths import array_arguments
from reverie.maths.array_types import Array, Numbers

AXES: Mapping[str, str] = {
    **{"A": "nn", "B": "nm", "Q": "nn", "R": "mm", "N": "nm"},  # x' = A x + B u and its costs
    **{"F": "Tnd", "f": "Tn", "covariance": "Tnn"},  # of `Linear`
    **{"C": "Tdd", "c": "Td", "c0": "T", "V": "nn", "v": "n", "v0": ""},  # of `QuadraticCost`
    **{"K": "Tmn", "k": "Tm", "chol": "Tmm", "Quu": "Tmm"},  # of `Controller`
    **{"x0": "n", "x0_mean": "n", "x0_cov": "nn", "U0": "Tm"},  # of the start
    **{"H": "mm", "g": "m", "low": "m", "high": "m", "start": "m", "Hux": "mn"},  # of one step
    **{"starts": "Nn", "noise": "NTm", "costs": "NT", "to_go": "NT", "modelled": "NT", "weights": "NT"},  # of samples
    **{"bounds": "T", "multipliers": "T"},
}
OPTIONAL = {"covariance"}  # fields that may be None

First = TypeVar("First")
Second = TypeVar("Second")
Third = TypeVar("Third")
Fourth = TypeVar("Fourth")
Fitted = TypeVar("Fitted")


def real(where: str, name: str, value: object) -> Array:
    """Return `value` as an array of real floating-point numbers. Arrays of NumPy and JAX stay; lists become float64.

    where: the function, and name: the argument, for messages.  Raises SpaceError where it is not such an array.
    """
    return array_arguments.real(f"{where}: {name}", value, f"an array of real numbers {_axes(AXES[name])}")


@overload
def fit(where: str, /, **given: Numbers) -> tuple[Array, ...]: ...
@overload
def fit(where: str, first: First, /, **given: Numbers) -> tuple[First, *tuple[Array, ...]]: ...
@overload
def fit(where: str, first: First, second: Second, /, **given: Numbers) -> tuple[First, Second, *tuple[Array, ...]]: ...
@overload
def fit(
    where: str, first: First, second: Second, third: Third, /, **given: Numbers
) -> tuple[First, Second, Third, *tuple[Array, ...]]: ...
@overload
def fit(
    where: str, first: First, second: Second, third: Third, fourth: Fourth, /, **given: Numbers
) -> tuple[First, Second, Third, Fourth, *tuple[Array, ...]]: ...
def fit(where: str, /, *parts: Any, **given: Any) -> tuple[Any, ...]:
    """Return `parts` and then `given`, in order, with lists converted to arrays.

    where: the function, for messages.  parts: named tuples of arrays.  given: arrays by name.
    Raises SpaceError unless all arrays, and all fields of the tuples, have shapes that agree.
    """
    sizes: dict[str, tuple[int, str]] = {}  # size of each axis, and the name of an argument that has it
    for part in parts:
        if not hasattr(part, "_asdict") or not part._asdict().keys() <= AXES.keys():
            raise SpaceError(f"{where} is given {shown(part)}; it takes a tuple of arrays, such as Linear or Quadratic")

    def fitted(name: str, value: Any) -> Any:
        found = real(where, name, value)
        _agree(where, name, found.shape, sizes)
        return value if isinstance(value, int | float) else found  # a number takes the others' precision

    def whole(part: Any) -> Any:
        found = {
            name: None if own is None and name in OPTIONAL else fitted(name, own)
            for name, own in part._asdict().items()
        }
        return part if all(own is found[name] for name, own in part._asdict().items()) else part._replace(**found)

    return (*map(whole, parts), *(fitted(name, value) for name, value in given.items()))


def alike(parts: Fitted) -> Fitted:
    """Return a tuple of arrays, and of tuples of arrays, as JAX arrays of one precision: the highest among them."""
    dtype = jnp.result_type(*jax.tree.leaves(parts))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parts)


def _agree(where: str, name: str, shape: tuple[int, ...], sizes: dict[str, tuple[int, str]]) -> None:
    """Raise SpaceError unless `shape` agrees with the sizes that are known; add its own sizes to them."""
    axes = AXES[name]
    if "d" not in sizes and "n" in sizes and "m" in sizes:
        sizes["d"] = sizes["n"][0] + sizes["m"][0], sizes["m"][1]
    known = {axis: sizes[axis] for axis in axes if axis in sizes}
    fits = (
        len(shape) == len(axes)
        and all(shape)
        and all(shape[i] == sizes.setdefault(axis, (shape[i], name))[0] for i, axis in enumerate(axes))
    )
    if "d" in axes and fits:
        n, d = sizes.get("n"), sizes["d"]
        if n is not None:
            fits = d[0] > n[0] and d[0] - n[0] == sizes.setdefault("m", (d[0] - n[0], name))[0]
            known["n"] = n
    if not fits:
        said = ", ".join(f"{axis} = {size} as in {source}" for axis, (size, source) in known.items())
        raise SpaceError(
            f"{where}: {name} has shape {shape}; it must be {_axes(axes)}" + (f" with {said}" if said else "")
        )


def _axes(axes: str) -> str:
    return f"[{', '.join(axes)}]"


def matrices(where: str, **given: Numbers) -> list[np.ndarray]:
    """Return matrices as float64. A number counts as a 1 by 1 matrix.  Raises SpaceError as `fit` does."""
    wide = {name: real(where, name, value) for name, value in given.items()}
    wide = {name: value.reshape(1, 1) if value.ndim == 0 else value for name, value in wide.items()}
    return [np.asarray(value, float) for value in fit(where, **wide)]


def number(name: str, value: object) -> float:
    """Return a finite number, also from an array without axes.  Raises ConfigError where it is not one."""
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 0:
        value = value.item()
    return finite(name, value)


def positive(name: str, value: object) -> float:
    """Return a finite number above 0.  Raises ConfigError where it is not one."""
    found = number(name, value)
    if found <= 0:
        raise ConfigError(f"{name} is {shown(value)}; it must be positive")
    return found


def share(name: str, value: object) -> float:
    """Return a number in (0, 1].  Raises ConfigError where it is not one."""
    found = number(name, value)
    if not 0 < found <= 1:
        raise ConfigError(f"{name} is {shown(value)}; it must lie in (0, 1]")
    return found
