"""`reverie check`: one environment for each thing it can find."""

import gymnasium as gym
import numpy as np
import pytest

from reverie.core.errors import ConfigError
from reverie.environments.environment_check import check
from worlds import Faulty, Line, Nested, Probe, make_endless


class Unseeded(Line):
    """Draws its starts from a generator of its own."""

    stream = np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        _, info = super().reset(seed=seed)
        self.place = self.stream.uniform(-1, 1)
        return self._observe(), info


class TwoChoices(Line):
    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.MultiDiscrete([3, 2])


class Both(Line):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, terminated or truncated, info


def look(source, steps=200):
    findings, figures = check(source, steps=steps)
    return {finding.topic: finding for finding in findings}, figures


def test_a_good_environment_is_well():
    found, figures = look(Line)
    assert list(found) == ["spaces", "values", "seeding", "endings", "speed"]
    assert all(found[topic].verdict == "ok" for topic in ("spaces", "values", "seeding", "endings"))
    assert found["spaces"].text == "observation Box (2,) in -4 … 4 (float32); action Box (1,) in -1 … 3 (float32)"
    assert figures["episodes"] == 33 == figures["terminated"] + figures["truncated"]
    assert 0 < figures["terminated"] < 33 and (figures["action_low"], figures["action_high"]) == ([-1.0], [3.0])
    assert found["endings"].text.startswith("33 episodes of 6 steps on average")


def test_odd_but_usable_spaces_are_well():
    found, figures = look(Nested)
    assert found["spaces"].verdict == "ok" and figures["observation_dim"] == 8
    assert found["spaces"].text == (
        "observation Dict(arm: Dict(q: Box (2, 2) in -1 … 1 (float32), v: Box (1,) in -1 … 1 (float32)), mode: Discrete(3)), "
        "8 numbers; action Box (2, 1) in [-3, 0.5] … [1, 2.5] (float64)"
    )


@pytest.mark.parametrize(
    "source, topic, verdict, says",
    [
        (lambda: Probe(length=5), "endings", "note", "every episode is terminated after exactly 5 steps"),
        (make_endless, "endings", "wrong", "no episode ended in 200 steps and there is no time limit: wrap it in"),
        (Both, "endings", "note", "33 episodes terminated and truncated at once: that counts as terminated"),
        (Unseeded, "seeding", "note", "the same seed and actions gave another trajectory"),
        (lambda: Probe(length=5), "seeding", "note", "two seeds gave the same start"),
        (lambda: Probe(length=5), "values", "note", "observation entries [0] never change: leave them out"),
        (lambda: Probe(length=5), "values", "note", "every reward is 1: random actions learn nothing from it"),
        (
            lambda: Probe(reward=lambda k, o, u: 5e3 * (k == 0)),
            "values",
            "note",
            "rewards reach 5e+03: set reward_scale",
        ),
        (
            lambda: Probe(reward=lambda k, o, u: 1e-4 * u),
            "values",
            "note",
            "set reward_scale so that they are about 1, or to auto",
        ),
        (lambda: Probe(length=150), "values", "note", "observations reach 150: set observation_normalisation=true"),
        (lambda: Faulty("observation", at=7), "values", "wrong", "the observation of step 7 holds nan at index 1"),
        (lambda: Faulty("reward", at=7), "values", "wrong", "the reward of step 7 is inf"),
        (lambda: Faulty("shape", at=7), "values", "wrong", "has shape (2,); observation_space says (3,)"),
        (lambda: Faulty("raise", at=7), "values", "wrong", "raised in step 7: OSError: the robot's arm fell off"),
        (TwoChoices, "spaces", "wrong", "MultiDiscrete([3 2]); agents here need a continuous Box, or Discrete (dqn)"),
        (lambda: Faulty(bounds=(-1, np.inf)), "spaces", "wrong", "has bounds [-1.0, inf]; give finite ones"),
    ],
)
def test_what_is_not_well_is_named_with_what_to_do(source, topic, verdict, says):
    found, _ = look(source)
    assert found[topic].verdict == verdict
    assert says in found[topic].text and "\n" not in found[topic].text


def test_a_time_limit_makes_an_endless_environment_well():
    found, _ = look(lambda: gym.wrappers.TimeLimit(make_endless(), 500))
    assert found["endings"].verdict == "ok"
    found, figures = look(lambda: gym.wrappers.TimeLimit(make_endless(), 50))
    assert found["endings"].verdict == "ok" and (figures["truncated"], figures["terminated"]) == (4, 0)


def test_a_time_limit_told_as_a_death_is_noted():
    env = Probe(length=5)
    env.spec = gym.envs.registration.EnvSpec("Probe-v0", max_episode_steps=5)
    found, _ = look(env)
    assert found["endings"].verdict == "note"
    assert "full length 5 are reported as terminated: a time-out should be truncated" in found["endings"].text


def test_no_environment_at_all_is_wrong_input():
    with pytest.raises(ConfigError, match="unknown environment 'Pendulun-v1'; did you mean"):
        check("Pendulun-v1")


class Wide(gym.Env):
    """Observations of which a thousand would not fit into memory."""

    observation_space = gym.spaces.Discrete(5_000_000)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = 0
        return 0, {}

    def step(self, action):
        self.state += 1
        return self.state, 1.0, False, self.state == 5, {}


def test_observations_are_not_kept(monkeypatch):
    kept = []
    monkeypatch.setattr(
        np, "array", lambda given, *rest, **more: kept.append(given) or np.asarray(given, *rest, **more)
    )
    findings, figures = check(Wide, steps=10)
    assert figures["observation_dim"] == 5_000_000 and figures["largest_observation"] == 1.0
    assert all(np.size(given) < 1000 for given in kept)
    values = next(finding for finding in findings if finding.topic == "values")
    assert values.verdict == "note" and len(values.text) < 600
