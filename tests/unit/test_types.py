import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import SpaceError

bounds = st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 1e3)).map(lambda b: (b[0], b[0] + b[1]))


@given(bounds, st.floats(-1.0, 1.0))
def test_actions_stay_within_any_bounds_and_come_back(bound, action):
    spec = EnvSpec(1, [bound[0]], [bound[1]])
    there = spec.to_world(np.float32([action]))
    assert bound[0] <= there[0] <= bound[1]
    assert spec.from_world(there)[0] == pytest.approx(action, abs=1e-4)


def test_ends_and_middle_of_asymmetric_bounds():
    spec = EnvSpec(2, [-3.0, 0.0], [1.0, 10.0])
    np.testing.assert_allclose(spec.to_world(np.float32([[-1, -1], [0, 0], [1, 1]])), [[-3, 0], [-1, 5], [1, 10]])
    np.testing.assert_allclose(spec.to_world(np.float32([7.0, -7.0])), [1.0, 0.0])


@pytest.mark.parametrize("first", [-2, 0, 3])
def test_discrete_actions_count_from_the_first_and_come_back(first):
    spec, numbers = EnvSpec(1, actions=4, first_action=first), np.float32([[0], [1], [3]])
    there = spec.to_world(numbers)
    assert there.dtype == np.int64 and there.ravel().tolist() == [first, first + 1, first + 3]
    back = spec.from_world(there)
    assert back.dtype == np.float32 and back.tolist() == numbers.tolist()


@pytest.mark.parametrize(
    "low, high, says",
    [
        ([-np.inf], [1.0], "action 0 has bounds [-inf, 1.0]; give finite ones"),
        ([0.0, 2.0], [1.0, 2.0], "action 1 has bounds [2.0, 2.0]; low must be below high"),
        ([0.0], [1.0, 1.0], "action_low has 1 entry and action_high 2"),
        ([], [], "one entry per actuator"),
    ],
)
def test_bad_bounds_are_named(low, high, says):
    with pytest.raises(SpaceError) as caught:
        EnvSpec(3, low, high, "line7")
    assert says in str(caught.value) and "line7" in str(caught.value)


def test_no_observation_is_refused():
    with pytest.raises(SpaceError, match="observation_dim is 0"):
        EnvSpec(0, [0.0], [1.0])
