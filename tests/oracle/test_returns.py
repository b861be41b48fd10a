"""Generalised advantages against their definition and the two closed forms at the ends of λ."""

import numpy as np
import pytest

from reverie.maths.returns import gae

T, E, GAMMA = 9, 2, 0.9


@pytest.fixture
def trajectory(generator):
    """Two worlds: a death in one, a time-out in the other; both rollouts end within an episode."""
    draw = lambda: generator.standard_normal((T, E))  # noqa: E731
    rewards, values, next_values = draw(), draw(), draw()
    discounts, goes_on = np.full((T, E), GAMMA), np.ones((T, E))
    discounts[3, 0], goes_on[3, 0] = 0.0, 0.0  # death
    goes_on[5, 1] = 0.0  # time-out: bootstrapped, and not carried on
    goes_on[-1] = 0.0
    together = goes_on[:-1] == 1
    next_values[:-1][together] = values[1:][together]
    return rewards, discounts, values, next_values, goes_on


def found(trajectory, trace):
    return np.asarray(gae(*(part.astype(np.float32) for part in trajectory), trace))


def test_with_no_trace_it_is_the_td_error(trajectory):
    rewards, discounts, values, next_values, _ = trajectory
    np.testing.assert_allclose(found(trajectory, 0.0), rewards + discounts * next_values - values, atol=1e-5)


def test_with_full_trace_it_is_the_return_less_the_value(trajectory):
    """Discounted rewards to the death, or to the last successor's value where time or the rollout ran out."""
    rewards, discounts, values, next_values, goes_on = trajectory
    expected = np.zeros((T, E))
    for world in range(E):
        for t in range(T):
            total, factor, k = 0.0, 1.0, t
            while True:
                total, factor = total + factor * rewards[k, world], factor * discounts[k, world]
                if not goes_on[k, world]:
                    break
                k += 1
            expected[t, world] = total + factor * next_values[k, world] - values[t, world]
    np.testing.assert_allclose(found(trajectory, 1.0), expected, atol=1e-5)


def test_in_between_it_is_the_sum_of_its_definition(trajectory):
    """A_t = Σ_k (γλ)^k δ_{t+k} until the trajectory ends.  Schulman et al. 2016, eq. 16."""
    rewards, discounts, values, next_values, goes_on = trajectory
    errors = rewards + discounts * next_values - values
    expected = np.zeros((T, E))
    for world in range(E):
        for t in range(T):
            for k in range(t, T):
                expected[t, world] += (GAMMA * 0.7) ** (k - t) * errors[k, world]
                if not goes_on[k, world]:
                    break
    np.testing.assert_allclose(found(trajectory, 0.7), expected, atol=1e-5)
