"""What replay sets aside reaches no model, no dream and no plan either, wherever it comes; the events say so."""

from typing import Any

import jax
import numpy as np
import pytest

import reverie as rv
from cases import CASES
from reverie.core.dynamics import Episode
from reverie.domains.env import DomainEnv
from reverie.models import screening
from reverie.storage.tables import read_rows
from reverie.training import recorded_trainer
from reverie.training.finite_checks import within
from worlds import LinearWorld

pytestmark = pytest.mark.filterwarnings("ignore::reverie.core.errors.ReverieWarning")
LENGTH = 20  # of an episode
MODELS = {
    "linear": rv.LinearGaussian(episodes=2),
    "mixture": rv.LinearGaussian(episodes=2, prior="mixture"),
    "time-invariant": rv.LinearGaussian(episodes=2, time_varying=False),
    "neural": rv.Neural(episodes=2, updates=25, hidden=(8,)),
    "exact": rv.Exact(
        step=lambda x, u: LinearWorld.A @ x + LinearWorld.B @ u, derivatives=lambda x, u: (LinearWorld.A, LinearWorld.B)
    ),
    "recent": rv.Recent(episodes=2),
}


@pytest.fixture(autouse=True)
def frequent_metrics(monkeypatch):
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)


class Spiked(LinearWorld):
    """LinearWorld whose sensor or reward says `value` when `at` so many numbers were asked of it, resets included."""

    def __init__(self, at=(), value=1e6, of="observation"):
        super().__init__(LENGTH)
        self.at, self.value, self.of, self.count = at, value, of, 0

    def _seen(self, observation):
        self.count += 1
        if self.of == "observation" and self.count in self.at:
            observation[1] = self.value
        return observation

    def reset(self, **options) -> Any:
        observation, info = super().reset(**options)
        return self._seen(observation), info

    def step(self, action) -> Any:
        observation, reward, *ends = super().step(action)
        observation = self._seen(observation)
        return observation, self.value if self.of == "reward" and self.count in self.at else reward, *ends


def dreaming(model, env, out=None, plan="off", **changes):
    agent = CASES["naf"].make(updates_per_step=1, **changes)
    config = rv.Imagination(agent, MODELS[model], rollout_length=2, rollouts=8, plan=plan, adaptive=False)
    return rv.Learner(config, env, out=out, timed_checkpoints=False)


def require_ordinary(learner, most=1e4):
    """Fail where anything that imagination or planning holds, or the agent learnt, was touched by something absurd."""
    trainer = learner.trainer
    arrays, _ = trainer.source.replay.snapshot()
    for name, values in arrays.items():
        # Fingerprints of episodes are no sizes.
        if not name.startswith(("now/", "outcome/", "dynamics/whiten", "dynamics/held_out", "dynamics/trained_on")):
            assert np.abs(values).max(initial=0.0) < most, name
    assert np.isfinite(trainer.source.replay.low).all() and within(trainer.state, 1e8)
    if (controller := getattr(trainer.source.planner, "controller", None)) is not None:
        assert all(np.abs(part).max() < most for part in controller)  # gains reach 133 without any spike


# In numbers asked of it: a reset, a first and a last step, two in a row, in warm-up and after, several.
PLACES = {"the first": (1,), "warm-up": (3,), "a reset": (64,), "a first step": (65,), "a last step": (63,)}
PLACES |= {"the middle": (75,), "two in a row": (75, 76), "several": (30, 75, 100)}


SPIKES = [(place, of, value) for of, value in (("observation", 1e6), ("observation", 3e38)) for place in PLACES]
SPIKES += [(place, "reward", -1e16) for place in PLACES if place not in ("the first", "a reset")]  # which give none
EVERYWHERE = [("linear", *spike) for spike in SPIKES]
EVERYWHERE += [(model, place, "observation", 3e38) for model in MODELS for place in ("the first", "several")][2:]


@pytest.mark.parametrize(("model", "place", "of", "value"), EVERYWHERE)
def test_one_absurd_number_reaches_no_model(model, place, of, value, tmp_path):
    with dreaming(model, Spiked(PLACES[place], value, of), tmp_path, observation_normalisation=True) as learner:
        learner.learn(130)
        dreams = learner.trainer.source.replay
        require_ordinary(learner)
        assert learner.trainer.health.skipped == 0
        assert model in ("exact", "recent") or dreams.dynamics is not None
        told = [row["text"] for row in read_rows(tmp_path / "events.csv") if row["kind"] == "outlier"]
        assert any("nothing is learnt from step" in text for text in told)
        assert any("models are fitted" in text for text in told)


@pytest.mark.parametrize("model", ["linear", "neural", "exact"])
@pytest.mark.parametrize("place", ["the first", "a reset", "the middle", "several"])
def test_one_absurd_number_reaches_no_plan(model, place):
    with dreaming(model, Spiked(PLACES[place], 3e38), plan="ilqg") as learner:
        driver = learner.trainer.source.planner
        seen, act = [], driver.act
        driver.act = lambda x, noise: seen.append(x) or act(x, noise)
        learner.learn(130)
        require_ordinary(learner)
        assert driver.failures == 0 and seen and np.abs(seen).max() < 1e4


class SpikedReacher(DomainEnv):
    """A domain whose physical state is read wrongly, once."""

    at = (30,)

    def __init__(self):
        super().__init__("reacher_single", horizon=12)
        self.read = 0

    @property
    def state(self) -> np.ndarray:
        """As read."""
        found = np.array(super().state)
        self.read = getattr(self, "read", 0) + 1
        if self.read in self.at:
            found[0] = 3e38
        return found


@pytest.mark.parametrize(
    ("model", "plan"), [("linear", "ilqg"), ("exact", "ilqg"), ("exact", "mpc"), ("neural", "off")]
)
def test_an_absurd_physical_state_reaches_no_model_and_no_plan(model, plan, tmp_path):
    model = rv.Exact() if model == "exact" else MODELS[model]
    settings = {"rollout_length": 2, "rollouts": 8, "plan": plan, "plan_horizon": 4, "plan_iterations": 1}
    config = rv.Imagination(CASES["naf"].make(updates_per_step=1), model, mixture=0.0, **settings)
    with rv.Learner(config, SpikedReacher(), out=tmp_path) as learner:
        learner.learn(episodes=5)
        require_ordinary(learner)
    assert any("the state at index 0 reached 3e+38" in row["text"] for row in read_rows(tmp_path / "events.csv"))


STOPS = [("linear", place) for place in ("the first", "warm-up", "a last step", "the middle")]


@pytest.mark.parametrize(("model", "place"), [*STOPS, *((model, "several") for model in MODELS)])
def test_a_run_with_a_spike_that_stopped_is_one_that_did_not(model, place, tmp_path):
    """Whether the stop comes before the spike, within its episode or after it."""
    with dreaming(model, Spiked(PLACES[place], 3e38), tmp_path / "whole") as whole:
        whole.learn(126)
        wanted = [np.asarray(leaf) for leaf in jax.tree.leaves(whole.trainer.snapshot()[0])]
    with dreaming(model, Spiked(PLACES[place], 3e38), tmp_path / "parts") as parts:
        parts.learn(80)
        parts.save()
        parts.learn(46)
        file = parts.out / "checkpoint" / "latest.safetensors"
        previous = parts.out / "checkpoint" / "previous.safetensors"
    previous.replace(file)  # as after a kill: the rest is learnt again from the journal
    with rv.Learner.load(tmp_path / "parts", env=Spiked(), config=whole.config) as parts:
        assert parts.steps == 126
        found = [np.asarray(leaf) for leaf in jax.tree.leaves(parts.trainer.snapshot()[0])]
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)
    for table in ("metrics.csv", "events.csv"):
        assert (tmp_path / "parts" / table).read_text() == (tmp_path / "whole" / table).read_text()


# ---- episodes, one by one


def episode(length=30, **spikes):
    t = np.arange(length + 1.0)
    found = Episode(np.stack([0.1 * t, 1 + 0 * t], axis=1), np.zeros((length, 1)), np.full(length, 2.0), True)
    for name, places in spikes.items():
        for place in places:
            getattr(found, name)[place] = 1e12
    return found


@pytest.mark.parametrize("at", [0, 1, 7, 29])
def test_a_state_on_a_line_is_filled_in_as_it_was(at):
    found = screening.screen(episode(states=[(at, 0)]), [], 0, 30)
    np.testing.assert_allclose(found.episode.states, episode().states, atol=1e-12)
    assert found.filled == 1 and "the state at index 0 reached 1e+12" in found.text and found.episode.terminated


def test_the_last_state_is_cut_off_and_with_it_the_death():
    found = screening.screen(episode(states=[(30, 0)]), [], 0, 30)
    assert len(found.episode) == 29 and not found.episode.terminated and "without the last 1 step" in found.text


def test_a_reward_is_filled_in():
    found = screening.screen(episode(rewards=[4]), [], 0, 30)
    assert found.filled == 0  # so large a reward may be meant
    spiked = episode()
    spiked.rewards[4] = -1e16
    found = screening.screen(spiked, [], 0, 30)
    np.testing.assert_allclose(found.episode.rewards, 2.0)
    assert "the reward reached 1e+16" in found.text


@pytest.mark.parametrize("places", [[(t, 0) for t in range(4, 9)], [(t, 0) for t in range(1, 31)]])
def test_an_episode_with_too_many_is_left_out(places):
    found = screening.screen(episode(states=places), [episode()] * 3, 0, 2000)
    assert found.episode is None and "without this episode of 30 steps" in found.text


def test_what_comes_too_often_is_meant():
    told = episode(states=[(t, 0) for t in range(3, 30, 2)])
    assert screening.screen(told, [episode()] * 3, 0, 120).episode is told
    assert screening.screen(episode(states=[(3, 0)]), [], 11, 30).filled == 0


def test_large_numbers_that_are_usual_are_left_alone():
    found = Episode(1e9 * episode().states, np.zeros((30, 1)), np.full(30, 2.0))
    assert screening.screen(found, [], 0, 30).episode is found


def test_an_absurd_target_leaves_its_episode_out():
    told = episode()
    told = Episode(told.states, told.actions, told.rewards, False, np.array([1e12, 0.0]))
    known = Episode(told.states, told.actions, told.rewards, False, np.array([0.3, 0.0]))
    assert screening.screen(told, [known] * 3, 0, 30).episode is None
