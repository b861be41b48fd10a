"""Quick looks at short vectors agree with NumPy's."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from reverie.core.finite import SHORT, all_finite, all_within

ANY = st.floats(width=32)
VALUES = arrays(np.float32, array_shapes(min_dims=1, max_dims=2, max_side=12), elements=ANY)


@given(VALUES)
def test_all_finite_agrees_with_numpy(values):
    assert all_finite(values) == np.isfinite(values).all()


@given(VALUES, st.sampled_from([1e-3, 1.0, 1e16]))
@example(np.array([1e-3], np.float32), 1e-3)  # which in float64 is larger than the bound
@example(np.array([1e16], np.float32), 1e16)
def test_all_within_agrees_with_numpy(values, most):
    assert all_within(values, most) == (np.abs(values) <= most).all()


@pytest.mark.parametrize("size", [1, SHORT, SHORT + 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_is_found_at_either_length(size, bad):
    values = np.zeros(size, np.float32)
    values[-1] = bad
    assert not all_finite(values) and not all_within(values, 1e16)


def test_many_numbers_near_the_bound_are_within_it():
    assert all_within(np.full(SHORT, 1e16), 1e16) and not all_within(np.full(SHORT, 1e16) * 1.01, 1e16)
