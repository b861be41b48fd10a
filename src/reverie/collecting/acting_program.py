"""The acting half of an agent as a list of NumPy operations, so that collectors act without JAX.

`described` reads the operations from the program that JAX makes of `Agent.explore`.  The policy's arrays are inputs of
it, so that new weights need no new program.  What depends on them alone is in `at_first`, which runs once for each
policy; the rest is in `each_time`.
"""

import string
from typing import Any

import jax
import numpy as np

from reverie.collecting.numpy_policy import OPERATIONS, described_array
from reverie.core import jaxpr
from reverie.core.agent import Agent
from reverie.core.errors import ConfigError, sentence

SAME = ("stop_gradient", "copy", "copy_p")
REDUCE = ("reduce_sum", "reduce_max", "reduce_min")
WHOLE = ("inv",)  # functions of jax.numpy that are one operation of NumPy


def described(agent: Agent, name: str) -> dict[str, Any]:
    """Return the acting program of an agent as JSON, for `NumpyPolicy`.

    name: of the agent, for messages.  Raises ConfigError where it acts with an operation that NumPy's table lacks.
    """
    policy = jax.eval_shape(lambda key: agent.policy(agent.init(key)), jax.random.key(0))
    try:
        memory = np.asarray(agent.begin(None, None))
        n, m = agent.spec.observation_dim, agent.spec.action_dim
        observation, noise = (jax.ShapeDtypeStruct((size,), np.float32) for size in (n, m))
        closed, out = jax.make_jaxpr(agent.explore, return_shape=True)(policy, memory, observation, noise)
    except Exception as error:  # a user's agent may raise anything
        raise ConfigError(f"collectors cannot act for {name}: {sentence(error)}") from error
    leaves, results = jax.tree.leaves(policy), jax.tree.leaves(out)
    if len(results) != 2:
        raise ConfigError(f"collectors cannot act for {name}: its explore returns {len(results)} arrays, not 2")
    tracer = _Tracer(name, len(leaves))
    action, after = map(tracer.register, jaxpr.run(closed.jaxpr, closed.consts, tracer.inputs, tracer.equation))
    return {
        "leaves": [[np.dtype(leaf.dtype).str, list(leaf.shape)] for leaf in leaves],
        "registers": tracer.registers,
        "constants": [[register, described_array(value)] for register, value in tracer.constants],
        "memory": described_array(memory),
        "at_first": tracer.at_first,
        "each_time": tracer.each_time,
        "inputs": tracer.inputs[len(leaves) :],
        "results": [action, after],
    }


def weights_of(policy: Any) -> bytes:
    """Return a policy's leaves side by side, as `NumpyPolicy.take` reads them."""
    return b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in jax.tree.leaves(policy))


class _Tracer:
    """Turns the equations of a jaxpr into operations on numbered registers; what is constant is computed at once.

    A value is a register's number, or an array where it is constant.
    """

    def __init__(self, name: str, leaves: int):
        self.name, self.registers = name, leaves + 3
        self.inputs = list(range(self.registers))  # the leaves, the memory, the observation, the noise
        self.of_weights = set(range(leaves))  # registers that depend on the weights alone
        self.constants: list[tuple[int, np.ndarray]] = []
        self.at_first: list[Any] = []
        self.each_time: list[Any] = []

    def register(self, value: Any) -> int:
        """Return the register of a value, a new one where it is constant."""
        if isinstance(value, int):
            return value
        self.constants.append((self.registers, np.asarray(value)))
        self.registers += 1
        return self.registers - 1

    def add(self, operation: str, *inputs: Any, count: int = 1, **attributes: Any) -> list[int]:
        """Add an operation; return the registers of its results."""
        assert operation in OPERATIONS, operation
        of_weights = all(not isinstance(each, int) or each in self.of_weights for each in inputs)
        numbers = [self.register(each) for each in inputs]
        outputs = list(range(self.registers, self.registers + count))
        self.registers += count
        if of_weights:
            self.of_weights |= set(outputs)
        (self.at_first if of_weights else self.each_time).append([operation, numbers, outputs, attributes])
        return outputs

    def equation(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """Return the results of one equation."""
        kind, given = equation.primitive.name, equation.params
        if kind in jaxpr.CALLS and given.get("name") not in WHOLE:
            return jaxpr.run(*jaxpr.called(equation), inputs, self.equation)
        if not any(isinstance(each, int) for each in inputs) and kind not in jaxpr.CALLS:
            found = equation.primitive.bind(*inputs, **given)
            return list(map(np.asarray, found if equation.primitive.multiple_results else [found]))
        shapes = [tuple(each.aval.shape) for each in equation.invars]
        if kind in jaxpr.CALLS:
            return self.add(given["name"], *inputs)
        if kind in SAME:
            return inputs
        if kind == "dot_general":
            return self.product(given["dimension_numbers"], shapes, inputs)
        if kind == "split":
            ends = np.cumsum(given["sizes"])[:-1].tolist()
            return self.add("split", *inputs, count=len(given["sizes"]), indices_or_sections=ends, axis=given["axis"])
        found = self.attributes(kind, equation, shapes)
        if found is None:
            raise ConfigError(
                f"collectors cannot act for {self.name}: it uses JAX's operation {kind}; use NumPy's elementary "
                "functions, sums and products of matrices"
            )
        operation, attributes = found
        return self.add(operation, *inputs, **attributes)

    def attributes(self, kind: str, equation: Any, shapes: list[tuple[int, ...]]) -> tuple[str, dict[str, Any]] | None:
        """Return (operation, its attributes) of an equation with one result; None where there is none like it."""
        given = equation.params
        if kind == "broadcast_in_dim":
            shape, places = tuple(given["shape"]), given["broadcast_dimensions"]
            kept = [shapes[0][places.index(axis)] if axis in places else 1 for axis in range(len(shape))]
            return (
                ("reshape", {"shape": kept}) if tuple(kept) == shape else ("broadcast", {"shape": shape, "kept": kept})
            )
        if kind in ("reshape", "squeeze", "expand_dims"):
            return "reshape", {"shape": tuple(equation.outvars[0].aval.shape)}
        if kind == "convert_element_type":
            return "convert", {"dtype": np.dtype(given["new_dtype"]).str}
        if kind in REDUCE:
            return kind, {"axes": list(given["axes"])}
        if kind in ("argmax", "argmin"):
            return kind, {"axis": given["axes"][0]}
        if kind == "slice":
            start, stop = given["start_indices"], given["limit_indices"]
            return kind, {"start": start, "stop": stop, "strides": given["strides"] or [1] * len(start)}
        if kind == "concatenate":
            return kind, {"axis": given["dimension"]}
        if kind == "transpose":
            return kind, {"axes": given["permutation"]}
        if kind == "integer_pow":
            return kind, {"y": given["y"]}
        return (kind, {}) if kind in OPERATIONS else None

    def product(self, numbers: Any, shapes: list[tuple[int, ...]], inputs: list[Any]) -> list[Any]:
        """Add a product of arrays."""
        (of_x, of_y), (batch_x, batch_y) = numbers
        axes = tuple(map(len, shapes))
        if max(axes) <= 2 and not batch_x and tuple(of_x) == (axes[0] - 1,) and tuple(of_y) == (0,):
            return self.add("matmul", *inputs)
        letters = iter(string.ascii_letters)
        x, y = ([next(letters) for _ in range(count)] for count in axes)
        for i, j in (*zip(batch_x, batch_y, strict=True), *zip(of_x, of_y, strict=True)):
            y[j] = x[i]
        out = [x[i] for i in batch_x]
        out += [letter for i, letter in enumerate(x) if i not in (*batch_x, *of_x)]
        out += [letter for j, letter in enumerate(y) if j not in (*batch_y, *of_y)]
        return self.add("einsum", *inputs, subscripts=f"{''.join(x)},{''.join(y)}->{''.join(out)}")
