"""Check and convert the values that an environment, or a program that calls `tell`, returns.

A value is converted to the type it should have. If that is impossible, a WorldError names it. The usual types are
tested first, because this runs at each step; all other types are examined in detail.
"""

import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import utils as space_utils

from reverie.core.argument_checks import shown
from reverie.core.errors import ReverieError, WorldError, sentence
from reverie.core.words import count, listed

LARGEST = float(np.finfo(np.float32).max)
RESET_GIVES, STEP_GIVES = "observation, info", "observation, reward, terminated, truncated, info"

# Words for what an array holds, by dtype.kind.
WORDS = {"O": "objects", "U": "text", "S": "bytes", "c": "complex numbers", "M": "dates", "m": "spans of time"}

Flatten = Callable[[Any], np.ndarray]  # raises Misfit, or anything that a user's object raises


class Misfit(ValueError):
    """A value that does not fit. Its text is the rest of a sentence that begins with the value's name: "holds text"."""


def reason_of(error: Exception) -> str:
    """Return the rest of a sentence about a value that was refused with `error`, as the text of a `Misfit`.

    Raises `error` again where it is a ReverieError, whose text is a whole sentence.
    """
    if isinstance(error, ReverieError):
        raise error
    return str(error) if isinstance(error, Misfit) else f"does not fit observation_space ({sentence(error)})"


def parts_of(name: str, call: str, result: Any, wanted: str) -> Any:
    """Return the parts of what `reset` or `step` returned.

    name: the environment's.  call: "reset" or "step 3", for messages.  result: what it returned.
    wanted: names of the parts, with commas.  Raises WorldError unless their number is right and the last is a dict.
    """
    if isinstance(result, tuple | list) and len(result) == wanted.count(",") + 1:
        if not isinstance(result[-1], dict):
            raise WorldError(f"{name}: {call} returned info {shown(result[-1])}; it must be a dict, empty or not")
        return result
    close_unawaited(result)
    what = f"{count(len(result), 'value')}" if isinstance(result, tuple | list) else type(result).__name__
    raise WorldError(f"{name}: {call} returned {what}; Gymnasium needs ({wanted})")


def close_unawaited(value: Any) -> None:
    """Close `value` if it is the coroutine of an `async def`. Else Python warns that it was never awaited."""
    if inspect.iscoroutine(value):
        value.close()


def truth(name: str, flag: str, step: int, value: Any) -> bool:
    """Return a flag of a step as a bool.

    value: a bool of any library, 0 or 1, or an array of one of them.  Raises WorldError for anything else.
    """
    if value is True or value is False:
        return value
    try:
        array = _plain(value)
        if array.size == 1 and array.item() in (0, 1):
            return bool(array.item())
    except Exception:  # a user's object may raise anything when it is read; then it is no flag
        pass
    raise WorldError(f"{name}: {flag} of step {step} is {shown(value)}; it must be True or False")


def finite_number(name: str, where: str, value: Any) -> float:
    """Return `value` as a finite float.

    value: any real number, or an array of one.  Raises WorldError for anything else; the message begins with `where`.
    """
    if isinstance(value, float):
        value = float(value)  # NumPy's float64 is a float as well
    else:
        try:
            value = float(_plain(value).item())
        except Exception:  # a user's object may raise anything when it is read
            raise WorldError(f"{name}: {where} is {shown(value)}; it must be one number") from None
    if not math.isfinite(value):
        raise WorldError(f"{name}: {where} is {value}; rewards must be finite")
    return value


def finite_vector(
    name: str, where: str, vector: np.ndarray, entry: Callable[[int], str] = "index {}".format
) -> np.ndarray:
    """Return `vector` [n] if it is finite.  Raises WorldError that names its first entry which is not.

    entry: index -> what an entry is, in words.
    """
    if not np.isfinite(vector).all():
        i = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise WorldError(f"{name}: {where} holds {vector[i]} at {entry(i)}; observations must be finite")
    return vector


def float32(values: Any) -> np.ndarray:
    """Return a new float32 array of real numbers. Finite values beyond float32's range become its largest value.

    Raises Misfit where the values are not real numbers.
    """
    if type(values) is not np.ndarray or values.dtype.kind != "f":
        values = _plain(values)
    if values.dtype == np.float32:
        return values.copy()  # a copy: the environment may write its next observation into its array
    try:
        with np.errstate(over="raise"):
            return np.array(values, np.float32)
    except FloatingPointError:
        return np.where(np.isinf(values), values, values.clip(-LARGEST, LARGEST)).astype(np.float32)


def _plain(value: Any) -> np.ndarray:
    """Return real numbers as an array.  Raises Misfit for text, complex numbers, masked entries and other objects."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise Misfit("has masked entries; it must have a value for each")
    array = _array(value)
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "O" and all(_is_real(item) for item in array.flat):
        return array.astype(float)  # raises OverflowError for integers beyond float64
    raise Misfit(f"holds {WORDS.get(array.dtype.kind, array.dtype.name)}; it must hold real numbers")


def _array(value: Any) -> np.ndarray:
    """Return `value` as an array of any dtype.  Raises Misfit for ragged lists."""
    try:
        return np.asarray(value)
    except ValueError as error:
        if isinstance(value, list | tuple) and "inhomogeneous" in str(error):
            raise Misfit("is ragged: its parts have different lengths; they must have the same") from None
        raise


def _is_real(item: Any) -> bool:
    return isinstance(item, numbers.Real) or hasattr(item, "as_integer_ratio")  # decimal.Decimal is not a Real


def flattener(space: gym.Space[Any]) -> Flatten:
    """Return a function that makes a float32 vector [n] of an observation of `space`, in Gymnasium's order.

    The function raises Misfit. Its text says what does not fit, and where in a nested observation.
    """
    if isinstance(space, gym.spaces.Box):
        return lambda value: _box(space.shape, value)
    if isinstance(space, gym.spaces.Discrete):
        return lambda value: _one_hot(int(space.n), int(space.start), value)
    if isinstance(space, gym.spaces.Dict):
        return _dict({key: flattener(part) for key, part in space.spaces.items()})
    if isinstance(space, gym.spaces.Tuple):
        return _tuple([flattener(part) for part in space.spaces])
    return lambda value: _as_gymnasium(space, value)


def _box(shape: tuple[int, ...], value: Any) -> np.ndarray:
    found = value.shape if isinstance(value, np.ndarray) else _array(value).shape
    if found != shape:
        raise Misfit(f"has shape {found}; observation_space says {shape}")
    return float32(value).ravel()


def _one_hot(size: int, start: int, value: Any) -> np.ndarray:
    number = _plain(value)
    if number.size != 1 or number.item() != int(number.item()) or not 0 <= number.item() - start < size:
        raise Misfit(f"is {shown(value)}; Discrete needs a whole number from {start} to {start + size - 1}")
    found = np.zeros(size, np.float32)
    found[int(number.item()) - start] = 1.0
    return found


def _dict(parts: Mapping[Any, Flatten]) -> Flatten:
    def flatten(value: Any) -> np.ndarray:
        if not isinstance(value, Mapping) or value.keys() != parts.keys():
            keys = f"a dict of {listed(value)}" if isinstance(value, Mapping) else type(value).__name__
            raise Misfit(f"is {shown(keys)}; observation_space says a dict of {listed(parts)}")
        return np.concatenate([_at(key, part, value[key]) for key, part in parts.items()])

    return flatten


def _tuple(parts: list[Flatten]) -> Flatten:
    def flatten(value: Any) -> np.ndarray:
        if not isinstance(value, tuple | list) or len(value) != len(parts):
            found = f"{len(value)} parts" if isinstance(value, tuple | list) else type(value).__name__
            raise Misfit(f"is {found}; observation_space says a tuple of {len(parts)}")
        return np.concatenate([_at(i, part, own) for i, (part, own) in enumerate(zip(parts, value, strict=True))])

    return flatten


def _at(key: Any, part: Flatten, value: Any) -> np.ndarray:
    try:
        return part(value)
    except Exception as error:
        raise Misfit(f"[{key!r}] {reason_of(error)}") from error


def _as_gymnasium(space: gym.Space[Any], value: Any) -> np.ndarray:
    if not space.contains(value):
        raise Misfit(f"is {shown(value)}, which is not in {space}")
    found: Any = space_utils.flatten(space, value)
    return float32(found).ravel()
