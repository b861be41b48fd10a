"""Warnings of learning that gets nowhere: no better than random actions, and greedy actions that are all at a bound."""

import json

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from cases import CASES, those
from reverie.core.agent import DataRequirements
from reverie.storage import checkpoint
from reverie.storage.run import RunDirectory
from reverie.storage.tables import read_rows
from reverie.training import recorded_trainer
from reverie.training.health import BEYOND, PATIENCE, SATURATED, Health, Symptoms
from reverie.training.improvement import LEAST_RANDOM, NEWEST, Improvement

WELL = Symptoms(0, 0.2, 0.0, 0.0)
LENGTH = 4


class Paid(gym.Env):
    """Rewards depend on the number of the episode alone: by its fourth root, upwards or downwards."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, sign=1.0):
        self.sign, self.episode = sign, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), self.sign * self.episode**0.25, False, self.steps == LENGTH, {}


@pytest.fixture(autouse=True)
def frequent_metrics(monkeypatch):
    """Write metrics often."""
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)


def kinds(out):
    return [row["kind"] for row in read_rows(out / "events.csv")] if (out / "events.csv").exists() else []


@pytest.mark.parametrize("name", those(setting="warmup_steps"))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_returns_that_stay_below_those_of_random_actions_are_told_once(name, sign, tmp_path):
    if CASES[name].spec.actions:
        pytest.skip("its world has other actions")
    settings = CASES[name].make(warmup_steps=LEAST_RANDOM * LENGTH)
    with rv.Learner(settings, lambda: Paid(sign), out=tmp_path) as learner:
        learner.learn(30 * LENGTH)
        assert ("no improvement" in learner.problems) is (sign < 0)
    assert kinds(tmp_path).count("no improvement") == (sign < 0)


def told_at(out, stops, between=lambda out: None):
    """Return the steps of the warning in a run that is stopped after so many episodes each, with falling rewards."""
    spec = rv.EnvSpec(1, [-1.0], [1.0])
    rv.Learner(CASES["naf"].make(warmup_steps=10), spec=spec, out=out).close()
    for stop in stops:
        with rv.Learner.load(out) as learner:
            while learner.episodes < stop:
                for step in range(LENGTH):
                    learner.ask(np.zeros(1))
                    learner.tell(-float(learner.episodes), np.zeros(1), False, step == LENGTH - 1)
            learner.save()
        between(out)
    return [row["step"] for row in read_rows(out / "events.csv") if row["kind"] == "no improvement"]


def forget_returns(out):
    """Give a run the checkpoint that it would have from before returns were compared."""
    file = RunDirectory(out).latest_file
    arrays, facts = checkpoint.read(file)
    del facts["health"]["improvement"]
    checkpoint.save(file, arrays, facts)


@pytest.mark.parametrize("between", [lambda out: None, forget_returns])
@pytest.mark.parametrize("stop", [2, 11])  # in warm-up; before the warning
def test_a_run_that_was_stopped_tells_it_at_the_same_step(stop, between, tmp_path):
    whole, parts = told_at(tmp_path / "whole", [30]), told_at(tmp_path / "parts", [stop, 30], between)
    assert len(whole) == 1 and parts == whole


# ---- the comparison alone


def seen(returns, warmup_steps, length=1):
    found = Improvement(warmup_steps)
    for episode, gained in enumerate(returns):
        for step in range(length):
            found.see(gained / length, step == length - 1, episode)
    return found


def test_the_newest_are_compared_with_those_that_began_in_warmup():
    random = [-3.0, -1.0, -2.0]
    assert seen([*random, *[-2.0] * NEWEST], 3).absent
    assert not seen([*random, *[-1.9] * NEWEST], 3).absent
    assert not seen([*random, *[-5.0] * (NEWEST - 1)], 3).absent  # too few yet
    assert not seen([*random, *[-5.0] * 20, *[-1.9] * NEWEST], 3).absent  # what is long ago does not count
    assert not seen([*random[:2], *[-5.0] * NEWEST], 2).absent  # too few to tell from luck
    assert not seen([-2.0] * 30, 0).absent  # nothing was random


def test_an_episode_in_which_warmup_ends_counts_as_random():
    found = seen([-4.0, -4.0, *[-3.0] * NEWEST], warmup_steps=5, length=4)
    assert found.random == -4.0 and found.newest == -3.0 and not found.absent


def test_an_outlier_is_no_return():
    found = Improvement(1)
    found.see(1e30, True, 1)
    assert found.random == 0.0


@pytest.mark.parametrize("steps", [2, 7, 30])  # in warm-up, with it over, and long after
def test_returns_that_a_checkpoint_does_not_have_are_those_of_the_journal(steps, tmp_path):
    with rv.Learner(CASES["naf"].make(warmup_steps=6), spec=rv.EnvSpec(1, [-1.0], [1.0]), out=tmp_path) as learner:
        for step in range(1, steps + 1):
            learner.ask(np.zeros(1))
            learner.tell(-0.1 * step, np.zeros(1), step % LENGTH == 0, False)
        known = learner.trainer.health.improvement.facts()
        learner.save()
    forget_returns(tmp_path)
    with rv.Learner.load(tmp_path) as learner:
        assert learner.trainer.health.improvement.facts() == known


def test_what_is_saved_goes_on_the_same():
    for cut in range(30):
        whole, half = Improvement(7), Improvement(7)
        for number in range(30):
            if number == cut:
                kept, half = half, Improvement(7)
                half.restore(json.loads(json.dumps(kept.facts())))
            for one in (whole, half):
                one.see(float(number), number % 3 == 2, number // 3)
        assert whole.facts() == half.facts()


@pytest.mark.parametrize(
    ("scale", "normalised", "advice"),
    [
        (1.0, False, ": set reward_scale=auto and observation_normalisation=true, or explore more"),
        (None, False, ": set observation_normalisation=true, or explore more"),
        (None, True, ": explore more"),
        (None, None, ": explore more"),
    ],
)
def test_only_what_can_still_be_set_is_advised(scale, normalised, advice):
    found = seen([0.0, *[-1.0] * NEWEST], 1)
    asked = DataRequirements(1, 1, 1, 1, "step", reward_scale=scale, observation_normalisation=normalised)
    assert advice in found.text(asked) and "returned -1 on average, random actions 0" in found.text(asked)


@pytest.mark.parametrize("length", [1, 7, 200])
@pytest.mark.parametrize("random", [LEAST_RANDOM, 5])
@pytest.mark.parametrize("gained", [5.0, -0.7, -200.0, 0.0])
def test_returns_that_never_change_are_called_that(gained, random, length):
    found = seen([gained] * (random + NEWEST), random * length, length)
    text = found.text(rv.NAF().requirements)
    assert found.absent and f"each episode returned {gained:.3g}" in text and "reward_scale" not in text


@pytest.mark.parametrize("returns", [[1.0, 2.0, 3.0, *[2.0] * NEWEST], [2.0, 2.0, 2.0, *[2.0] * (NEWEST - 1), 1.9]])
def test_returns_that_change_a_little_are_not(returns):
    assert "each episode" not in seen(returns, 3).text(rv.NAF().requirements)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [(rv.XQC(), ": raise value_limit"), (rv.XQC(reward_scale=1.0), ": set reward_scale=auto, or raise value_limit")],
)
@pytest.mark.parametrize(("share", "told"), [(BEYOND, 0), (0.5, 1)])
def test_targets_beyond_the_atoms_are_told_once(settings, advice, share, told):
    found = Health(settings.build(rv.EnvSpec(1, [-1.0], [1.0])))
    for row in range(3 * PATIENCE):
        found.judge({"step": row, "episode": 1, "target_beyond": share}, WELL, 1.0)
    said = [notice for notice in found.taken() if notice.kind == "target beyond"]
    assert len(said) == told and all(notice.text.endswith(advice) for notice in said)


def test_no_normalisation_is_advised_where_networks_normalise():
    found = seen([0.0, *[-1.0] * NEWEST], 1)
    assert ": explore more" in found.text(rv.XQC().requirements)
    assert ": set observation_normalisation=true, or" in found.text(rv.NAF(reward_scale="auto").requirements)


@pytest.mark.parametrize(("share", "stuck", "told"), [(1.0, 0.0, True), (SATURATED, 0.0, False), (1.0, 0.5, False)])
def test_greedy_actions_that_are_all_at_some_bound_are_told_once(share, stuck, told):
    found = Health(rv.NAF(hidden=(4,)).build(rv.EnvSpec(1, [-1.0], [1.0])))
    for row in range(3 * PATIENCE):
        found.judge({"step": row, "episode": 1, "mean_saturated": share}, WELL._replace(stuck=stuck), 1.0)
    said = [notice for notice in found.taken() if notice.kind == "mean saturated"]
    assert len(said) == told and all(f"{share:.0%} of the greedy actions" in notice.text for notice in said)
