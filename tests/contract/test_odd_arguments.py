"""Whatever a program passes to the learner, its callbacks and specs is right, or a sentence says what to give."""

import dataclasses
import functools
import warnings
from fractions import Fraction

import numpy as np
import pytest

import reverie as rv
from reverie.control.ilqg_step import Options
from reverie.control.pilqr_step import PILQR
from reverie.tabular.q_learning import QLearningSettings
from worlds import LinearWorld

NET = rv.NAF(hidden=(8,), warmup_steps=10, batch_size=5, updates_per_step=1)


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no")

    __float__ = __eq__ = __iter__ = __hash__ = __index__ = __array__ = lambda self, *_: repr(self)


def kind(value):
    return (
        f"{next(iter(value))} {type(next(iter(value.values()))).__name__}"
        if isinstance(value, dict) and value
        else type(value).__name__
    )


ODD = (None, "a", 1.5, True, -1, float("nan"), [], {}, Unspeakable(), Fraction(1, 2), np.array([1, 2]), 1 + 2j)


@pytest.fixture
def learner(tmp_path):
    with rv.Learner(NET, LinearWorld, out=tmp_path / "run") as learner:
        yield learner


@pytest.mark.parametrize("value", [*ODD, 0], ids=kind)
def test_a_number_of_episodes_to_evaluate(learner, value):
    with pytest.raises(rv.ConfigError, match=r"evaluate\(episodes\) is .*; give a whole number of at least 1"):
        learner.evaluate(value)


@pytest.mark.parametrize("value", ODD, ids=kind)
def test_an_amount_to_learn(learner, value):
    for amount in ({"steps": value}, {"episodes": value}):
        with pytest.raises(rv.ConfigError):
            learner.learn(**amount)


@pytest.mark.parametrize(
    "value", [None, 5, [None], np.array(1.0), lambda learner, event: None, ["a"], Unspeakable()], ids=kind
)
def test_callbacks_that_cannot_be_called(learner, value):
    with pytest.raises(rv.ConfigError, match=r"callbacks is .*; give a list of functions"):
        learner.learn(2, callbacks=value)
    assert learner.steps == 0


def test_callbacks_of_any_iterable_hear_of_all_events(learner):
    heard = []
    learner.learn(3, callbacks=(one for one in [lambda learner, event: heard.append(type(event).__name__)]))
    assert heard.count("StepEnded") == 3 and heard[-1] == "Ended"


@pytest.mark.parametrize(
    "answer, steps", [(True, 0), (np.True_, 0), (1, 3), ("yes", 3), (np.ones(2), 3), (None, 3)], ids=str
)
def test_a_callback_stops_by_true_alone(learner, answer, steps):
    learner.learn(3, callbacks=[lambda learner, event: answer])
    assert learner.steps == steps


@pytest.mark.parametrize("wrong", ODD, ids=kind)
def test_settings_of_callbacks(wrong):
    for make in (rv.Evaluate, lambda value: rv.Evaluate(1, value), lambda value: rv.StopAtReturn(0.0, value)):
        with pytest.raises(rv.ConfigError):
            make(wrong)


@pytest.mark.parametrize("wrong", ["a", None, True, float("nan"), [], 1j, Unspeakable()], ids=kind)
def test_a_return_to_stop_at(wrong):
    with pytest.raises(rv.ConfigError, match="give a finite number"):
        rv.StopAtReturn(wrong)


@pytest.mark.parametrize("path", [5, b"x", [], "", {}, Unspeakable()], ids=kind)
def test_a_directory_that_is_no_path(learner, path):
    for use in (
        lambda: rv.Learner(NET, LinearWorld, out=path),
        lambda: rv.Learner.load(path),
        lambda: learner.save(path),
    ):
        with pytest.raises(rv.ConfigError, match="give the path of a folder"):
            use()


@pytest.mark.parametrize("spec", ["x", 5, {}, NET, Unspeakable(), rv.EnvSpec], ids=kind)
def test_a_spec_that_is_none(spec):
    with pytest.raises(rv.ConfigError, match=r"spec is .*; give an rv.EnvSpec"):
        rv.Learner(NET, spec=spec)


@pytest.mark.parametrize(
    "facts",
    [
        *({"observation_dim": value} for value in ("3", 2.5, float("nan"), True, None, [3], Unspeakable())),
        *({"action_low": value} for value in ("a", None, [None], [[1], [1, 2]], {}, Unspeakable(), [10**400], 1j)),
        *({"actions": value} for value in ("3", 2.5, True, -1, None, Unspeakable())),
        *({"first_action": value} for value in (None, "x", [[1]], {1, 2}, 2.5, 10**400, Unspeakable())),
        *({"observations": value} for value in (float("nan"), "x", np.ones(2), range(3), object(), Unspeakable())),
        *({"observations": [part]} for part in (("x", "Box"), ("x", 1, (2,)), ("x", "Box", 2), ("x", "Box", (-1,)))),
        {"name": 5},
        {"name": None},
    ],
    ids=kind,
)
def test_a_spec_of_odd_parts(facts):
    with pytest.raises(rv.SpaceError):
        rv.EnvSpec(**{"observation_dim": 2, "action_low": [-1.0], "action_high": [1.0]} | facts)


def test_a_spec_keeps_parts_and_first_action_as_they_hash():
    spec = rv.EnvSpec(2, actions=3, first_action=np.int64(-1), observations=[["x", "Box", [np.int64(2)]]])
    assert (spec.first_action, spec.observations) == (-1, (("x", "Box", (2,)),)) and hash(spec) is not None


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), "yes", None, 2, Unspeakable()], ids=kind)
def test_whether_to_explore(learner, value):
    with pytest.raises(rv.ConfigError, match=r"predict\(explore\) is .*; give True or False"):
        learner.predict(np.zeros(learner.spec.observation_dim), explore=value)


SETTINGS = [
    (type_, field.name)
    for type_ in (
        rv.NAF,
        rv.SAC,
        rv.XQC,
        rv.PPO,
        rv.DQN,
        rv.LinearGaussian,
        rv.Neural,
        rv.Recent,
        QLearningSettings,
        PILQR,
    )
    for field in dataclasses.fields(type_)
] + [(functools.partial(rv.Imagination, NET, rv.Recent()), name) for name in rv.Imagination.numbers()]


@pytest.mark.parametrize("value", [Unspeakable(), 10**5000], ids=["unspeakable", "huge"])
def test_settings_whatever_an_object_does_when_it_is_looked_at(value):
    for make, name in SETTINGS:
        with pytest.raises(rv.ConfigError) as refused:
            make(**{name: value})
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 400, name


@pytest.mark.parametrize("of", ["agent", "model"])
def test_imagination_round_or_with_what_is_none(of):
    with pytest.raises(rv.ConfigError, match=f"{of} is of type Unspeakable"):
        rv.Imagination(**{"agent": NET, "model": rv.Recent()} | {of: Unspeakable()})


@pytest.mark.parametrize("given", [np.array([1.0, 0.5]), [1.0, 0.5], (1, np.float32(0.5)), iter((1.0, 0.5))], ids=kind)
def test_lengths_of_steps_of_any_sequence(given):
    options = Options(alphas=given)
    assert options.alphas == (1.0, 0.5) and hash(options) == hash(Options(alphas=(1.0, 0.5)))


@pytest.mark.parametrize(
    "alphas", [1.0, float("nan"), None, "x", [], [None], [0.0], [-1.0], np.array(1.0), [[1.0]], Unspeakable()], ids=kind
)
def test_what_is_no_length_of_steps(alphas):
    with pytest.raises(rv.ConfigError, match="alphas"):
        Options(alphas=alphas)


@pytest.mark.parametrize("seed", ODD, ids=kind)
def test_a_seed_that_is_none(seed):
    with pytest.raises(rv.ConfigError, match="seed is"):
        rv.Learner(NET, LinearWorld, seed=seed)


def test_numbers_of_numpy_are_numbers(learner):
    assert learner.learn(np.int64(2)).learn(episodes=np.uint8(0)).steps == 2
    assert learner.evaluate(np.int32(1))["episodes"] == 1
    assert rv.EnvSpec(np.int64(2), np.float32(-1), np.float64(1)).observation_dim == 2


def test_a_closed_learner_still_predicts_but_writes_nothing(tmp_path):
    learner = rv.Learner(NET, LinearWorld, out=tmp_path / "run").learn(5)
    learner.close()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    observation = np.zeros(learner.spec.observation_dim, np.float32)
    learner.predict(observation)
    for use in (
        learner.save,
        learner.save_best,
        learner.evaluate,
        lambda: learner.learn(1),
        lambda: learner.ask(observation),
        lambda: learner.tell(0.0, observation, False),
        lambda: learner.save(tmp_path / "copy"),
    ):
        with warnings.catch_warnings(), pytest.raises(rv.ConfigError, match="closed"):
            use()
    learner.close()
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    assert not (tmp_path / "copy").exists()
