import copy
import dataclasses
import functools
import inspect
import itertools
import pickle

import pytest

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.algorithms.tuned import TUNED, TUNED_PER_AGENT
from reverie.cli.parser import build_parser
from reverie.control.ilqg_step import Options
from reverie.control.mpc import MPCOptions
from reverie.control.pilqr_step import PILQR
from reverie.core.checked_settings import coerce
from reverie.core.errors import ConfigError
from reverie.domains import DOMAINS
from reverie.maths.noises import NOISES
from reverie.models import MODELS
from reverie.tabular.q_learning import QLearningSettings

NAF, DDPG = ALGORITHMS["naf"], ALGORITHMS["ddpg"]


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("learning_rate", "3e-4", 3e-4),
        ("batch_size", "64", 64),
        ("batch_size", "1e2", 100),
        ("hidden", "64,32", (64, 32)),
        ("hidden", "(64,)", (64,)),
        ("hidden", "()", ()),
        ("observation_normalisation", "true", True),
        ("observation_normalisation", "0", False),
        ("observation_normalisation", "Yes", True),
        ("observation_normalisation", "off", False),
        ("noise", "gaussian", "gaussian"),
    ],
)
def test_text_becomes_the_setting(name, text, value):
    found = coerce(NAF, name, text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be positive"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'; it must be a finite number"),
        ({"learning_rate": float("nan")}, "it must be a finite number"),
        ({"discount": 1.5}, "discount is 1.5; it must lie in [0, 1]"),
        ({"discount": 1.0, "value_bound": True}, "value_bound needs a discount below 1"),
        ({"target_rate": 0}, "it must lie in (0, 1]"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"batch_size": 2.5}, "it must be a whole number"),
        ({"hidden": (200, 0)}, "every layer needs at least 1 unit"),
        *(({"hidden": text}, "whole numbers separated by commas") for text in ("", " ", ",", "8,,8", ",8", "(,)")),
        ({"batch_size": ""}, "batch_size is ''; it must be a whole number"),
        ({"noise": ""}, "one of 'ou', 'gaussian', 'precision'"),
        ({"hidden": "wide"}, "whole numbers separated by commas"),
        ({"noise": "pink"}, "one of 'ou', 'gaussian', 'precision'"),
        ({"noise_scale": -0.1}, "noise_scale is -0.1"),
        ({"observation_normalisation": "maybe"}, "true or false"),
    ],
)
def test_a_setting_that_cannot_work_is_named(change, says):
    with pytest.raises(ConfigError) as caught:
        NAF(**change)
    assert says in str(caught.value)


def test_unknown_setting_gets_the_nearest():
    with pytest.raises(ConfigError, match="unknown setting 'learning_rat'; did you mean 'learning_rate'"):
        coerce(NAF, "learning_rat", "1")


SETTINGS = {
    **ALGORITHMS,
    **MODELS,
    **NOISES,
    "imagination": functools.partial(rv.Imagination, NAF(), rv.Recent()),
    "pilqr": PILQR,
    "q-learning": QLearningSettings,
    "mpc": MPCOptions,
    "ilqg": Options,
}


@pytest.mark.parametrize("kind", SETTINGS.values(), ids=SETTINGS)
def test_constructors_name_an_unknown_setting_as_set_does(kind):
    with pytest.raises(ConfigError, match="unknown setting 'zzz_zzz'; known: "):
        kind(zzz_zzz=1)


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        *((kind, "lr", "lr is called learning_rate here") for kind in ALGORITHMS.values()),
        *((kind, "gamma", "gamma is called discount here") for kind in ALGORITHMS.values()),
        (MODELS["neural"], "lr", "lr is called learning_rate here"),
        (NOISES["ou"], "thet", "did you mean 'theta'?"),
        (SETTINGS["imagination"], "l", "l is called rollout_length here"),
        (SETTINGS["imagination"], "mpc_horizon", "mpc_horizon is called plan_horizon here"),
        (PILQR, "kl_frst", "did you mean 'kl_first'?"),
        (QLearningSettings, "eps", "eps is called epsilon here"),
        (MPCOptions, "horizn", "did you mean 'horizon'?"),
        (Options, "tolerence", "did you mean 'tolerance'?"),
    ],
)
def test_constructors_suggest_the_name_used_here(kind, name, says):
    with pytest.raises(ConfigError) as caught:
        kind(**{name: 1})
    assert str(caught.value) == f"unknown setting {name!r}; {says}"


def test_other_ways_to_make_settings_suggest_too():
    for make in (NAF.paper, NAF().replace, functools.partial(dataclasses.replace, NAF())):
        with pytest.raises(ConfigError, match="unknown setting 'lr'; lr is called learning_rate here"):
            make(lr=1e-3)


@pytest.mark.parametrize("kind", SETTINGS.values(), ids=SETTINGS)
def test_settings_are_ordinary_dataclasses(kind):
    settings = kind()
    assert pickle.loads(pickle.dumps(settings)) == copy.deepcopy(settings) == dataclasses.replace(settings) == settings
    fields = [field.name for field in dataclasses.fields(settings)]
    assert list(inspect.signature(type(settings)).parameters) == fields


def test_a_class_with_a_constructor_of_its_own_decides_what_it_takes():
    class Own(NAF):
        def __init__(self, lr, **more):
            super().__init__(learning_rate=lr, **more)

    assert Own(lr=1e-2).learning_rate == 1e-2
    with pytest.raises(TypeError, match="positional"):
        NAF(1e-3)


def test_ddpg_has_no_precision():
    with pytest.raises(ConfigError, match="DDPG has no precision matrix"):
        DDPG(noise="precision")


@pytest.mark.parametrize("kind", [NAF, DDPG])
def test_paper_settings_are_the_papers_but_for_what_is_given(kind):
    paper = kind.paper(learning_rate=1e-2)
    assert paper.normalisation == "batch" and paper.learning_rate == 1e-2 and paper.updates_per_step == 5
    assert paper.reward_scale == 1.0 and not paper.observation_normalisation and paper.warmup_steps == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        paper.discount = 0.5


@pytest.mark.parametrize(("name", "rate"), [("sac", 3e-4), ("xqc", 3e-4), ("ppo", 3e-4), ("dqn", 2.5e-4)])
def test_baselines_have_their_own_papers_settings(name, rate):
    kind = ALGORITHMS[name]
    paper = kind.paper(learning_rate=1e-2)
    assert paper.learning_rate == 1e-2 and hash(paper) == hash(kind.paper(learning_rate=1e-2))
    assert kind.paper().learning_rate == rate


def test_paper_settings_of_a_domain_are_ours_out_of_the_papers_18():
    assert NAF.paper("peg").normalisation == "none" and NAF.paper("peg").reward_scale == 5.0
    assert all(domain in DOMAINS for domain in TUNED)
    for kind, domain in itertools.product((NAF, DDPG), TUNED):
        config = kind.paper(domain)
        assert config.normalisation in ("none", "batch", "batch_inputs")  # the paper does not say where it normalises
        assert config.learning_rate in (1e-4, 1e-3, 1e-2) or "learning_rate" in TUNED_PER_AGENT.get(
            (kind.name, domain), {}
        )
        assert config.noise_scale in (0.1, 0.3, 1.0) and config.updates_per_step == 5 and config.hidden == (200, 200)
        assert config.noise == "ou" and (kind is DDPG or config.trunk == "separate")
    assert NAF.paper("peg", noise_scale=1.0).noise_scale == 1.0


def test_what_one_agent_has_alone_is_not_the_others():
    assert all(agent in ("naf", "ddpg") and domain in DOMAINS for agent, domain in TUNED_PER_AGENT)
    assert NAF.paper("swimmer6").learning_rate == 3e-3 and DDPG.paper("swimmer6").learning_rate == 1e-3
    assert NAF.paper("swimmer6", learning_rate=1e-2).learning_rate == 1e-2


def test_settings_of_zero_stay_zero():
    config = NAF(noise_scale=0, discount=0, warmup_steps=0, updates_per_step=0)
    assert (config.noise_scale, config.discount, config.warmup_steps, config.updates_per_step) == (0, 0, 0, 0)


def test_of_a_setting_given_twice_the_last_value_counts():
    words = ["train", "naf", "peg", "--set", "hidden=8", "--set", "discount=0.9", "--set", "hidden=9,9"]
    assert build_parser().parse_args(words).settings == [("discount", "0.9"), ("hidden", "9,9")]


@pytest.mark.parametrize("name", ["cls", "self"])
def test_names_that_python_uses_itself_are_unknown_settings(name):
    with pytest.raises(ConfigError, match=f"unknown setting '{name}'"):
        NAF(**{name: 1.0})
