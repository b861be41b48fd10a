"""What is typed after `--set` for an environment: values that its maker takes, or a refusal that names the setting."""

import sys
from types import ModuleType

import pytest

from reverie.core.errors import ConfigError, WorldError
from reverie.environments.env_factory import make_gym_env
from reverie.environments.options import options_of

LAKE = "FrozenLake-v1"


def maker(flag: bool = False, text: str = "a", anything=None, *, size: int = 3):
    raise KeyError(text)


def anyhow(**options):
    del options


@pytest.fixture(autouse=True)
def module(monkeypatch):
    found = ModuleType("makers_of_tests")
    vars(found).update(maker=maker, anyhow=anyhow, odd=print)
    monkeypatch.setitem(sys.modules, "makers_of_tests", found)


@pytest.mark.parametrize("text", ["true", "Yes", "ON", "1", "false", "no", "Off", "0"])
@pytest.mark.parametrize(("source", "name"), [(LAKE, "is_slippery"), ("makers_of_tests:maker", "flag")])
def test_a_truth_is_a_bool(source, name, text):
    assert options_of(source, {name: text}) == {name: text.lower() in ("true", "yes", "on", "1")}


@pytest.mark.parametrize("text", ["maybe", "2", "", "nope"])
def test_other_text_is_no_truth(text):
    with pytest.raises(ConfigError, match=f"^is_slippery is {text!r}; it must be true or false$"):
        options_of(LAKE, {"is_slippery": text})


@pytest.mark.parametrize(
    ("source", "typed", "value"),
    [
        ("makers_of_tests:maker", {"text": "no"}, {"text": "no"}),
        ("makers_of_tests:maker", {"anything": "no"}, {"anything": False}),
        ("makers_of_tests:maker", {"anything": "1", "size": "0"}, {"anything": 1, "size": 0}),
        ("makers_of_tests:anyhow", {"whatever": "off", "more": "(1, 2)"}, {"whatever": False, "more": (1, 2)}),
        ("dyna-maze", {"slip": "0.5"}, {"slip": 0.5}),
        (LAKE, {"map_name": "8x8", "max_episode_steps": "7"}, {"map_name": "8x8", "max_episode_steps": 7}),
        ("NoSuch-v1", {"a": "b"}, {"a": "b"}),  # making it says that there is none
    ],
)
def test_the_rest_is_what_it_looks_like(source, typed, value):
    found = options_of(source, typed)
    assert found == value and [type(v) for v in found.values()] == [type(v) for v in value.values()]


@pytest.mark.parametrize("source", [LAKE, "dyna-maze", "makers_of_tests:maker"])
def test_a_setting_that_there_is_none_of_is_named(source):
    with pytest.raises(ConfigError, match=f"unknown setting of {source} 'qqq'; known: "):
        options_of(source, {"qqq": "1"})


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (LAKE, {"map_name": "9x9"}, "could not be made with map_name='9x9': KeyError"),
        ("makers_of_tests:maker", {"text": "b", "size": 1}, "raised when called with text='b', size=1: KeyError"),
    ],
)
def test_a_value_that_cannot_be_is_said_with_its_setting(source, options, said):
    with pytest.raises(WorldError, match=said):
        make_gym_env(source, **options)
