"""What every domain owes: sizes, masses, scores, seeds, states, endings, pictures, and clear words for bad input."""

import copy
import dataclasses
import pickle
import re
import subprocess
import sys

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import reverie as rv
from reverie.domains import DOMAINS, planar
from reverie.domains.env import DomainEnv
from reverie.domains.headless import choose_mujoco_backend
from reverie.domains.mujoco_model import MujocoModel
from reverie.environments.env_factory import make_env

EVERY = pytest.mark.parametrize("name", DOMAINS)

# observation, actions, nq; random agent's mean and standard deviation; no action's score where it hardly varies
SHEET = {
    "cartpole": (5, 1, 2, -2.20, 0.13, -2.10),
    "reacher": (13, 3, 3, -2.30, 1.07, None),
    "reacher_single": (11, 3, 3, -3.20, 0.70, -3.31),
    "peg": (11, 3, 3, -10.95, 4.22, None),
    "gripper": (27, 5, 9, -29.4, 6.3, None),
    "gripper_single": (27, 5, 9, -29.4, 6.3, None),
    "gripper_m": (31, 7, 11, -89.5, 17.1, None),
    "canada2d": (17, 3, 5, -11.86, 1.92, None),
    "cheetah": (17, 6, 9, -0.42, 0.44, None),
    "swimmer6": (19, 6, 9, -322.4, 8.5, -315.0),
    "ant": (32, 8, 15, -4.8, 1.28, -4.275),
    "walker2d": (17, 6, 9, 0.35, 0.26, 0.98),
    "point_mass": (4, 2, 2, -317.5, 90.0, -299.4),
}
ARM = {"link1": 0.1424, "link2": 0.1424, "hand/link3": 0.1110}
GRIPPER = ARM | {"hand/link3": 0.0922, "hand/palm": 0.0195, "hand/left": 0.0233, "hand/right": 0.0233, "object": 0.05}
MASSES = {
    "cartpole": {"cart": 1.0, "pole": 0.1},
    "point_mass": {"disc": 1.0},
    "reacher": ARM,
    "reacher_single": ARM,
    "peg": ARM,
    "gripper": GRIPPER,
    "gripper_single": GRIPPER,
    "gripper_m": GRIPPER | {"base": 1.0},
    "canada2d": ARM | {"hand/link3": 0.1418, "ball": 0.05},
    "swimmer6": {f"link{i}": 0.1592 for i in range(1, 8)},
}
TOTAL = {"cheetah": 14.0, "ant": 0.911, "walker2d": 23.68}


def episode(env, seed, actions=None):
    """Return the observations, rewards and length of an episode under random actions, or under none."""
    generator = np.random.default_rng(seed)
    observations, rewards = [env.reset(seed=seed)[0]], []
    while True:
        random = generator.uniform(-1, 1, env.action_space.shape)
        observation, reward, terminated, truncated, _ = env.step(random if actions is None else actions)
        observations.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            return np.array(observations), np.array(rewards), len(rewards)


def make(name, **options):
    return gym.make(DOMAINS[name].gym_id, **options)


@EVERY
def test_sizes_masses_and_time(name):
    env = make(name).unwrapped
    size, actions, nq, *_ = SHEET[name]
    assert env.observation_space.shape == (size,) and env.action_space.shape == (actions,)
    assert env.model.nq == nq == DOMAINS[name].nq and len(env.state) == nq + env.model.nv
    for body, mass in MASSES.get(name, {}).items():
        assert env.model.body(body).mass[0] == pytest.approx(mass, abs=1e-4), body
    if name in TOTAL:
        assert env.model.body_mass[env.model.body_mocapid < 0].sum() == pytest.approx(TOTAL[name], abs=5e-3)
    assert env.plant.seconds == pytest.approx({"cartpole": 0.03, "ant": 0.05}.get(name, 0.02))


def test_the_grippers_have_changed_once_since_their_first_scores():
    changed = {name: domain.version for name, domain in DOMAINS.items() if domain.version != 1}
    assert changed == dict.fromkeys(("gripper", "gripper_single", "gripper_m"), 2)


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (2, 1)])
def test_a_target_is_drawn_along_the_axes_that_the_domain_names(axes, monkeypatch):
    assert DOMAINS["reacher"].target_axes == (0, 1)
    monkeypatch.setitem(DOMAINS, "reacher", dataclasses.replace(DOMAINS["reacher"], target_axes=axes))
    env = DomainEnv("reacher")
    env.reset(seed=0, options={"target": (0.25, 0.5)})
    where = dict.fromkeys(range(3), 0.0) | dict(zip(axes, (0.25, 0.5), strict=True))
    assert env.model.body("target").mocapid[0] == 0 and env.data.mocap_pos[0].tolist() == [where[i] for i in range(3)]


@pytest.mark.parametrize(
    ("name", "integrator", "timestep", "gears"),
    [
        ("cheetah", "EULER", 0.01, [120, 90, 60, 120, 60, 30]),
        ("ant", "RK4", 0.01, [150] * 8),
        ("walker2d", "RK4", 0.002, [40] * 6),
    ],
)
def test_gymnasiums_models_are_still_what_they_were(name, integrator, timestep, gears):
    model = MujocoModel(DOMAINS[name]).model
    assert model.opt.integrator == getattr(mujoco.mjtIntegrator, f"mjINT_{integrator}")
    assert model.opt.timestep == timestep and model.actuator_gear[:, 0].tolist() == gears
    if name == "walker2d":
        assert model.dof_damping.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_links_are_as_long_as_the_formulas_say():
    for name, tip, links in (("reacher", "hand/tip", planar.LINKS), ("canada2d", "hand/tip", planar.LINKS)):
        model = MujocoModel(DOMAINS[name]).model
        found = [model.body("link2").pos[0], model.body("hand/link3").pos[0], model.site(tip).pos[0]]
        np.testing.assert_allclose(found, links)


@EVERY
def test_a_random_agent_scores_what_the_specification_says(name):
    *_, mean, sd, idle = SHEET[name]
    env, episodes = make(name), 40 if name in ("walker2d", "ant") else 60
    scores = [episode(env, seed)[1].sum() for seed in range(episodes)]
    assert np.mean(scores) == pytest.approx(mean, abs=3 * sd / np.sqrt(episodes))
    if idle is not None:
        still = [episode(env, seed, np.zeros(env.action_space.shape))[1].sum() for seed in range(5)]
        assert np.mean(still) == pytest.approx(idle, abs=0.02 * abs(idle))


@EVERY
@pytest.mark.filterwarnings("ignore:.*observation space (min|max)imum value is")
@pytest.mark.filterwarnings("ignore:.*not within the obs space")
def test_gymnasiums_checker_is_content(name):
    check_env(make(name).unwrapped, skip_render_check=True)


@EVERY
@pytest.mark.filterwarnings("ignore")
def test_stable_baselines3s_checker_is_content(name):
    pytest.importorskip("stable_baselines3").common.env_checker.check_env(make(name))


@EVERY
def test_the_same_seed_repeats_and_another_does_not(name):
    env = make(name)
    first, again, other = episode(env, 3), episode(make(name), 3), episode(env, 4)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    if name != "ant":  # starts always alike
        assert not np.array_equal(first[0][0], other[0][0])


@EVERY
def test_a_state_taken_and_set_elsewhere_goes_on_exactly_alike(name):
    env, other = make(name), make(name)
    generator = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(10):
        env.step(generator.uniform(-1, 1, env.action_space.shape))
    inner = env.unwrapped
    options = {"state": inner.state} | ({"target": inner.target} if inner.target else {})
    other.reset(seed=99, options=options)
    np.testing.assert_array_equal(other.unwrapped.state, inner.state)
    plant = MujocoModel(DOMAINS[name])
    for _ in range(10):
        action, before = generator.uniform(-1, 1, env.action_space.shape), inner.state
        ours, theirs = env.step(action), other.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1] == theirs[1]
        np.testing.assert_array_equal(plant.step(before, action), inner.state)  # f(x, u) depends on nothing else
        np.testing.assert_allclose(plant.observe(inner.state, inner.target), ours[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["gripper_m", "ant"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_by_itself(name, copied):
    env = make(name).unwrapped
    env.reset(seed=0)
    action = np.ones(env.action_space.shape)
    env.step(action)
    other, before = copied(env), env.state
    first = other.step(action)
    np.testing.assert_array_equal(env.state, before)
    np.testing.assert_array_equal(env.step(action)[0], first[0])


@EVERY
def test_an_episode_ends_at_its_horizon_and_takes_no_step_after(name):
    env = make(name)
    length = episode(env, 0)[2]
    assert length == 150 or name == "walker2d"
    with pytest.raises(rv.WorldError, match=rf"{name}: step\(\) after the end of an episode; call reset\(\) first"):
        env.step(np.zeros(env.action_space.shape))
    if length == 150:
        assert episode(make(name, horizon=170), 0)[2] == 170
        assert episode(make(name, max_episode_steps=20), 0)[2] == 20


def test_walker_dies_by_falling_and_the_others_never():
    env = make("walker2d")
    env.reset(seed=0)
    while True:
        *_, terminated, truncated, _ = env.step(np.zeros(6))
        if terminated or truncated:
            break
    z, pitch = env.unwrapped.state[1:3]
    assert terminated and not truncated and (not 0.8 < z < 2.0 or abs(pitch) >= 1)
    with pytest.raises(rv.WorldError, match="after the end of an episode"):
        env.step(np.zeros(6))


@EVERY
def test_actions_are_clipped_and_the_clipped_one_counts(name):
    env, clipped = make(name), make(name)
    env.reset(seed=0)
    clipped.reset(seed=0)
    wild = 5 * np.random.default_rng(0).standard_normal(env.action_space.shape)
    for _ in range(5):
        ours, theirs = env.step(wild), clipped.step(np.clip(wild, -1, 1))
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1] == theirs[1]


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ([0.0, 0.0], "reacher: the action has shape (2,); it must be (3,)"),
        (0.5, "reacher: the action has shape (); it must be (3,)"),
        ([0.0, np.nan, 0.0], "reacher: the action is [0.0, nan, 0.0]; it must be finite"),
        ([0.0, 0.0, np.inf], "reacher: the action is [0.0, 0.0, inf]; it must be finite"),
        (["up", "down", "left"], "reacher: the action is ['up', 'down', 'left']; give 3 numbers"),
        (None, "reacher: the action has shape (); it must be (3,)"),
        (np.array(["up", 0, 0], object), "reacher: the action is array(['up', 0, 0], dtype=object); give 3 numbers"),
    ],
)
def test_actions_that_are_none(action, sentence):
    env = make("reacher")
    env.reset(seed=0)
    with pytest.raises(rv.SpaceError, match=re.escape(sentence)):
        env.unwrapped.step(action)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: DomainEnv("reachr"), "unknown domain 'reachr'; did you mean 'reacher'?"),
        (lambda: DomainEnv("peg", widht=3), "unknown option of peg 'widht'; did you mean 'width'?"),
        (
            lambda: make("peg", friction=2),
            "unknown option of peg 'friction'; known: ",
        ),
        (lambda: DomainEnv("peg", render_mode="ascii"), "unknown render_mode 'ascii'; known: human, rgb_array"),
        (lambda: make_env("gripperm"), "unknown environment 'gripperm'; did you mean 'gripper_m'?"),
        (lambda: DomainEnv("peg").render(), "peg was made without a render_mode; pass 'rgb_array' or 'human'"),
        (
            lambda: make("reacher").reset(options={"taget": (0, 0)}),
            "unknown reset option of reacher 'taget'; did you mean 'target'?",
        ),
        (
            lambda: make("cheetah").reset(options={"target": (0, 0)}),
            "cheetah has no target to set",
        ),
        (
            lambda: make("reacher").reset(options={"state": np.zeros(5)}),
            "reacher: the state has shape (5,); it must be (6,)",
        ),
        (
            lambda: make("reacher").reset(options={"target": (0, np.nan)}),
            "reacher: the target is [0.0, nan]; it must be finite",
        ),
    ],
)
def test_unknown_names_and_options(call, sentence):
    with pytest.raises(rv.ReverieError, match=re.escape(sentence)):
        call()


def test_physics_that_diverges_is_named():
    env = make("cheetah")
    env.reset(seed=0, options={"state": np.r_[np.zeros(9), 1e200 * np.ones(9)]})
    with pytest.raises(rv.WorldError, match="cheetah: the physics diverged"):
        env.unwrapped.step(np.zeros(6))


@EVERY
def test_a_domains_name_alone_makes_its_environment(name):
    world = make_env(name)
    assert world.spec.observation_dim == SHEET[name][0] and world.name == name


@pytest.mark.parametrize("order", ["gymnasium, reverie", "reverie, gymnasium", "reverie, gymnasium.spaces"])
def test_importing_both_is_enough(order):
    code = f"import {order}\nimport gymnasium\nprint(gymnasium.make('reverie/GripperM-v0').observation_space.shape)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "(31,)\n"


@EVERY
def test_pictures_show_the_task(name):
    if not choose_mujoco_backend():
        pytest.skip("no OpenGL here")
    env = make(name, render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (120, 160, 3) and first.dtype == np.uint8 and first.std() > 5
    for _ in range(5):
        env.step(np.ones(env.action_space.shape))
    assert not np.array_equal(env.render(), first)
    if env.unwrapped.target and name != "peg":  # whose hole is in the wall
        inner = env.unwrapped
        place = {"state": inner.state}
        here, there = (
            env.reset(options=place | {"target": t})[0] is None or env.render() for t in ((0.2, 0.3), (0.3, 0.2))
        )
        assert not np.array_equal(here, there)
    env.close()


def test_a_window_needs_a_screen(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(rv.ConfigError, match="peg: no screen to open a window on; use render_mode='rgb_array'"):
        make("peg", render_mode="human").reset(seed=0)


def run_randomly(name, steps):
    """Return the worst penetration [m] in `steps` random control steps; assert that all stays finite and unwarned."""
    env = make(name)
    generator, data, deepest = np.random.default_rng(0), env.unwrapped.data, 0.0
    env.reset(seed=0)
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(generator.uniform(-1, 1, env.action_space.shape))
        assert np.isfinite(observation).all() and np.isfinite(reward)
        deepest = min(deepest, data.contact.dist.min(initial=0.0))
        if terminated or truncated:
            assert not any(warning.number for warning in data.warning)
            env.reset()
    return -deepest


DEEPEST = {"cheetah": 0.10, "ant": 0.10, "walker2d": 0.10}  # m; the stock floors are soft, our own contacts are not


@EVERY
def test_random_actions_break_nothing(name):
    assert run_randomly(name, 1500) < DEEPEST.get(name, 0.012)


@pytest.mark.slow
def test_a_million_random_steps_break_nothing():
    """Takes about a minute; the steps are shared out over the domains."""
    found = {name: run_randomly(name, 1_000_000 // len(DOMAINS)) for name in DOMAINS}
    print(found)
    assert all(depth < DEEPEST.get(name, 0.012) for name, depth in found.items()), found
