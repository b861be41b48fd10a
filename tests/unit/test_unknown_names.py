"""What is said of a name that is no environment."""

import pytest

from reverie.core.errors import ConfigError
from reverie.environments.env_factory import make_env
from reverie.environments.imports import imported
from reverie.environments.unknown_names import environments_in, nearest, no_environment

IDS = [
    "Pendulum-v1",
    "InvertedPendulum-v4",
    "InvertedPendulum-v5",
    "HalfCheetah-v4",
    "HalfCheetah-v5",
    "reacher",
    "peg",
]
IDS += ["FrozenLake-v1", "FrozenLake8x8-v1"]
BEAM = '''
"""A beam line."""
import gymnasium as gym
raise RuntimeError("this module must not be imported")


class BeamEnv(gym.Env):
    pass


class Tilted(gym.wrappers.TimeLimit):
    pass


class Plain:
    def reset(self, seed=None): ...
    def step(self, action): ...


class Settings:
    def step(self): ...


class _HiddenEnv(gym.Env): ...


def make_beam(): ...
def quick_env(): ...
def line() -> gym.Env: ...
def main(): ...
def _make(): ...
'''


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("Pendulun-v1", ["Pendulum-v1", "InvertedPendulum-v5"]),
        ("pendulum", ["Pendulum-v1", "InvertedPendulum-v5"]),
        ("HalfCheetah-v9", ["HalfCheetah-v5"]),
        ("reachr", ["reacher"]),
        ("frozenlake", ["FrozenLake-v1", "FrozenLake8x8-v1"]),
        ("nothing-like-it", []),
        ("", []),
    ],
)
def test_the_nearest_ids_are_the_newest_of_their_kind(name, ids):
    assert nearest(name, IDS) == ids


def test_three_are_named_at_most_and_where_all_are():
    many = [f"Task{letter}-v0" for letter in "ABCDEFGH"]
    says = str(no_environment("Task-v0", many))
    assert says.count("Task") == 4 and says.startswith("unknown environment 'Task-v0'; did you mean 'Task")
    assert "`reverie list environments`" in says and len(says) < 300
    assert "did you mean" not in str(no_environment("xyz", many))
    with pytest.raises(
        ConfigError, match=r"did you mean 'Pendulum-v1'\? \(near it: '.*', '.*'; `reverie list` names the domains"
    ):
        make_env("Pendulun-v1")


def test_environments_of_a_file_are_found_without_running_it(tmp_path):
    (tmp_path / "beam.py").write_text(BEAM)
    assert list(environments_in(tmp_path / "beam.py")) == [
        "BeamEnv",
        "Tilted",
        "Plain",
        "make_beam",
        "quick_env",
        "line",
    ]


@pytest.mark.parametrize("name", ["beam", "beam.py", "lab/beam", "lab/beam.py", "lab.beam", "./beam.py"])
def test_of_a_file_here_it_says_what_to_write(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    for file in (tmp_path / "beam.py", tmp_path / "lab" / "beam.py"):
        file.write_text(BEAM)
    with pytest.raises(ConfigError) as caught:
        make_env(name)
    module, file = ("lab.beam", "lab/beam.py") if "lab" in name else ("beam", "beam.py")
    assert str(caught.value) == (
        f"{name!r} is no environment, but there is a file {file}: write {module}:NAME, where NAME is BeamEnv, Tilted, Plain, "
        "make_beam, quick_env, line"
    )


def test_a_point_for_a_colon_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "beam.py").write_text(BEAM)
    assert "write lab.beam:make_beam, with a colon" in str(no_environment("lab.beam.make_beam", IDS))


@pytest.mark.parametrize("data", [b"def broken(:", b"\xff\xfe\x00", b"", b"x = 1"])
def test_a_file_that_offers_nothing_is_named_all_the_same(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beam.py").write_bytes(data)
    says = str(no_environment("beam", IDS))
    assert says.endswith("write beam:NAME, where NAME is a class or function that makes one")


def test_a_file_before_the_colon_is_told_apart_from_a_module():
    with pytest.raises(
        ConfigError, match=r"environment 'lab/beam.py:BeamEnv' names a file; give the module: lab.beam:BeamEnv"
    ):
        imported("lab/beam.py:BeamEnv", "environment")


@pytest.mark.parametrize("name", ["x" * 9999, "a\0b", "..", ".", "/", "a//b"])
def test_odd_names_are_no_files(name):
    assert str(no_environment(name, IDS)).startswith("unknown environment")
