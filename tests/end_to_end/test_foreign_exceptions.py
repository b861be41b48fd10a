"""Whatever an environment raises, wherever, is one line and status 2: sys.exit() in somebody's step ends no program well."""

import asyncio
import sys

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.cli import main
from reverie.environments.env_factory import make_env
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.training.deferred_interrupts import handling


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError("no text")


class UnspeakableBase(BaseException):
    def __str__(self):
        return sys.exit(0)


RAISED = {
    "exit": SystemExit,
    "exit 0": lambda: SystemExit(0),
    "exit text": lambda: SystemExit("bye"),
    "ctrl-c": KeyboardInterrupt,
    "generator": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "base": BaseException,
    "text raises": Unspeakable,
    "text exits": UnspeakableBase,
    "lines": lambda: RuntimeError("one\ntwo\x1b[31m"),
    "memory": MemoryError,
    "group": lambda: BaseExceptionGroup("several", [SystemExit(0)]),
    "stop": StopIteration,
    "broken pipe": BrokenPipeError,
    "reverie": lambda: rv.ConfigError("theirs"),
}
STAGES = {
    "make": "raised when called",
    "spaces": "has no observation_space",
    "reset": "raised in reset",
    "step": "raised in step 1",
    "close": "raised in close",
}
SMALL = ["--steps", "8", "--evaluate-every", "0", "--quiet", "--set", "hidden=8", "--set", "warmup_steps=9"]


class World(gym.Env):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    stage, error = "", "exit"

    def __init__(self, render_mode=None):
        self._at("make")

    def _at(self, stage):
        if self.stage == stage:
            raise RAISED[self.error]()

    @property
    def observation_space(self):
        self._at("spaces")
        return gym.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        self._at("reset")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self._at("step")
        return np.zeros(2, np.float32), 0.0, False, True, {}

    def render(self):
        self._at("render")
        return np.zeros((16, 16, 3), np.uint8)

    def close(self):
        self._at("close")


class Table(World):
    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def reset(self, **given):
        return 0, super().reset(**given)[1]

    def step(self, action):
        return 0, *super().step(action)[1:]


def one_line(capsys, status, sentence):
    line = capsys.readouterr().err.removesuffix("\n")
    assert status == 2 and line.startswith("reverie: ") and sentence in line and line.isprintable()


@pytest.fixture
def raising(monkeypatch, tmp_path):
    def set_up(stage, error, kind=World):
        monkeypatch.setattr(World, "stage", stage)
        monkeypatch.setattr(World, "error", error)
        monkeypatch.setitem(sys.modules, "raising_world", sys.modules[__name__])

    monkeypatch.chdir(tmp_path)
    return set_up


@pytest.mark.parametrize("error", [error for error in RAISED if error != "reverie"])
@pytest.mark.parametrize("stage", STAGES)
def test_what_an_environment_raises_is_one_line(raising, capsys, stage, error):
    raising(stage, error)
    if stage == "step" and error == "exit":
        one_line(capsys, main(["train", "naf", "raising_world:World", *SMALL, "--out", "run"]), STAGES[stage])
    with handling(), pytest.raises((rv.WorldError, rv.SpaceError), match=STAGES[stage]) as caught:
        world = make_env("raising_world:World")
        try:
            world.reset(0)
            world.step(np.zeros(1), 1)
        finally:
            if stage == "close":
                world.close()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("stage", ["reset", "step", "close"])
@pytest.mark.parametrize("error", RAISED)
def test_also_where_tables_are_learnt(raising, stage, error):
    raising(stage, error)
    with handling(), pytest.raises(rv.WorldError, match=f"raised in {'a ' if stage == 'step' else ''}{stage}"):
        world = DiscreteEnvAdapter("raising_world:Table")
        world.reset(0)
        world.step(0)
        world.close()


@pytest.mark.parametrize("stage", ["reset", "step", "close"])
def test_verbs_end_with_one_line_and_status_2(raising, capsys, stage):
    raising("", "exit 0")
    assert main(["train", "naf", "raising_world:World", *SMALL, "--out", "run"]) == 0
    capsys.readouterr()
    raising(stage, "exit 0")
    one_line(capsys, main(["evaluate", "run"]), f"raised in {stage}")
    one_line(
        capsys,
        main(["solve", "raising_world:Table", "--method", "q-learning", "--json"]),
        f"raised in {'a ' * (stage == 'step')}{stage}",
    )
    one_line(
        capsys,
        main(["train", "naf", "raising_world:World", *SMALL, "--out", f"run-{stage}", "--json"]),
        f"raised in {stage}",
    )


def test_a_film_whose_pictures_raise(raising, capsys):
    raising("", "exit 0")
    assert main(["train", "naf", "raising_world:World", *SMALL, "--out", "run"]) == 0
    capsys.readouterr()
    raising("render", "exit 0")
    one_line(capsys, main(["video", "run", "-o", "film.gif"]), "raised in render")


@pytest.mark.parametrize(
    "words", ["raise SystemExit(0)", "raise KeyboardInterrupt", "import os; raise BaseException('x')"]
)
def test_a_module_that_exits_when_imported(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "exits_at_once.py").write_text(words + "\n")
    one_line(capsys, main(["train", "naf", "exits_at_once:make", *SMALL]), "cannot import 'exits_at_once'")


def test_ctrl_c_in_a_program_of_ones_own_stays_ctrl_c(raising):
    raising("step", "ctrl-c")
    world = make_env(World)
    world.reset(0)
    with pytest.raises(KeyboardInterrupt):
        world.step(np.zeros(1), 1)
