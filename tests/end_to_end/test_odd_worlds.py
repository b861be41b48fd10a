"""Worlds at the edge of what can be learnt on: each works, or is refused in one line before it takes memory or time."""

import dataclasses
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.environments.env_factory import make_env
from reverie.training.evaluation import LONGEST, limit_for
from reverie.training.resume_commands import resume_line
from reverie.training.saved_policy import SavedPolicy

NET = {"hidden": (8,), "warmup_steps": 5, "batch_size": 4, "updates_per_step": 1}


class Odd(gym.Env):
    """Ends after five steps."""

    def __init__(self, observations=None, actions=None, horizon=None):
        self.observation_space = gym.spaces.Box(-1, 1, (2,)) if observations is None else observations
        self.action_space = gym.spaces.Box(-1, 1, (1,)) if actions is None else actions
        if horizon is not None:
            self.horizon = horizon

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.taken = 0, []
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        self.taken.append(action)
        return np.zeros(2, np.float32), -float(np.abs(action).sum()), False, self.steps == 5, {}


class Raising(Odd):
    @property
    def horizon(self):
        raise RuntimeError("no")


def huge_observations():
    return Odd(observations=gym.spaces.Discrete(10**9))


def huge_bits():
    return Odd(observations=gym.spaces.MultiBinary(10**8))


def huge_tuple():
    return Odd(gym.spaces.Tuple([gym.spaces.Discrete(2**32)] * 2), gym.spaces.Discrete(2))


def huge_table():
    return Odd(gym.spaces.Discrete(10**9), gym.spaces.Discrete(2))


def many_states():
    return Odd(gym.spaces.Discrete(9_000_000), gym.spaces.Discrete(9))


def many_actions():
    return Odd(actions=gym.spaces.Discrete(10**12))


def many_actuators():
    return Odd(actions=gym.spaces.Box(-1, 1, (2 * 10**7,), np.float32))


@pytest.mark.parametrize("name", ["huge_observations", "huge_bits", "huge_tuple", "many_actions", "many_actuators"])
def test_a_space_that_no_network_learns_from_is_refused(name):
    with pytest.raises(rv.SpaceError, match="too many for a network"):
        make_env(f"test_odd_worlds:{name}")


@pytest.mark.parametrize("name", ["huge_table", "huge_tuple", "many_states"])
def test_a_table_that_does_not_fit_is_refused(name, capsys):
    assert main(["solve", f"test_odd_worlds:{name}", "--method", "q-learning", "--episodes", "5"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and ("does not fit" in told or "too many for a network" in told)


def test_an_action_without_a_dimension_is_sent_as_one(tmp_path):
    env = Odd(actions=gym.spaces.Box(-1, 1, ()))
    with rv.Learner(rv.NAF(**NET), env, out=tmp_path / "run") as learner:
        learner.learn(7)
        assert learner.predict(np.zeros(2, np.float32)).shape == ()
    assert np.shape(env.taken[0]) == ()


@pytest.mark.parametrize("horizon", [10**12, sys.maxsize, -1, 0, "long", float("inf")])
def test_a_limit_that_nobody_waits_for_is_none(horizon):
    assert limit_for(make_env(Odd(horizon=horizon))) == LONGEST
    assert limit_for(make_env(gym.wrappers.TimeLimit(Odd(), 10**15))) == LONGEST


def test_a_horizon_that_raises_is_none():
    assert limit_for(make_env(Raising())) == LONGEST
    assert limit_for(make_env(Odd(horizon=200_000))) == 200_000


BOUNDS = {"low": -2.0, "high": 2.0}


def bounded():
    return Odd(actions=gym.spaces.Box(BOUNDS["low"], BOUNDS["high"], (1,), np.float64))


@pytest.mark.parametrize(("low", "high"), [(-2.0, 1.0), (-1.0, 1.0), (-5.0, 3.0), (1.0, 2.0)])
def test_actions_of_a_policy_mean_the_same_in_other_bounds(tmp_path, monkeypatch, low, high):
    with rv.Learner(rv.NAF(**NET), "test_odd_worlds:bounded", out=tmp_path / "run") as learner:
        learner.learn(10)
        before = learner.predict(np.zeros(2, np.float32))
    monkeypatch.setitem(BOUNDS, "low", low)
    monkeypatch.setitem(BOUNDS, "high", high)
    saved = SavedPolicy(tmp_path / "run", trust=True)
    world = saved.env(allow_new_bounds=True)
    after = world.spec.to_world(saved.greedy(np.zeros(2, np.float32)))
    np.testing.assert_allclose(after, np.clip(before, low, high), atol=1e-6)


@pytest.mark.parametrize("relearn", [False, True])
def test_the_line_of_ones_own_program_keeps_the_other_settings(tmp_path, relearn):
    spec = rv.EnvSpec(2, [-1.0], [1.0])
    agent = rv.Imagination(rv.NAF(**NET), rv.LinearGaussian(episodes=4), rollout_length=3)
    with rv.Learner(agent, spec=spec, out=tmp_path / "run") as learner:
        config = learner.keeps
    line = resume_line(config, tmp_path / "run", {"learning_rate": 1e-4}, relearn)
    assert ("relearn=True" in line) == relearn
    with eval(line, {"rv": rv}) as learner:
        assert learner.config == dataclasses.replace(agent, agent=dataclasses.replace(agent.agent, learning_rate=1e-4))


def test_a_world_that_no_command_can_make_gets_the_line_of_python(tmp_path):
    def local():
        return Odd()

    with pytest.raises(rv.DivergedError, match=r"rv\.Learner\.load\(.*, env=…, config=rv\.NAF\(") as caught:
        with rv.Learner(rv.NAF(**NET | {"learning_rate": 1e30}), local, out=tmp_path / "run") as learner:
            learner.learn(60)
    assert type(caught.value) is rv.DivergedError and caught.value.line in str(caught.value)


@pytest.mark.parametrize("words", [["list"], ["list", "--wrong"]])
def test_threads_that_never_end_do_not_keep_the_process(words):
    code = (
        "import sys, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); "
        f"sys.argv = ['reverie', *{words}]; from reverie.cli import command; command()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == (2 if "--wrong" in words else 0) and (done.stdout or done.stderr)
