"""Lists do wherever functions of `control` and `maths` document arrays, and so do whole numbers and mixed precisions."""

import importlib
import inspect
import pkgutil

import jax
import numpy as np
import pytest

import reverie.control
import reverie.maths
from control_calls import BOX, CALLS, DYNAMICS, OLD, ONE, M, N, T
from plants import SWING_UP, definite
from reverie.control import box_qp, controller, ilqg, ilqg_step, kl_step_per_time, lqr, mpc, pilqr_step
from reverie.control.box_qp import BoxSolution
from reverie.control.ilqg_problem import problem
from reverie.core.errors import ReverieError, SpaceError
from reverie.core.status import Status
from reverie.maths import (
    bootstrap,
    bounded_gaussian,
    categorical,
    exploration,
    gaussian,
    linalg,
    networks,
    normalise,
    quadratic,
    returns,
    unit_networks,
)
from reverie.maths.array_arguments import of_arrays
from reverie.maths.noises import NOISES

RANDOM = np.random.default_rng(0)
SQUARE, LOWER = definite(RANDOM, M, T), np.linalg.cholesky(definite(RANDOM, M, T))
D = N + M
Q, q = definite(RANDOM, D), RANDOM.random(D)
K, k = RANDOM.random((M, N)), RANDOM.random(M)
CONTROL = CALLS | {
    "box_qp.feedback": (
        box_qp.feedback,
        {"H": np.eye(M), "solution": BoxSolution(ONE, np.ones(M, bool), Status.DONE), "Hux": np.ones((M, N))},
    ),
    "lqr.backup": (lqr.backup, {"V": np.eye(N), "v": np.ones(N), "F": DYNAMICS.F[0], "C": Q, "c": q}),
    "lqr.gains": (lqr.gains, {"Q": Q, "q": q, "n": N, "regularisation": 0.1}),
    "lqr.value_update": (lqr.value_update, {"Q": Q, "q": q, "K": K, "k": k, "regularisation": 0.1}),
    "kl_step_per_time.start_of": (kl_step_per_time.start_of, {"starts": RANDOM.random((5, N))}),
    "controller.offsets": (
        controller.offsets,
        {"states": RANDOM.random((T + 1, N)), "actions": np.ones((T, M)), "K": OLD.K, "k": OLD.k},
    ),
    "controller.log_density": (
        controller.log_density,
        {"controller": OLD, "X": RANDOM.random((T + 1, N)), "U": RANDOM.random((T, M))},
    ),
    "controller.precision": (controller.precision, {"controller": OLD}),
    "controller.factor": (controller.factor, {"Quu": SQUARE}),
    "controller.covariance": (lambda controller: controller.covariance, {"controller": OLD}),
    "controller.act": (lambda controller, x, e: controller.act(1, x, e), {"controller": OLD, "x": ONE[:1], "e": ONE}),
    "ilqg.optimise": (
        lambda x0, U0: ilqg.optimise(SWING_UP, x0, U0, 1.0, 2, ilqg.Options(iterations=2))[1],
        {"x0": np.zeros(4), "U0": np.zeros((T, 1))},
    ),
    "ilqg_step.definite": (ilqg_step.definite, {"Quu": SQUARE, "regularisation": 1.0}),
    "mpc.act": (
        lambda x: mpc.act(mpc.MPCOptions(horizon=T), ilqg.solve, lambda t, n: SWING_UP, x, 0, T, mpc.begin([[0.0]] * T))[0],
        {"x": np.zeros(4)},
    ),
    "ilqg_problem.problem": (
        lambda low, high: problem(
            lambda x, u, t: x + u, lambda x, u, t: u @ u, lambda x: x @ x, low, high
        ).rollout(np.zeros((T + 1, M)), np.full((T, M), 9.0), np.zeros((T, M, M)), np.zeros((T, M)), np.ones(1)),
        {"low": -ONE, "high": ONE},
    ),
    "PILQR.adapted": (pilqr_step.PILQR().adapted, {"multiplier": np.ones(T), "share": np.full(T, 0.01)}),
    "PILQR.bounds": (pilqr_step.PILQR().bounds, {"multiplier": np.ones(T)}),
}  # fmt: skip
CONTROL["controller.act"][1]["x"] = np.ones(N)

JOINT = gaussian.Joint(np.ones(D), Q)
PRIOR = gaussian.Prior(np.zeros(D), np.eye(D), 1.0, 1.0)
NET = networks.init_network(jax.random.split(jax.random.key(0)), (N, 4, M))
LAYERS = networks.init_layers(jax.random.key(1), (N, 4), "batch")
UNIT = unit_networks.init(jax.random.key(2), (N, 4, M))
MOMENTS = {"mean": np.zeros(N), "var": np.ones(N), "count": np.float64(0)}
NOISE, GAUSSIAN = (NOISES[name](scale=0.2).process() for name in ("ou", "gaussian"))
MATHS = {
    "bootstrap.interquartile_mean": (bootstrap.interquartile_mean, {"samples": q}),
    "bootstrap.median": (bootstrap.median, {"samples": q}),
    "bootstrap.interval": (
        lambda groups: bootstrap.interval(bootstrap.median, groups, np.random.default_rng(0), 20),
        {"groups": np.stack([q])},
    ),
    "bootstrap.probability_of_improvement": (bootstrap.probability_of_improvement, {"x": q, "y": q[:2]}),
    "exploration.uniform": (exploration.uniform, {"noise": k}),
    "exploration.step": (lambda z: NOISE.step(NOISE.begin(M), z)[0], {"z": k}),
    "exploration.gaussian": (lambda z: GAUSSIAN.step(GAUSSIAN.begin(M), z)[0], {"z": k}),
    "gaussian.outer": (gaussian.outer, {"a": q}),
    "gaussian.posterior": (gaussian.posterior, {"count": np.array(3.0), "mean": q, "scatter": Q, "prior": PRIOR}),
    "gaussian.condition": (gaussian.condition, {"joint": JOINT, "d": 2}),
    "gaussian.factor": (gaussian.factor, {"covariance": SQUARE}),
    "gaussian.log_density": (gaussian.log_density, {"x": k, "mean": k + 1, "lower": LOWER[0]}),
    "linalg.symmetrise": (linalg.symmetrise, {"matrix": SQUARE}),
    "linalg.solve_positive": (linalg.solve_positive, {"matrix": SQUARE[0], "right": K}),
    "linalg.cholesky": (linalg.cholesky, {"matrix": SQUARE}),
    "linalg.cholesky_solve": (linalg.cholesky_solve, {"lower": LOWER[0], "right": K}),
    "linalg.inverse": (linalg.inverse, {"lower": LOWER[0]}),
    "linalg.log_determinant": (linalg.log_determinant, {"lower": LOWER}),
    "linalg.eigenvalues_clipped": (linalg.eigenvalues_clipped, {"matrix": -SQUARE}),
    "networks.linear": (lambda x: networks.linear(NET[-1], x), {"x": np.ones(4)}),
    "networks.tanh_network": (lambda x: networks.tanh_network(NET, x), {"x": np.ones(N)}),
    "networks.hidden": (
        lambda x: networks.hidden(LAYERS, networks.init_moments(LAYERS), x, "batch")[0],
        {"x": np.ones((5, N))},
    ),
    "networks.minibatch_moments": (networks.minibatch_moments, {"x": RANDOM.random((5, N))}),
    "networks.standardise": (lambda x: networks.standardise(x, np.ones(N), np.ones(N)), {"x": RANDOM.random((5, N))}),
    "networks.forward": (lambda x: networks.forward(NET, [{}], x)[0], {"x": np.ones(N)}),
    "unit_networks.forward": (lambda x: unit_networks.forward(UNIT, x)[0], {"x": RANDOM.random((5, N))}),
    "categorical.project": (
        categorical.project,
        {"values": RANDOM.random((5, N)), "probabilities": np.ones((5, N)) / N, "atoms": np.linspace(-1, 1, 7)},
    ),
    "categorical.mean": (categorical.mean, {"logits": RANDOM.random((5, N)), "atoms": np.arange(N)}),
    "categorical.cross_entropy": (
        categorical.cross_entropy,
        {"target": np.ones((5, N)) / N, "logits": RANDOM.random((5, N))},
    ),
    "normalise.update": (normalise.update, {"moments": MOMENTS, "observations": RANDOM.random((5, N))}),
    "normalise.apply": (lambda x: normalise.apply(MOMENTS, x), {"x": np.ones(N)}),
    "quadratic.lower_triangle": (lambda flat: quadratic.lower_triangle(flat, M), {"flat": np.ones(3)}),
    "quadratic.advantage": (quadratic.advantage, {"action": k, "mean": k + 1, "lower": LOWER[0]}),
    "quadratic.precision_noise": (quadratic.precision_noise, {"lower": LOWER[0], "noise": k}),
    "returns.gae": (
        returns.gae,
        {name: RANDOM.random(T) for name in ("rewards", "discounts", "values", "next_values")}
        | {"goes_on": np.ones(T), "trace": 0.9},
    ),
    "bounded_gaussian.sample": (bounded_gaussian.sample, {"mean": k, "log_std": -k, "noise": k}),
    "bounded_gaussian.clipped_log_density": (
        bounded_gaussian.clipped_log_density,
        {"mean": k, "log_std": -k, "action": k},
    ),
    "bounded_gaussian.entropy": (bounded_gaussian.entropy, {"log_std": k}),
}
# What takes numbers, sizes, keys or whole pytrees; and steps of a search, which hand arrays of their own to one another.
NO_ARRAYS = {
    *(f"ilqg_step.{name}" for name in ("choose", "judge", "localise", "lowered", "nothing_yet", "raised", "start", "sweep")),
    *(f"shapes.{name}" for name in ("alike", "fit", "matrices", "number", "positive", "real", "share")),
    *(f"networks.init_{name}" for name in ("head", "layers", "moments", "network", "orthogonal")), "networks.move_towards",
    "unit_networks.init", "unit_networks.with_unit_columns",
    "linalg.finite_flag",
    *("array_arguments.array", "array_arguments.of_arrays", "array_arguments.real", "kl_step.adapted", "normalise.init"),
    "normalise.to_size",
    *("precision.double", "ilqg_problem.padded", "quadratic.entries"),
}  # fmt: skip
ALIASES = {"controller.maximum_entropy": "maximum_entropy", "infinite_horizon.infinite": "lqr.infinite"}
FUNCTIONS = CONTROL | MATHS


def test_every_public_function_is_looked_at():
    missing = []
    for room in (reverie.control, reverie.maths):
        for info in pkgutil.iter_modules(room.__path__):
            module = importlib.import_module(f"{room.__name__}.{info.name}")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                full = f"{info.name}.{name}"
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    missing += [] if ALIASES.get(full, full) in FUNCTIONS or full in NO_ARRAYS else [full]
    assert not missing


def changed(change, value):
    """Return `value` with `change` done to each of its arrays."""
    if isinstance(value, np.ndarray):
        return change(value)
    if hasattr(value, "_fields") and not callable(getattr(value, "rollout", None)):
        return value._replace(**{name: changed(change, part) for name, part in value._asdict().items()})
    if isinstance(value, dict):
        return {name: changed(change, part) for name, part in value.items()}
    return value


def assert_same(found, wanted, rtol):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        if isinstance(other, np.ndarray | jax.Array | float):
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=rtol, atol=rtol)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
@pytest.mark.parametrize("x64", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lists_are_as_good_as_arrays(name, x64):
    function, given = FUNCTIONS[name]
    if not x64 and name in ("ilqg.optimise", "ilqg.solve_on_host"):
        pytest.skip("the problem's own functions were traced in float64")
    with jax.enable_x64(x64):
        wanted, all_lists = function(**given), changed(lambda array: array.tolist(), given)
        assert_same(function(**all_lists), wanted, 1e-9 if x64 else 1e-4)
        for argument in given if x64 and not name.startswith("ilqg") else ():  # one of them beside arrays
            assert_same(function(**given | {argument: all_lists[argument]}), wanted, 1e-9 if x64 else 1e-4)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "bootstrap.interval"])  # groups may be ragged
def test_what_is_no_list_of_numbers_is_named_in_one_line(name):
    function, given = FUNCTIONS[name]
    for argument, value in given.items():
        for wrong in ([[1.0], [1.0, 2.0]], ["a"], [None], [1j], "text"):
            if isinstance(value, np.ndarray):
                with pytest.raises(ReverieError) as refused:
                    function(**given | {argument: wrong})
                assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name", [name for name in CONTROL if name not in ("mpc.act", "ilqg_problem.problem") and "ilqg" not in name]
)
@pytest.mark.parametrize("kind", [np.int64, np.float32], ids=["whole", "single"])
def test_whole_numbers_and_mixed_precisions_come_out_right(name, kind):
    function, given = CONTROL[name]
    with jax.enable_x64(True):
        for argument, value in given.items():
            whole = changed(np.round, value) if kind is np.int64 else value
            if argument in ("sigma", "bounds", "eta") or (kind is np.int64 and _singular(whole)):
                continue
            as_kind = changed(lambda array: array.astype(kind), whole)
            wanted = function(**given | {argument: changed(lambda array: array.astype(float), as_kind)})
            assert_same(function(**given | {argument: as_kind}), wanted, 1e-5 if kind is np.float32 else 1e-9)


def _singular(value):
    """Return whether rounding has left a factor of a covariance without a diagonal."""
    return hasattr(value, "chol") and not np.diagonal(value.chol, axis1=-1, axis2=-2).all()


def test_a_problem_of_ones_own_may_give_lists():
    def rollout(*given):
        return [part.tolist() for part in SWING_UP.rollout(*given)]

    def expand(X, U):
        return ilqg.Expansion(*(part.tolist() for part in SWING_UP.expand(X, U)))

    options = ilqg.Options(iterations=2)
    with jax.enable_x64(True):
        found, wanted = (
            ilqg.solve_on_host(problem, [0.0] * 4, [[0.0]] * T, options)
            for problem in (ilqg.Problem(rollout, expand), SWING_UP)
        )
    assert_same(found, wanted, 1e-9)


def test_whole_gradients_are_not_taken_for_whole_steps():
    """Lengths of steps had the type of the gradient, in which .6 is 0."""
    H, g = np.array([[2, 1], [1, 2]]), np.array([3, -4])
    box = {"low": [-1, -1], "high": [1, 1], "start": [0, 0]}
    with jax.enable_x64(True):
        found, wanted = box_qp.solve(H, g, **box), box_qp.solve(H * 1.0, g * 1.0, **BOX)
    assert int(found.status) == int(wanted.status) == Status.DONE
    np.testing.assert_allclose(found.k, wanted.k)


def test_an_argument_that_holds_no_numbers_is_called_by_its_name():
    @of_arrays
    def total(values, weights=1.0, of=None):
        return (values["a"] * weights).sum()

    assert total({"a": [1, 2]}, weights=[1, 1]) == 3.0
    with pytest.raises(SpaceError, match=r"total: values\['a'\] is 'x'; give an array of real numbers"):
        total({"a": "x"})
    with pytest.raises(TypeError):
        total(1, 2, 3, 4)
