"""Each domain's observation and reward against MuJoCo's own kinematics; the same formulas on floats, NumPy and JAX."""

import math

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from reverie.domains import DOMAINS, batched
from reverie.domains import gripper as gripper_domain
from reverie.domains.domain import SCALAR, ops_of
from reverie.domains.mujoco_model import MujocoModel

EVERY = pytest.mark.parametrize("name", DOMAINS)


@pytest.fixture(scope="module")
def plants():
    return {name: MujocoModel(domain) for name, domain in DOMAINS.items()}


def states(plant, count=8, steps=12):
    """Return states that random actions lead to, the actions, their successors and each one's target."""
    generator = np.random.default_rng(1)
    rows = []
    for _ in range(count):
        start = plant.domain.start(generator)
        x = np.concatenate([start.q, start.v])
        for _ in range(steps):
            u = generator.uniform(-1, 1, plant.action_dim)
            before, x = x, plant.step(x, u)
        rows.append((before, u, x, np.array(start.target)))
    return [np.stack(column) for column in zip(*rows, strict=True)]


class Seen:
    """What MuJoCo says of a state: the oracle's eyes."""

    def __init__(self, plant, x):
        self.model, self.data = plant.model, mujoco.MjData(plant.model)
        self.data.qpos[:], self.data.qvel[:] = x[: plant.model.nq], x[plant.model.nq :]
        mujoco.mj_forward(self.model, self.data)
        self.q, self.v = self.data.qpos.copy(), self.data.qvel.copy()

    def site(self, name):
        return self.data.site(name).xpos[:2]

    def axes(self, name):
        return self.data.body(name).xmat.reshape(3, 3)


def norm(vector):
    return math.hypot(*vector)


def arm(s, joints=3, at=0):
    q, v = s.q[at : at + joints], s.v[at : at + joints]
    return [*np.sin(q), *np.cos(q), *v]


def gripper(s, target, base=0):
    """j0 … j3, fingers, object; the observation of section 3 of the specification, before and after the base."""
    q, v, at = s.q, s.v, base
    from_pinch = q[at + 6 : at + 8] - s.site("hand/pinch")
    joints, fingers, thing = slice(at, at + 4), slice(at + 4, at + 6), slice(at + 6, at + 8)
    first = [*np.sin(q[joints]), *np.cos(q[joints]), *q[fingers], *v[joints], *v[fingers]]
    in_palm = s.axes("hand/palm")[:2, :2].T @ from_pinch
    last = [*q[thing], *v[thing], *from_pinch, *in_palm, *(q[thing] - target), 0.1 * v[at + 8]]
    middle = [*q[:base], *v[:base]]
    return first + middle + last


def ant(s, target):
    axes = s.axes("torso")
    there = np.array([*target, s.q[2]]) - s.q[:3]
    return [
        s.q[2],
        *axes[:, 0],
        *axes[:, 2],
        *np.clip(axes.T @ there, -5, 5),
        *s.q[7:],
        *(axes.T @ s.v[:3]),
        *s.v[3:6],
        *s.v[6:],
    ]


def swimmer(s, target):
    axes = s.axes("link1")[:2, :2]
    nose, heading = s.site("nose"), s.q[2]
    ahead, speed = axes.T @ (target - nose), axes.T @ s.v[:2]
    return [*ahead, *speed, s.v[2], *s.q[3:], *s.v[3:], np.cos(heading), np.sin(heading)]


OBSERVATIONS = {
    "cartpole": lambda s, target: [s.q[0], np.sin(s.q[1]), np.cos(s.q[1]), s.v[0], s.v[1]],
    "reacher": lambda s, target: [*arm(s), *target, *(s.site("hand/tip") - target)],
    "reacher_single": lambda s, target: [*arm(s), *(s.site("hand/tip") - [-0.25, 0.25])],
    "peg": lambda s, target: [*arm(s), *(s.site("hand/tip") - s.site("hole"))],
    "point_mass": lambda s, target: [*s.data.body("disc").xpos[:2], *s.v],
    "gripper": gripper,
    "gripper_single": gripper,
    "gripper_m": lambda s, target: gripper(s, target, base=2),
    "canada2d": lambda s, t: [*arm(s), *s.q[3:], *s.v[3:], *(s.q[3:] - s.site("hand/tip")), *(t - s.q[3:])],
    "cheetah": lambda s, target: [*s.q[1:], *s.v],
    "swimmer6": swimmer,
    "ant": ant,
    "walker2d": lambda s, target: [*s.q[1:], *np.clip(s.v, -10, 10)],
}


def grip(s, target, at):
    """Distances from the object to the pinch point and to its target, and how far it is held there."""
    thing = s.q[at + 6 : at + 8]
    away, gap = norm(thing - target), np.mean([norm(thing - s.site(f"hand/{side}_pad")) for side in ("left", "right")])
    gap -= s.model.geom("object").size[0] + s.model.geom("hand/left_far").size[0]
    return norm(thing - s.site("hand/pinch")), away, math.exp(-((away / 0.05) ** 2) - (gap / 0.005) ** 2)


def gripper_reward(old, u, s, target):
    near, away, held = grip(s, [0.2, 0.4], 0)
    return -0.35 * near - 0.2 * away + 0.05 * held - 0.0002 * u @ u


def gripper_m_reward(old, u, s, target):
    near, away, held = grip(s, [0.35, 0.45], 2)
    return -0.75 * near - 0.5 * away - 0.08 * (1 - held) - 0.0002 * u @ u


def walker_reward(old, u, s, target):
    up = 0.8 < s.q[1] < 2.0 and abs(s.q[2]) < 1.0
    return s.q[0] - old.q[0] + 0.001 * up - 0.0001 * u @ u


REWARDS = {
    "cartpole": lambda old, u, s, t: -0.007 * (1 - np.cos(s.q[1])) - 0.001 * s.q[0] ** 2 - 0.0002 * u @ u,
    "reacher": lambda old, u, s, t: -0.033 * norm(s.site("hand/tip") - t) - 0.0002 * u @ u,
    "reacher_single": lambda old, u, s, t: -0.033 * norm(s.site("hand/tip") - [-0.25, 0.25]) - 0.0002 * u @ u,
    "peg": lambda old, u, s, t: -0.21 * norm(s.site("hand/tip") - [0.53, 0]) - 0.0002 * u @ u,
    "gripper": gripper_reward,
    "gripper_single": gripper_reward,
    "gripper_m": gripper_m_reward,
    "canada2d": lambda old, u, s, t: (
        -0.02 * norm(s.q[3:] - s.site("hand/tip")) - 0.105 * norm(s.q[3:] - t) - 0.0002 * u @ u
    ),
    "cheetah": lambda old, u, s, t: s.q[0] - old.q[0] - 0.0001 * u @ u,
    "swimmer6": lambda old, u, s, t: -1.0 * norm(s.site("nose") - [2.1, 0]) - 0.005 * u @ u,
    "ant": lambda old, u, s, t: -0.0095 * norm(s.q[:2] - [3, 0]) - 0.0003 * u @ u,
    "walker2d": walker_reward,
    "point_mass": lambda old, u, s, t: (
        -0.5 * norm(s.q - [3, 0]) ** 2 + 30 * (np.abs(s.q - [2.5, 0.5]).sum() <= 0.3) - 0.05 * u @ u
    ),
}


@EVERY
def test_observation_and_reward_are_what_mujoco_sees(name, plants):
    plant = plants[name]
    for before, u, x, target in zip(*states(plant), strict=True):
        seen = Seen(plant, x)
        np.testing.assert_allclose(plant.observe(x, target), OBSERVATIONS[name](seen, target), atol=1e-9)
        found = batched.reward(plant.domain, before, u, x, target)
        np.testing.assert_allclose(found, REWARDS[name](Seen(plant, before), u, seen, target), atol=2e-6)
        np.testing.assert_allclose(plant.reward(before, u, target), found, atol=1e-12)


@EVERY
def test_floats_numpy_and_jax_give_the_same(name, plants):
    plant, domain = plants[name], DOMAINS[name]
    before, u, x, target = states(plant)
    batch = (
        batched.observe(domain, x, target),
        batched.reward(domain, before, u, x, target),
        batched.terminated(domain, x),
    )
    with jax.enable_x64(True):
        per_state = (
            jax.jit(jax.vmap(lambda x, t: batched.observe(domain, x, t)))(x, target),
            jax.jit(jax.vmap(lambda *a: batched.reward(domain, *a)))(before, u, x, target),
            jax.jit(jax.vmap(lambda x: batched.terminated(domain, x)))(x),
        )
    for i in range(len(x)):
        state, old = (type(batched.split(domain, r))(*map(lambda c: [float(v) for v in c], batched.split(domain, r)))
                      for r in (x[i], before[i]))  # fmt: skip
        goal = tuple(target[i].tolist())
        measured = domain.features(state, goal, SCALAR)
        single = (
            domain.observe(state, measured, SCALAR),
            domain.reward(old, u[i].tolist(), state, measured, SCALAR),
            domain.terminated is not None and domain.terminated(state),
        )
        for one, many, traced in zip(single, batch, per_state, strict=True):
            np.testing.assert_allclose(many[i], one, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(traced[i], one, rtol=1e-9, atol=1e-12)


@EVERY
def test_reward_differentiates(name, plants):
    plant, domain = plants[name], DOMAINS[name]
    before, u, x, target = (column[0] for column in states(plant))

    @jax.jit
    def reward(x, u):
        return batched.reward(domain, jnp.asarray(before), u, x, jnp.asarray(target))

    with jax.enable_x64(True):
        by_x, by_u = jax.jit(jax.grad(reward, (0, 1)))(jnp.asarray(x), jnp.asarray(0.9 * u))
        np.testing.assert_allclose(by_x, slopes(lambda x: reward(jnp.asarray(x), jnp.asarray(0.9 * u)), x), atol=1e-7)
        np.testing.assert_allclose(by_u, slopes(lambda u: reward(jnp.asarray(x), jnp.asarray(u)), 0.9 * u), atol=1e-7)


@pytest.mark.parametrize(("name", "angle"), [("gripper", 0.1), ("gripper_m", 0.1), ("gripper", -0.3)])
def test_the_bonus_of_a_gripper_is_what_mujoco_sees(name, angle, plants):
    """Random states are too far from a grasp to have one."""
    plant = plants[name]
    q, target = np.zeros(plant.model.nq), (0.63, 0.02)
    q[-5:] = angle, angle, 0.635, 0.0, 0.0
    x = np.concatenate([q, np.zeros(plant.model.nv)])
    seen = Seen(plant, x)
    *_, held = grip(seen, target, len(q) - 9)
    assert (held > 0.5) if angle > 0 else (held < 1e-9)
    found = plant.domain.features(batched.split(plant.domain, x), target, ops_of(x))
    np.testing.assert_allclose(gripper_domain.held(found, ops_of(x)), held, atol=1e-9)


def test_reward_has_finite_derivatives_on_the_target(plants):
    x = np.array([0.0] * 6)  # the straight arm's tip is at (0.55, 0)

    def reward(x):
        return batched.reward(DOMAINS["reacher"], x, jnp.zeros(3), x, jnp.array([0.55, 0.0]))

    assert (
        np.isfinite(jax.grad(reward)(jnp.asarray(x))).all() and np.isfinite(jax.hessian(reward)(jnp.asarray(x))).all()
    )


def slopes(function, at, step=1e-6):
    return [(float(function(at + d)) - float(function(at - d))) / (2 * step) for d in step * np.eye(len(at))]


@EVERY
def test_derivatives_of_the_dynamics(name, plants):
    plant = plants[name]
    generator = np.random.default_rng(3)
    start = plant.domain.start(generator)
    x = np.concatenate([start.q, start.v])
    u = generator.uniform(-0.9, 0.9, plant.action_dim)
    if name == "ant":
        x[2] = 1.5  # in the air: differences across the making of a contact are no derivative
    for _ in range(3):
        x = plant.step(x, u)
    a, b = plant.derivatives(x, u)
    n, m, h = 2 * plant.model.nv, plant.action_dim, 1e-5
    assert a.shape == (n, n) and b.shape == (n, m)

    def along(move):
        return plant.difference(plant.step(*move(-h)), plant.step(*move(h))) / (2 * h)

    for i, axis in enumerate(np.eye(n)):
        expected = along(lambda s, axis=axis: (plant.shift(x, s * axis), u))
        np.testing.assert_allclose(a[:, i], expected, atol=2e-3 * max(1, np.abs(expected).max()))
    for i, axis in enumerate(np.eye(m)):
        expected = along(lambda s, axis=axis: (x, u + s * axis))
        np.testing.assert_allclose(b[:, i], expected, atol=2e-3 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", ["cartpole", "reacher"])
def test_derivatives_at_the_bound_of_an_action_are_one_sided(name, plants):
    plant = plants[name]
    x = np.concatenate(plant.domain.start(np.random.default_rng(0))[:2])
    inside, at = (plant.derivatives(x, level * np.ones(plant.action_dim))[1] for level in (0.99, 1.0))
    np.testing.assert_allclose(at, inside, rtol=0.05, atol=1e-6)


@EVERY
def test_shift_undoes_difference(name, plants, generator):
    plant = plants[name]
    x = np.concatenate(plant.domain.start(generator)[:2])
    dx = 0.1 * generator.standard_normal(2 * plant.model.nv)
    np.testing.assert_allclose(plant.difference(x, plant.shift(x, dx)), dx, atol=1e-12)
