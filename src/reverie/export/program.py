"""A policy as a list of simple steps, which ONNX and NumPy can both run.

A step is an operation of ONNX (opset 17), the names of its inputs, its attributes, and the name of its result. Arrays
have a leading batch axis. `trace` reads the steps from the program that JAX makes of a function; so every algorithm
whose greedy policy uses the operations below can be exported, a user's own too.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reverie.core import jaxpr
from reverie.core.errors import ConfigError, sentence
from reverie.core.words import listed

BATCH = 8191  # rows while a program is traced: a prime that no layer has, so that the batch axis is known by its size
INPUT, OUTPUT = "input", "action"
LAST = "last_action"  # second input [batch, m], where the policy has a slew


class Step(NamedTuple):
    """One operation."""

    op: str  # of ONNX
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, float] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Program:
    """Steps from `INPUT`, float32 [batch, n], to `OUTPUT` [batch, m], and the constants that they name."""

    steps: tuple[Step, ...]
    constants: dict[str, np.ndarray]


def trace(function: Callable[..., Any], observation_dim: int, name: str, last_dim: int = 0) -> Program:
    """Return a function of observations [batch, n] as a program.

    last_dim: number of actuators where the function has the last actions [batch, m] as a second argument, else 0.
    name: of the function, for messages.  Raises ConfigError where it uses an operation that cannot be exported.
    """
    widths = {INPUT: observation_dim} | ({LAST: last_dim} if last_dim else {})
    try:
        closed = jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct((BATCH, w), jnp.float32) for w in widths.values()))
    except Exception as error:  # a user's function may raise anything
        raise ConfigError(f"{name} is no function of a batch of observations for JAX: {sentence(error)}") from error
    tracer = _Tracer(name)
    (result,) = jaxpr.run(closed.jaxpr, closed.consts, list(widths), tracer.equation)
    return tracer.program(result)


EXPORTABLE = {
    **{"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "pow": "Pow"},
    **{"sqrt": "Sqrt", "tanh": "Tanh", "exp": "Exp", "log": "Log", "neg": "Neg", "abs": "Abs", "logistic": "Sigmoid"},
    **{"sin": "Sin", "cos": "Cos", "floor": "Floor", "erf": "Erf", "gt": "Greater", "lt": "Less"},
    **{"ge": "GreaterOrEqual", "le": "LessOrEqual", "eq": "Equal", "not": "Not", "and": "And", "or": "Or"},
}


class _Tracer:
    """Turns the equations of a jaxpr into steps. What depends on constants alone is computed at once."""

    def __init__(self, name: str):
        self.name = name
        self.steps: list[Step] = []
        self.constants: dict[str, np.ndarray] = {}
        self.handlers: dict[str, Callable[..., Any]] = {
            "dot_general": self.dot_general,
            "reduce_sum": self.reduce("ReduceSum"),
            "reduce_max": self.reduce("ReduceMax"),
            "argmax": self.argmax,
            "reshape": self.reshape,
            "squeeze": self.reshape,
            "slice": self.slice,
            "split": self.split,
            "concatenate": self.concatenate,
            "select_n": self.select,
            "convert_element_type": self.convert,
            "square": lambda _, x: self.add("Mul", x, x),
            "ne": lambda _, x, y: self.add("Not", self.add("Equal", x, y)),
            "log1p": lambda _, x: self.add("Log", self.add("Add", x, np.float32(1.0))),
            "expm1": lambda _, x: self.add("Sub", self.add("Exp", x), np.float32(1.0)),
            "erfc": lambda _, x: self.add("Sub", np.float32(1.0), self.add("Erf", x)),
            "integer_pow": lambda equation, x: self.add("Pow", x, np.float32(equation.params["y"])),
            "rsqrt": lambda _, x: self.add("Div", np.float32(1.0), self.add("Sqrt", x)),
            "stop_gradient": lambda _, x: x,
            "copy": lambda _, x: x,
        }

    def program(self, result: Any) -> Program:
        """Return what was traced, with its result named `OUTPUT`.  Raises ConfigError where that is a constant."""
        if not isinstance(result, str):
            raise ConfigError(f"{self.name} does not depend on the observation: there is nothing to export")
        if result == INPUT:
            return Program((Step("Identity", (INPUT,), OUTPUT),), {})
        renamed = [step._replace(output=OUTPUT) if step.output == result else step for step in self.steps]
        return Program(
            tuple(step._replace(inputs=tuple(OUTPUT if i == result else i for i in step.inputs)) for step in renamed),
            self.constants,
        )

    def equation(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """Return the results of one equation."""
        kind = equation.primitive.name
        if kind == "broadcast_in_dim":
            return [self.broadcast(equation, *inputs)]
        if kind in jaxpr.CALLS:
            return jaxpr.run(*jaxpr.called(equation), inputs, self.equation)
        if not any(isinstance(each, str) for each in inputs):
            return self.computed(equation, inputs)
        if kind in EXPORTABLE:
            return [self.add(EXPORTABLE[kind], *inputs)]
        if kind in self.handlers:
            results = self.handlers[kind](equation, *inputs)
            return results if equation.primitive.multiple_results else [results]
        known = listed(sorted({*EXPORTABLE, *self.handlers}))
        raise ConfigError(f"{self.name} uses JAX's operation {kind}, which cannot be exported; use only {known}")

    def computed(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """Return the results of an equation whose inputs are all constants."""
        try:
            results = equation.primitive.bind(*inputs, **equation.params)
        except TypeError as error:  # the constants have no batch axis (`broadcast`), which this operation needs
            raise ConfigError(
                f"{self.name} computes {equation.primitive.name} for each observation from constants alone, which "
                "cannot be exported: a part of it does not depend on the observation"
            ) from error
        return list(map(np.asarray, results if equation.primitive.multiple_results else [results]))

    def add(self, op: str, *inputs: Any, **attributes: int) -> str:
        """Add a step, with constants among its inputs; return the name of its result."""
        if op == "Pow" and not isinstance(inputs[1], str) and np.all(inputs[1] == np.float32(0.5)):
            op, inputs = "Sqrt", inputs[:1]
        names = tuple(map(self.named, inputs))
        for step in self.steps:  # a mean is computed once, though x.mean() and x.var() both need it
            if step[:2] == (op, names) and step.attributes == attributes:
                return step.output
        self.steps.append(Step(op, names, f"x{len(self.steps)}", dict(attributes)))
        return self.steps[-1].output

    def named(self, value: Any) -> str:
        """Return the name of an input, which may be a constant."""
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and known.tobytes() == array.tobytes():
                return name
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def require_last(self, equation: Any, axes: Sequence[int], does: str) -> None:
        """Raise ConfigError unless `axes` are the last axis of an equation's input alone.  does: what it does there."""
        if tuple(axes) != (len(equation.invars[0].aval.shape) - 1,):
            raise ConfigError(f"{self.name} {does} another axis than the last: it cannot be exported")

    # ---- operations whose form differs between JAX and ONNX

    def dot_general(self, equation: Any, x: Any, y: Any) -> str:
        """Multiply by a constant matrix."""
        ((of_x, of_y), batched) = equation.params["dimension_numbers"]
        if batched != ((), ()) or len(of_x) != 1 or isinstance(y, str) or y.ndim != 2:
            raise ConfigError(f"{self.name} uses a matrix product that cannot be exported: use x @ W with constant W")
        if of_x[0] != len(equation.invars[0].aval.shape) - 1:
            raise ConfigError(f"{self.name} multiplies along another axis than the last: use x @ W with constant W")
        return self.add("MatMul", x, y if of_y[0] == 0 else np.ascontiguousarray(y.T))

    def reduce(self, op: str) -> Callable[..., str]:
        """Return the handler of sums or maxima, which are taken over the last axis."""

        def run(equation: Any, x: Any) -> str:
            self.require_last(equation, equation.params["axes"], "reduces")
            return self.add(op, x, keepdims=0)

        return run

    def argmax(self, equation: Any, x: Any) -> str:
        """Find the index of the largest entry along the last axis."""
        self.require_last(equation, equation.params["axes"], "reduces")
        return self.add("ArgMax", x, axis=-1, keepdims=0)

    def broadcast(self, equation: Any, x: Any) -> Any:
        """Add axes of size 1; operations themselves broadcast along them."""
        shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
        before = equation.invars[0].aval.shape
        if not isinstance(x, str):
            before = (1,) * (len(before) - x.ndim) + x.shape  # which may be that of a constant without leading axes
        kept = [before[places.index(axis)] if axis in places else 1 for axis in range(len(shape))]
        if isinstance(x, str):
            return self.reshaped(x, before, kept)
        if BATCH not in shape and 1 not in shape:
            return np.broadcast_to(x.reshape(kept), shape)
        return x.reshape(kept[next((i for i, size in enumerate(kept) if size != 1), len(kept)) :])  # not for each row

    def reshape(self, equation: Any, x: Any) -> Any:
        """Add or drop axes of size 1."""
        return self.reshaped(x, equation.invars[0].aval.shape, equation.outvars[0].aval.shape)

    def reshaped(self, x: Any, before: Sequence[int], after: Sequence[int]) -> Any:
        """Return x with another shape, whose batch axis stays the batch axis."""
        if list(before) == list(after):
            return x
        if not isinstance(x, str):
            return np.reshape(x, after)
        if before[0] != BATCH or after[0] != BATCH:
            raise ConfigError(f"{self.name} changes the shape of the batch axis: it cannot be exported")
        return self.add("Reshape", x, np.array([-1 if size == BATCH else size for size in after], np.int64))

    def slice(self, equation: Any, x: Any) -> str:
        """Take a part of the last axis."""
        start, stop = equation.params["start_indices"], equation.params["limit_indices"]
        shape, strides = equation.invars[0].aval.shape, equation.params["strides"]
        whole = all(a == 0 and b == size for a, b, size in zip(start[:-1], stop[:-1], shape[:-1], strict=True))
        if not whole or (strides is not None and set(strides) != {1}):
            raise ConfigError(f"{self.name} takes a part of another axis than the last: it cannot be exported")
        return self.part(x, start[-1], stop[-1])

    def split(self, equation: Any, x: Any) -> list[str]:
        """Divide the last axis."""
        self.require_last(equation, (equation.params["axis"],), "takes a part of")
        ends = np.cumsum((0, *equation.params["sizes"])).tolist()
        return [self.part(x, start, stop) for start, stop in itertools.pairwise(ends)]

    def part(self, x: Any, start: int, stop: int) -> str:
        """Take columns from `start` to before `stop`."""
        return self.add("Slice", x, *(np.array([number], np.int64) for number in (start, stop, -1)))

    def concatenate(self, equation: Any, *parts: Any) -> str:
        """Put arrays side by side."""
        if not all(isinstance(part, str) for part in parts):
            raise ConfigError(f"{self.name} puts constants beside observations: that cannot be exported")
        self.require_last(equation, (equation.params["dimension"],), "puts arrays together along")
        return self.add("Concat", *parts, axis=-1)

    def select(self, equation: Any, which: Any, *cases: Any) -> Any:
        """Choose between two arrays, element by element."""
        if not isinstance(which, str) and which.ndim == 0:
            return cases[int(which)]
        otherwise, chosen = cases
        return self.add("Where", which, chosen, otherwise)

    def convert(self, equation: Any, x: Any) -> str:
        """Change the kind of number."""
        before, after = equation.invars[0].aval.dtype, equation.params["new_dtype"]
        if before == after:
            return x
        if np.dtype(after) != np.float32:
            raise ConfigError(f"{self.name} computes with {after}: only float32 can be exported")
        return self.add("Cast", x, to=1)  # 1: ONNX's number of float32
