import jax
import numpy as np
import pytest

from plants import definite
from reverie.maths import linalg
from reverie.maths.precision import double

solve_positive, cholesky = double(linalg.solve_positive), double(linalg.cholesky)
clipped = double(linalg.eigenvalues_clipped, static_argnums=2)


@pytest.mark.parametrize("m", [1, 5, 20])  # 20: by a library's factor
def test_a_positive_matrix_is_solved_and_any_other_told(generator, m):
    M, R = definite(generator, m), generator.standard_normal((m, 3))
    found, positive = solve_positive(M, R)
    assert positive
    np.testing.assert_allclose(found, np.linalg.solve(M, R), rtol=1e-10, atol=1e-10)
    for broken in (-M, np.full((m, m), np.nan)):
        found, positive = solve_positive(broken, R)
        assert not positive
        np.testing.assert_array_equal(found, 0.0)


def test_factors_and_what_follows_from_them(generator):
    M = definite(generator, 3, 4)
    M[1] = -M[1]
    lower, positive = cholesky(M)
    np.testing.assert_array_equal(positive, [True, False, True, True])
    np.testing.assert_array_equal(lower[1], np.eye(3))
    np.testing.assert_allclose(lower[2] @ lower[2].T, M[2], rtol=1e-12)
    np.testing.assert_allclose(double(linalg.log_determinant)(lower)[2], np.linalg.slogdet(M[2])[1], rtol=1e-10)
    np.testing.assert_allclose(double(linalg.inverse)(lower[2]), np.linalg.inv(M[2]), rtol=1e-9)


def test_eigenvalues_are_clipped_and_nothing_else(generator):
    vectors = np.linalg.qr(generator.standard_normal((3, 3)))[0]
    build = lambda *values: (vectors * np.array(values)) @ vectors.T  # noqa: E731
    np.testing.assert_allclose(clipped(np.stack([build(-1, 2, 3)]))[0], build(0, 2, 3), atol=1e-12)
    np.testing.assert_allclose(clipped(build(-1, 2, 3), 0.5, 2.5), build(0.5, 2, 2.5), atol=1e-12)
    flat = build(0, 2, 3)
    np.testing.assert_array_equal(clipped(flat), flat)  # to the bit: nothing is below
    assert np.isnan(clipped(np.full((3, 3), np.nan))).any()


def test_what_is_double_takes_any_precision_and_leaves_jax_as_it_was():
    assert double(lambda x: x / 3)(np.float32(1)) == 1 / 3
    assert not jax.config.read("jax_enable_x64")


@pytest.mark.parametrize("spoilt", [None, "first", "last"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_lowers_the_flag(spoilt, value):
    trees = {"first": (np.ones((2, 3)), None), "last": {"a": np.ones(()), "b": np.ones(4)}}
    if spoilt == "first":
        trees["first"][0][1, 2] = value
    if spoilt == "last":
        trees["last"]["b"][3] = value
    for flag in (linalg.finite_flag, jax.jit(linalg.finite_flag)):
        assert bool(flag(*trees.values())) == (spoilt is None)
