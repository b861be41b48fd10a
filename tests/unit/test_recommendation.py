"""The agent that is recommended for a budget: it can learn there, and the command that names it means the same."""

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.cli import build_parser
from reverie.cli.agents import agent_of
from reverie.cli.auto_agent import complete, with_chosen
from reverie.core.words import typed
from reverie.training.recommendation import FEWEST, recommendation

PENDULUM = rv.EnvSpec(3, [-2.0], [2.0], name="pendulum", max_episode_steps=200)
SPECS = {
    "pendulum": PENDULUM,
    "walker": rv.EnvSpec(17, [-1.0] * 6, [1.0] * 6, max_episode_steps=1000),
    "beam": rv.EnvSpec(16, [-0.1] * 16, [0.1] * 16, max_episode_steps=50),
    "endless": rv.EnvSpec(2, [0.0], [1.0]),
    "discrete": rv.EnvSpec(4, actions=2, max_episode_steps=500),
}
BUDGETS = (FEWEST, 300, 2000, 20_000, 1_000_000)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", SPECS)
def test_it_can_learn_there_and_begins_to_early(name, budget):
    agent = rv.recommended(SPECS[name], budget).build(SPECS[name])
    assert agent.requirements.warmup_steps <= budget / 2


@pytest.mark.parametrize("imagination", [None, True, "neural"])
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", SPECS)
def test_its_names_mean_the_same_on_the_command_line(name, budget, imagination):
    found = recommendation(SPECS[name], budget, imagination)
    chosen = {**found.settings, **found.imagination}
    settings = [word for name, value in chosen.items() for word in ("--set", f"{name}={typed(value)}")]
    imagine = [] if found.model is None else ["--imagine", found.model]
    options = build_parser().parse_args(["train", found.name, "Env-v1", *settings, *imagine])
    complete(options)
    by_choice = build_parser().parse_args(["train", found.name, "Env-v1", *imagine, "--set", "learning_rate=0.5"])
    complete(by_choice)
    by_choice.chosen = {name: typed(value) for name, value in chosen.items()}
    agent, named = agent_of(by_choice)
    assert named == {"learning_rate": 0.5}
    own = agent.agent if imagine else agent
    assert own.learning_rate == 0.5
    assert agent_of(options)[0] == found.algorithm == rv.recommended(SPECS[name], budget, imagination)
    assert found.reason and "\n" not in found.reason


@pytest.mark.parametrize("spelling", ["episodes", "model.episodes"])
def test_the_command_that_is_said_has_a_setting_of_the_model_once(spelling):
    options = build_parser().parse_args(["train", "naf", "Env-v1", "--imagine", "linear"])
    options.chosen = {"learning_rate": "0.1", "model.episodes": "2"}
    assert with_chosen(options, [(spelling, "3")]) == {"learning_rate": "0.1", spelling: "3"}


def test_discrete_actions_are_for_dqn():
    assert isinstance(rv.recommended(SPECS["discrete"], 2000), rv.DQN)


def test_imagination_is_there_where_it_is_asked_for():
    assert not isinstance(rv.recommended(PENDULUM, 2000), rv.Imagination)
    plain = rv.recommended(PENDULUM, 2000, imagination=False)
    for asked, model in ((True, rv.LinearGaussian), ("linear", rv.LinearGaussian), ("neural", rv.Neural)):
        agent = rv.recommended(PENDULUM, 2000, imagination=asked)
        assert isinstance(agent, rv.Imagination) and isinstance(agent.model, model) and agent.agent == plain
    assert rv.recommended(PENDULUM, 2000, imagination="off") == plain


def test_short_episodes_have_noise_that_does_not_drift_and_models_see_more_of_it():
    beam = SPECS["beam"]
    plain, imagining = rv.recommended(beam, 800), rv.recommended(beam, 800, imagination=True)
    assert (plain.noise, plain.noise_scale, plain.warmup_steps) == ("gaussian", 0.3, 100)
    assert (imagining.agent.noise, imagining.agent.noise_scale) == ("gaussian", 0.6)
    assert (imagining.model.episodes, imagining.model.time_varying, imagining.adaptive) == (2, False, False)
    assert rv.recommended(beam, 800, imagination="neural").agent == plain
    assert rv.recommended(beam, 100).warmup_steps == 25
    once = rv.EnvSpec(3, [-1.0], [1.0], max_episode_steps=1)
    assert rv.recommended(once, 800).warmup_steps == 50


class Closing(gym.Wrapper):
    """An environment that remembers whether it was closed."""

    closed = 0

    def close(self):
        """Count."""
        type(self).closed += 1
        super().close()


def test_an_environment_is_looked_at_in_place_of_a_spec():
    assert rv.recommended("Pendulum-v1", 2000) == rv.recommended(PENDULUM, 2000)
    own = Closing(gym.make("Pendulum-v1"))
    assert rv.recommended(own, 2000) == rv.recommended(PENDULUM, 2000) and not Closing.closed
    assert rv.recommended(lambda: own, 2000) == rv.recommended(PENDULUM, 2000) and Closing.closed == 1


@pytest.mark.parametrize("budget", [-1, 0, 1, FEWEST - 1, np.int32(7)])
def test_too_small_a_budget_is_refused_with_what_to_do_instead(budget):
    with pytest.raises(rv.ConfigError, match=r"(?s)too small.*response matrix.*PyAT.*Bayesian optimisation.*Xopt"):
        rv.recommended(PENDULUM, budget)


@pytest.mark.parametrize("budget", [2000.0, "2000", None, True, 2**70])
def test_a_budget_is_a_whole_number(budget):
    with pytest.raises(rv.ConfigError, match=r"^budget is .*; give a whole number of at"):
        rv.recommended(PENDULUM, budget)


@pytest.mark.parametrize(
    ("imagination", "message"),
    [
        (3, "^imagination is 3; give True, False, or the name of a model: linear"),
        (rv.LinearGaussian(), "^imagination is LinearGaussian"),
        ("lineer", "^unknown model 'lineer'; did you mean 'linear'"),
    ],
)
def test_a_model_that_does_not_exist_is_refused(imagination, message):
    with pytest.raises(rv.ConfigError, match=message):
        rv.recommended(PENDULUM, 2000, imagination=imagination)


@pytest.mark.parametrize("spec", [None, 3, "Pendulm-v1"])
def test_what_is_no_environment_is_refused(spec):
    with pytest.raises(rv.ConfigError, match=r"^env is |^unknown environment"):
        rv.recommended(spec, 2000)
