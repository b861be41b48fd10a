"""The grippers' bonus needs a grasp: by geometry for every place of the object, and by plans with exact physics."""

import mujoco
import numpy as np
import pytest
from scipy import ndimage

from reverie.control import ilqg
from reverie.domains import DOMAINS
from reverie.domains.domain import ops_of
from reverie.domains.gripper import BONUS, FINGER, NEAR, OPEN, SNUG, gap
from reverie.domains.mujoco_model import MujocoModel
from reverie.planning.policies import BOUNDED_OPTIONS, first_actions
from studies.catalogue import grasp

STEPS, ITERATIONS = 60, 45
RADIUS, SPACING = 0.025, 0.002  # of the object and of the places where it is tried, m
X, Y = np.meshgrid(np.arange(-0.2, 0.16, SPACING), np.arange(0.0, 0.16, SPACING), indexing="ij")  # the left half
NUMPY = ops_of(X)
PARTS = ("palm", "left_near", "left_far")


@pytest.fixture(scope="module")
def plant():
    return MujocoModel(DOMAINS["gripper"])


def room(plant, angle):
    """Return how far an object at each place, seen from the pinch point, is from the hand; m, negative: they overlap."""
    model, data = plant.model, plant.data
    data.qpos[:] = 0.0  # the palm's axes are the world's
    data.qpos[FINGER] = angle
    mujoco.mj_forward(model, data)
    found, pinch = [], data.site("hand/pinch").xpos[:2]
    for part in PARTS:
        seen, (radius, half, _) = data.geom(f"hand/{part}"), model.geom(f"hand/{part}").size
        along = half * seen.xmat.reshape(3, 3)[:2, 2]
        x, y = X - (seen.xpos[0] - pinch[0]), Y - (seen.xpos[1] - pinch[1])
        share = ((x * along[0] + y * along[1]) / (along @ along)).clip(-1.0, 1.0)
        found.append(np.hypot(x - share * along[0], y - share * along[1]) - radius - RADIUS)
    return np.min(found, axis=0)


def smallest_gap(plant, angle):
    """Return the smallest gap of an object that came from outside while both fingers stayed at an angle, m."""
    places, _ = ndimage.label(room(plant, angle) > -0.0005)
    reached = places == places[0, -1]
    return gap((X, Y), (angle, angle), NUMPY)[reached].min()


def test_no_way_to_hold_fingers_still_lets_them_touch_the_object_on_both_sides(plant):
    low, high = plant.model.joint("hand/fl").range
    gaps = {angle: smallest_gap(plant, angle) for angle in np.arange(low, high + 1e-9, 0.025)}
    assert min(gaps.values()) > 1.5 * SNUG
    assert all(found > 2.8 * SNUG for angle, found in gaps.items() if angle >= 0.0)  # too narrow: it stays outside


def test_open_fingers_never_earn_as_much_as_they_pay(plant):
    assert smallest_gap(plant, OPEN) > 6 * SNUG  # so the bonus is below exp(-36) of itself


def test_fingers_that_close_on_the_object_touch_it_on_both_sides(plant):
    """Whatever the angle at which they meet it, it has a place between them where the gap is small."""
    for angle in (0.1, 0.15, 0.2):
        free = room(plant, angle) > -0.0005
        places, _ = ndimage.label(free)
        inside = free & (places != places[0, -1])
        assert inside.any() and gap((X, Y), (angle, angle), NUMPY)[inside].min() < 0.5 * SNUG


def planned(variant):
    """Plan 60 steps of the first start with some fingers, and return the return and the last gap and distance, m."""
    planning, x = grasp.problem("gripper_single", variant, 0)
    first = first_actions(STEPS, planning.simulator.action_dim, 0)
    plan = ilqg.solve_on_host(planning.problem, x, first, BOUNDED_OPTIONS, iterations=ITERATIONS)
    found = grasp.grasps(planning, plan)
    return planning.predict_return(plan.states, plan.actions), found.gap[-1], np.hypot(*found.from_target)[-1]


def test_a_plan_with_free_fingers_grasps_and_one_with_locked_fingers_only_pushes():
    total, loose, away = planned("free")
    assert away < NEAR and loose < 0.5 * SNUG
    less, locked, near = planned("open")
    assert near < NEAR  # it brings the object there all the same, and earns nothing for it
    assert locked > 6 * SNUG and less < total - 5 * BONUS
