"""Run the acting program of an agent (`acting_program`) with NumPy alone.

Operations have the names of JAX's primitives.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reverie.core.words import count


def _erf(x: np.ndarray) -> np.ndarray:
    import scipy.special  # it takes long to import, and few agents need it

    return scipy.special.erf(x)


def _erfc(x: np.ndarray) -> np.ndarray:
    import scipy.special

    return scipy.special.erfc(x)


def _broadcast(x: np.ndarray, shape: Sequence[int], kept: Sequence[int]) -> np.ndarray:
    return np.broadcast_to(np.reshape(x, kept), shape)


def _select(which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    return np.where(which, cases[1], cases[0]) if len(cases) == 2 else np.choose(which, cases)


def _slice(x: np.ndarray, start: Sequence[int], stop: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    return x[tuple(map(slice, start, stop, strides))]


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{"add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "rem": np.fmod},
    **{"max": np.maximum, "min": np.minimum, "pow": np.power, "neg": np.negative, "abs": np.abs, "sign": np.sign},
    **{"sqrt": np.sqrt, "exp": np.exp, "exp2": np.exp2, "log": np.log, "log1p": np.log1p, "expm1": np.expm1},
    **{"tanh": np.tanh, "sin": np.sin, "cos": np.cos, "floor": np.floor, "ceil": np.ceil, "square": np.square},
    **{"gt": np.greater, "lt": np.less, "ge": np.greater_equal, "le": np.less_equal, "eq": np.equal},
    **{"ne": np.not_equal, "not": np.logical_not, "and": np.logical_and, "or": np.logical_or},
    **{"is_finite": np.isfinite, "erf": _erf, "erfc": _erfc, "inv": np.linalg.inv},
    **{"matmul": np.matmul, "einsum": lambda *x, subscripts: np.einsum(subscripts, *x)},
    **{"reshape": np.reshape, "broadcast": _broadcast, "slice": _slice, "select_n": _select},
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "integer_pow": lambda x, y: x**y,
    "convert": lambda x, dtype: np.asarray(x).astype(dtype),
    "transpose": lambda x, axes: x.transpose(axes),
    "concatenate": lambda *parts, axis: np.concatenate(parts, axis),
    "split": np.split,
    "reduce_sum": lambda x, axes: np.add.reduce(x, tuple(axes)),
    "reduce_max": lambda x, axes: np.maximum.reduce(x, tuple(axes)),
    "reduce_min": lambda x, axes: np.minimum.reduce(x, tuple(axes)),
    "argmax": np.argmax,
    "argmin": np.argmin,
}

Steps = Sequence[tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]]


class NumpyPolicy:
    """An agent's exploring policy.  acting: what `acting_program.described` returned.

    Raises ValueError where that names an unknown operation.
    """

    def __init__(self, acting: dict[str, Any]):
        self._leaves = [(np.dtype(kind), tuple(shape)) for kind, shape in acting["leaves"]]
        self._sizes = [kind.itemsize * math.prod(shape) for kind, shape in self._leaves]
        self._values: list[Any] = [None] * acting["registers"]
        for register, array in acting["constants"]:
            self._values[register] = array_of(array)
        self._at_first, self._memory = list(map(_step, acting["at_first"])), array_of(acting["memory"])
        self._each_time = list(map(_step, acting["each_time"]))
        self._inputs, self._results = acting["inputs"], acting["results"]
        self.begin()

    def begin(self) -> None:
        """Begin an episode: the noise process starts again."""
        self.memory = self._memory.copy()

    def take(self, weights: bytes) -> None:
        """Act by other weights from now on: the policy's leaves side by side.  Raises ValueError for another size."""
        if len(weights) != sum(self._sizes):
            raise ValueError(f"weights of {count(len(weights), 'byte')}, not {sum(self._sizes)}")
        offset = 0
        for register, ((kind, shape), size) in enumerate(zip(self._leaves, self._sizes, strict=True)):
            self._values[register] = np.frombuffer(weights, kind, math.prod(shape), offset).reshape(shape)
            offset += size
        _run(self._at_first, self._values)

    def explore(self, observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the exploring action [m] for an observation [n], and advance the noise.  noise: standard normal [m]."""
        values = self._values
        for register, value in zip(self._inputs, (self.memory, observation, noise), strict=True):
            values[register] = value
        _run(self._each_time, values)
        action, memory = self._results
        self.memory = np.asarray(values[memory])
        return np.asarray(values[action])


def _run(steps: Steps, values: list[Any]) -> None:
    for function, inputs, outputs in steps:
        result = function(*[values[i] for i in inputs])
        if len(outputs) == 1:
            values[outputs[0]] = result
        else:
            for register, part in zip(outputs, result, strict=True):
                values[register] = part


def _step(step: Sequence[Any]) -> tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]:
    operation, inputs, outputs, attributes = step
    if operation not in OPERATIONS:
        raise ValueError(f"the acting program has the unknown operation {operation!r}")
    function = OPERATIONS[operation]
    return functools.partial(function, **attributes) if attributes else function, tuple(inputs), tuple(outputs)


def array_of(described: Sequence[Any]) -> np.ndarray:
    """Return the array that `described_array` described."""
    kind, shape, content = described
    return np.frombuffer(bytes.fromhex(content), np.dtype(kind)).reshape(shape)


def described_array(array: Any) -> list[Any]:
    """Return an array as JSON: dtype, shape, and its bytes as hexadecimal digits, so that every number is exact."""
    array = np.asarray(array)
    return [array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes().hex()]
