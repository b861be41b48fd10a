"""Every function of `control` that programs call: arrays that do not fit, and numbers that do not, get one sentence."""

import jax
import numpy as np
import pytest

from control_calls import CALLS, T
from plants import SWING_UP
from reverie.control import ilqg, lqr
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError, ReverieError, SpaceError
from reverie.core.status import Status

UNTIED = {"costs", "to_go", "x0", "actions", "U0", "K", "starts"}  # whose last axis may be of any size in some call


def _wrong(name, array):
    """Return what is no such array: other axes, none, or no real numbers."""
    array = np.asarray(array)
    yield array[None]
    if array.ndim and name not in UNTIED and not (name == "weights" and array.ndim == 2):
        yield np.concatenate([array, array], axis=-1)
    yield array[:0] if array.ndim else np.zeros(0)
    yield "text"
    yield array + 1j
    yield [[1.0], [1.0, 2.0]]
    yield {}
    yield np.full(array.shape, None)
    if array.ndim > 1:
        yield array[0]


def _broken():
    """Yield a name and a call with one array wrong."""
    for name, (function, given) in CALLS.items():
        for argument, value in given.items():
            if isinstance(value, np.ndarray):
                yield from (
                    (f"{name} {argument}", function, given | {argument: wrong}) for wrong in _wrong(argument, value)
                )
            elif hasattr(value, "_fields") and not callable(getattr(value, "rollout", None)):
                yield f"{name} {argument}", function, given | {argument: "text"}
                for field, part in zip(value._fields, value, strict=True):
                    if isinstance(part, np.ndarray | np.float64):
                        for wrong in _wrong(field, part):
                            yield (
                                f"{name} {argument}.{field}",
                                function,
                                given | {argument: value._replace(**{field: wrong})},
                            )


BROKEN = list(_broken())


@pytest.mark.parametrize("name", CALLS)
def test_what_does_not_fit_is_named_in_one_line(name):
    calls = [(what, function, given) for what, function, given in BROKEN if what.startswith(name + " ")]
    assert calls
    for what, function, given in calls:
        try:
            function(**given)
        except SpaceError as error:
            refused = str(error)
        else:
            pytest.fail(f"{what} is taken")
        assert "\n" not in refused, what


@pytest.mark.parametrize(
    ("name", "argument", "without"),
    [
        ("kl_step.bounded_step", "x0_mean", None),
        ("ilqg.solve", "U0", None),
        ("box_qp.solve", "H", None),
        ("kl_step.augmented", "old", CALLS["kl_step.augmented"][1]["old"]._replace(k=None)),
    ],
)
def test_none_is_no_array(name, argument, without):
    function, given = CALLS[name]
    with pytest.raises(SpaceError, match="is None; give an array of real numbers"):
        function(**given | {argument: without})


@pytest.mark.parametrize(
    ("name", "argument", "wrong"),
    [
        *(("lqr.infinite", "discount", value) for value in (0, -1, 2, np.nan, "x", None, np.ones(2), 1j)),
        *(("lqr.solve", "regularisation", value) for value in (-1.0, np.nan, "x")),
        *(("kl_step.bounded_step", "bound", value) for value in (0.0, -1.0, np.nan, np.inf, "x", None)),
        *(("kl_step.bounded_step", "eta", value) for value in (0.0, -1.0, np.nan, "x")),
        *(("kl_step.bounded_step", "entropy", value) for value in (-1.0, np.nan)),
        *(("kl_step.bounded_step", "tolerance", value) for value in (0.0, -1.0, np.nan)),
        *(("kl_step_per_time.bounded_steps", "bounds", np.full(T, value)) for value in (0.0, -1.0, np.nan, np.inf)),
        *(("kl_step_per_time.bounded_steps", "least", value) for value in (-1.0, np.nan)),
        ("kl_step.one_step", "mode", "lq"),
        ("kl_step.one_step", "mode", 3),
        *(("path_integral.temperature", "bound", value) for value in (0.0, -1.0, np.nan, "x")),
        *(("path_integral.moved", "damping", value) for value in (0.0, np.nan)),
        *(("maximum_entropy", "sigma", value) for value in (0.0, np.nan, "x", 7.0)),
    ],
)
def test_a_number_that_does_not_fit_is_named(name, argument, wrong):
    function, given = CALLS[name]
    with pytest.raises(ConfigError) as refused:
        function(**given | {argument: wrong})
    assert "\n" not in str(refused.value) and argument in str(refused.value)


@pytest.mark.parametrize("options", [{"low": (-1.0, -1.0)}, {"high": (1.0, 1.0, 1.0)}])
def test_bounds_are_of_the_controls_there_are(options):
    with pytest.raises(SpaceError, match="must be"):
        ilqg.solve(SWING_UP, np.zeros(4), np.zeros((T, 1)), ilqg.Options(**options))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"low": value} for value in (np.nan, "x")),
        *({"factor": value} for value in (1.0, np.nan)),
        *({"alphas": value} for value in ((), (0.0,), (np.nan,), (2.0, -1.0))),
        *({"iterations": value} for value in (0, 1.5, np.nan)),
        *({name: value} for name in ("tolerance", "gradient_tolerance", "z_min") for value in (-1.0, np.nan)),
        {"regularisation": -1.0},
        {"regularisation_max": np.nan},
    ],
)
def test_options_of_ilqg_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ReverieError) as refused:
        ilqg.Options(**wrong)
    assert next(iter(wrong)) in str(refused.value)


def test_numbers_are_matrices_of_one_entry():
    found = lqr.infinite(2, 1, 0, 1)
    assert found.status == Status.DONE
    np.testing.assert_allclose(found.V, [[3.0]], atol=1e-12)
    np.testing.assert_allclose(lqr.infinite(2, [[1, 0]], 0, np.eye(2), discount=np.float32(0.5)).K.shape, (2, 1))


@pytest.mark.parametrize("name", CALLS)
def test_what_fits_is_taken(name):
    function, given = CALLS[name]
    with jax.enable_x64(True):
        function(**given)


NOISY = [(name, key) for name, (_, given) in CALLS.items() for key, value in given.items() if isinstance(value, Linear)]


@pytest.mark.parametrize(("name", "key"), NOISY)
def test_a_model_without_noise_is_one_whose_noise_is_zero(name, key):
    function, given = CALLS[name]
    n = given[key].F.shape[-2]
    noiseless, zero = (given[key]._replace(covariance=noise) for noise in (None, np.zeros((T, n, n))))
    found, wanted = (_parts(function(**given | {key: model})) for model in (noiseless, zero))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-12, atol=1e-12)


def _parts(result):
    """Return the arrays of a result, with 0 for a covariance that it returns as it was given: None."""
    leaves = jax.tree.leaves(result, is_leaf=lambda part: part is None)
    return [0.0 if part is None else part for part in leaves]
