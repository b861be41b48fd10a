"""The point mass: its reward by hand, and that what is drawn is what pays."""

import numpy as np
import pytest

from reverie.domains import DOMAINS, batched, point_mass
from reverie.domains.domain import SCALAR, State
from reverie.domains.mujoco_model import MujocoModel
from reverie.planning.costs import cost_derivatives

DOMAIN = DOMAINS["point_mass"]


@pytest.mark.parametrize(
    ("place", "action", "reward"),
    [
        ((3.0, 0.0), (0.0, 0.0), 0.0),
        ((1.0, 0.0), (1.0, -1.0), -2.1),
        ((2.5, 0.5), (0.0, 0.0), 30.0 - 0.25),
        ((2.5, 0.21), (0.0, 0.0), 30.0 - 0.5 * (0.25 + 0.21**2)),
        ((2.5, 0.19), (0.0, 0.0), -0.5 * (0.25 + 0.19**2)),
        ((2.7, 0.7), (0.0, 0.0), -0.5 * (0.09 + 0.49)),  # a corner of the square, not of the diamond
    ],
)
def test_reward_by_hand(place, action, reward):
    state = State(place, (0.3, 0.4))
    assert DOMAIN.reward(state, list(action), state, (), SCALAR) == pytest.approx(reward)
    x = np.array([[*place, 0.3, 0.4]])
    np.testing.assert_allclose(batched.reward(DOMAIN, x, np.array([action]), x), reward)


def test_no_derivative_shows_the_jump():
    x, u = np.array([[2.5, 0.5, 0.0, 0.0], [2.5, 0.79, 0.0, 0.0]]), np.zeros((2, 2))
    value, gradient, hessian = cost_derivatives(DOMAIN, x, u, x, ())
    np.testing.assert_allclose(value, 0.5 * (0.25 + x[:, 1] ** 2) - 30.0)
    np.testing.assert_allclose(gradient[:, 6:8], np.stack([[-0.5, -0.5], x[:, 1]], axis=1))
    np.testing.assert_allclose(hessian[0][6:8, 6:8], np.eye(2))


def test_what_is_drawn_is_what_pays():
    model = MujocoModel(DOMAIN).model
    target, region = model.geom("target"), model.geom("region")
    np.testing.assert_allclose(target.pos[:2], point_mass.TARGET)
    np.testing.assert_allclose(region.pos[:2], point_mass.REGION)
    np.testing.assert_allclose(np.sqrt(2) * region.size[:2], point_mass.REACH, atol=1e-3)
    assert region.quat[0] == pytest.approx(np.cos(np.pi / 8)) and region.quat[3] == pytest.approx(np.sin(np.pi / 8))
