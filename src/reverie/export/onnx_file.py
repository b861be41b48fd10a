"""A program as an ONNX model: opset 17, input `input` [batch, n], output `action` [batch, m], facts as metadata.

Where the policy has a slew, a second input `last_action` [batch, m] is what it counts from; NaN: there is none.
"""

import json
from typing import Any

import numpy as np

from reverie.core.errors import ConfigError
from reverie.export.program import INPUT, LAST, OUTPUT, Program

OPSET = 17
FORMAT = 8  # version of the file format that came with opset 17, so that older runtimes read it
AS_INPUTS = {"ReduceSum": -1}  # the axis is an attribute of other operations, and an input of this one
AXES = {"ReduceMax": -1}


def model_bytes(program: Program, facts: dict[str, Any], sizes: tuple[int, int], discrete: bool) -> bytes:
    """Return a program as the bytes of an ONNX file.

    facts: kept as metadata, each value as JSON unless it is text.  sizes: n and m.  discrete: actions are whole numbers.
    Raises ConfigError where the package `onnx` is not installed.
    """
    onnx = library()
    make, tensor = onnx.helper, onnx.TensorProto
    kind = tensor.INT64 if discrete else tensor.FLOAT
    constants = {**program.constants, **{f"axis{axis}": np.array([axis], np.int64) for axis in AS_INPUTS.values()}}
    nodes = []
    for op, inputs, output, attributes in program.steps:
        if op in AS_INPUTS:
            inputs = (*inputs, f"axis{AS_INPUTS[op]}")
        if op in AXES:
            attributes = {**attributes, "axes": [AXES[op]]}
        nodes.append(make.make_node(op, list(inputs), [output], **attributes))
    if discrete:  # whole numbers, which JAX computed as float32
        nodes[-1].output[0] = "number"
        nodes.append(make.make_node("Cast", ["number"], [OUTPUT], to=kind))
    used = {name for node in nodes for name in node.input}
    graph = make.make_graph(
        nodes,
        "policy",
        [
            make.make_tensor_value_info(name, tensor.FLOAT, ["batch", size])
            for name, size in zip((INPUT, LAST), sizes, strict=True)
            if name == INPUT or name in used
        ],
        [make.make_tensor_value_info(OUTPUT, kind, ["batch", sizes[1]])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    model = make.make_model(
        graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=FORMAT, producer_name="reverie"
    )
    make.set_model_props(model, {name: v if isinstance(v, str) else json.dumps(v) for name, v in facts.items()})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def answers(data: bytes, observations: np.ndarray, last: np.ndarray | None = None) -> np.ndarray:
    """Return the actions [batch, m] of the ONNX file `data`, by onnxruntime where it is installed.

    last: the last actions [batch, m], where the file has a slew.
    """
    inputs = {INPUT: observations} | ({} if last is None else {LAST: last})
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return np.asarray(ReferenceEvaluator(data).run(None, inputs)[0])  # type: ignore[index]
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


def library() -> Any:
    """Return the package `onnx`.  Raises ConfigError, which says how to get it, where it is not installed."""
    try:
        import onnx
        from onnx import checker, helper, numpy_helper
    except ImportError:
        raise ConfigError("an ONNX file is written by a package that is not installed: pip install onnx") from None
    del checker, helper, numpy_helper  # they are attributes of the package now
    return onnx
