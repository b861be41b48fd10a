"""Programs of policies: JAX functions become steps that NumPy and ONNX run with the same result."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reverie.core.errors import ConfigError
from reverie.export import array_file, onnx_file
from reverie.export.fusing import fused
from reverie.export.program import trace
from reverie.maths import networks
from reverie.policy import Policy

N = 5
W = np.linspace(-1, 1, 4 * N).reshape(N, 4).astype(np.float32)
SQUARE = np.linspace(-0.5, 0.5, N * N).reshape(N, N).astype(np.float32)
FUNCTIONS = {
    "a product": lambda x: x @ W,
    "a transposed product": lambda x: jax.lax.dot_general(x, W.T, (((1,), (1,)), ((), ()))),
    "arithmetic": lambda x: (x * 2 - 3) / (jnp.abs(x) + 1) + -x,
    "powers": lambda x: jnp.abs(x) ** 0.5 + x**2 + x**3 + jnp.square(x) + jax.lax.rsqrt(x * x + 1),
    "activations": lambda x: jnp.tanh(x) + jax.nn.relu(x) + jax.nn.sigmoid(x) + jax.nn.silu(x) + jax.nn.softplus(x),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "an elementary function": lambda x: jnp.sin(x) + jnp.cos(x) + jnp.exp(-jnp.abs(x)) + jnp.log(jnp.abs(x) + 1),
    "softmax": jax.nn.softmax,
    "means": lambda x: x - x.mean(-1, keepdims=True) + x.var(-1, keepdims=True),
    "a sum without its axis": lambda x: x * x.sum(-1)[:, None],
    "largest": lambda x: x - x.max(-1, keepdims=True),
    "a choice": lambda x: jnp.where(x > 0.3, x, -0.1 * x) + jnp.where(x <= 0, 1.0, 2.0),
    "clipping": lambda x: jnp.clip(x, -0.5, 0.25) + jnp.clip(x, -1.0, 1.0),
    "clipping to arrays": lambda x: jnp.clip(x, -W[:, 0], W[:, 3] + 2),
    "parts": lambda x: jnp.concatenate([x[:, 3:], x[:, :2] * 2], axis=1),
    "halves": lambda x: jnp.split(x @ W, 2, axis=-1)[1],
    "an index": lambda x: (x @ W).argmax(-1)[:, None].astype(jnp.float32),
    "constants that are computed": lambda x: x @ (jnp.asarray(SQUARE) @ jnp.asarray(SQUARE)) + jnp.exp(jnp.ones(N)),
    "the observation itself": lambda x: x,
    "a mean that is used twice": lambda x: (x - x.mean(-1, keepdims=True)) * x.mean(-1, keepdims=True),
}


def layers(normalisation):
    made = networks.init_network(jax.random.split(jax.random.key(0)), (N, 8, 8, 2), normalisation, small=False)
    for layer in made[:-1]:
        if normalisation != "none":
            size = layer["gain"].shape[0]
            layer["gain"], layer["shift"] = jnp.linspace(0.5, 2, size), jnp.linspace(-1, 1, size)
    sizes = [moment["mean"].shape[0] for moment in networks.init_moments(made[:-1])]
    moments = [{"mean": jnp.linspace(-1, 1, size), "var": jnp.linspace(0.5, 2, size)} for size in sizes]
    return made, moments if normalisation.startswith("batch") else [None, None]


def network(normalisation):
    made, moments = layers(normalisation)
    return lambda x: networks.forward(made, moments, x, normalisation)[0]


FUNCTIONS |= {f"a network, {kind}": network(kind) for kind in ("none", "layer", "batch", "batch_inputs")}


@pytest.fixture(params=[1, 7, 1000], ids="{} rows".format)
def observations(request):
    return (np.random.default_rng(0).standard_normal((request.param, N)) * 2).astype(np.float32)


def facts(steps=(), **more):
    return {"observation_dim": N, "actions": 0} | more


@pytest.mark.parametrize("name", FUNCTIONS)
def test_files_answer_as_the_function_does(name, observations):
    program = trace(FUNCTIONS[name], N, "the test's function")
    wanted = np.asarray(FUNCTIONS[name](jnp.asarray(observations)))
    for version in (program, fused(program)):
        found = array_file.answers(array_file.array_bytes(version, facts()), observations)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
        model = onnx_file.model_bytes(version, facts(), (N, wanted.shape[1]), False)
        np.testing.assert_allclose(onnx_file.answers(model, observations), wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_observation_is_answered_as_a_batch_of_one(name, observations):
    policy = Policy.load(io.BytesIO(array_file.array_bytes(fused(trace(FUNCTIONS[name], N, "it")), facts())))
    alone, _ = policy.predict(observations[0])
    np.testing.assert_allclose(alone, policy.predict(observations[:1])[0][0], rtol=1e-5, atol=1e-6)


def test_layer_normalisation_is_one_step():
    ops = [step.op for step in fused(trace(network("layer"), N, "it")).steps]
    assert ops.count("LayerNormalization") == 2 and "Sqrt" not in ops
    assert ops == [*["MatMul", "Add", "LayerNormalization", "Max"] * 2, "MatMul", "Add"]


def test_clipping_to_numbers_is_one_step():
    assert [step.op for step in fused(trace(lambda x: jnp.clip(x, -1.0, 1.0), N, "it")).steps] == ["Clip"]


def test_what_else_needs_a_part_of_a_normalisation_keeps_it():
    def function(x):
        mean = x.mean(-1, keepdims=True)
        return (x - mean) / (x.var(-1, keepdims=True) + 1e-5) ** 0.5 * W[:, 0] + W[:, 1] + mean

    program = trace(function, N, "it")
    assert "LayerNormalization" not in [step.op for step in fused(program).steps]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (jnp.sort, "sort"),
        (lambda x: x.sum(0), "reduces another axis"),
        (lambda x: jnp.einsum("bi,bi->b", x, x), "matrix product"),
        (lambda x: x.T @ x, "transpose"),
        (lambda x: jax.lax.dot_general(x, W, (((1,), (0,)), ((), ()))).reshape(-1), "shape of the batch"),
        (lambda x: jnp.cumsum(x, -1), "cumsum"),
        (lambda x: x[:, ::2], "part of another axis"),
        (lambda x: x[1:], "part of another axis"),
        (lambda x: x.astype(jnp.float16) * 2, "float16"),
        (lambda x: jnp.zeros((len(x), 2)), "does not depend on the observation"),
        (lambda x: jnp.clip(jnp.zeros((len(x), 1)) * W[0, 0] + W[0, 1], -1.0, 1.0), "not depend on the observation"),
        (lambda x: jnp.maximum(jnp.zeros((len(x), 1)), np.ones((8191, 1))), "does not depend on the observation"),
        (lambda x: np.asarray(x) @ W, "is no function of a batch of observations for JAX: "),
        (lambda x: x @ W if x.ndim == 1 else {}["x"], "is no function of a batch of observations for JAX: KeyError"),
        (lambda x: jax.lax.while_loop(lambda y: y.sum() < 1, lambda y: y + 1, x), "while"),
    ],
)
def test_what_cannot_be_exported_is_named(function, says):
    with pytest.raises(ConfigError, match=says) as error:
        trace(function, N, "the policy of mine")
    assert str(error.value).startswith("the policy of mine") and "\n" not in str(error.value)


def test_the_model_is_of_opset_17_and_holds_the_facts():
    onnx = onnx_file.library()
    data = onnx_file.model_bytes(trace(FUNCTIONS["a product"], N, "it"), facts(run="line7", step=3), (N, 4), False)
    model = onnx.load_from_string(data)
    assert [entry.version for entry in model.opset_import] == [17] and model.graph.input[0].name == "input"
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param == "batch" and shape[1].dim_value == N
    held = {entry.key: entry.value for entry in model.metadata_props}
    assert held["run"] == "line7" and json.loads(held["step"]) == 3


def test_without_the_package_onnx_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ConfigError, match="pip install onnx"):
        onnx_file.library()
