"""What environments and programs hand over is made what it should be, or named in one WorldError: never raw, never taken."""

import decimal
import fractions
import gc

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import utils as space_utils

from reverie.core.errors import ConfigError, ReverieError, SpaceError, WorldError
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import make_env
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.environments.values import finite_number, flattener, float32, truth
from things import THING

BOX = spaces.Box(-1, 1, (2,), np.float32)


class Puppet(gym.Env):
    """Returns what it was given."""

    def __init__(self, observation_space=BOX, first=None, result=None, action_space=BOX):
        self.observation_space, self.action_space = observation_space, action_space
        self.first, self.result = first, result

    def reset(self, *, seed=None, options=None):
        return self.first

    def step(self, action):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no text")

    __bool__ = __float__ = __array__ = __repr__


GOOD = np.zeros(2)


def stepped(result, space=BOX):
    return EnvAdapter(Puppet(space, result=result), "Puppet").step(np.zeros(2), 7)


def assert_named(told, *words):
    text = str(told.value)
    assert text.isprintable() and len(text) < 1100 and "Puppet" in text
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    "reward",
    [
        10**400, -(10**5000), None, "1.0", b"1", 1j, complex(1, 0), np.complex64(1), float("nan"), float("inf"),
        np.float64("nan"), np.ma.masked, np.ma.array([1.0], mask=[True]), [1.0, 2.0], [], {}, object(), Unspeakable(),
        np.array(["1"]), np.array([None]), np.datetime64("2026-01-01"), np.timedelta64(1, "ns"), decimal.Decimal("sNaN"),
        decimal.Decimal("1e400"), fractions.Fraction(10**400), np.zeros(0), lambda: 1.0, "x" * 100_000, "a\nb\0c",
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_reward_that_is_none_is_named(reward):
    with pytest.raises(WorldError) as told:
        stepped((GOOD, reward, False, False, {}))
    assert_named(told, "the reward of step 7")


@pytest.mark.parametrize(
    "reward",
    [1, True, np.float16(1), np.float64(1), np.int8(1), np.bool_(True), decimal.Decimal(1), fractions.Fraction(2, 2), [1.0],
     np.array(1.0), np.array([[1]]), np.ma.array(1.0), np.array([decimal.Decimal(1)])],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_reward_of_any_real_type_is_a_float(reward):
    value = stepped((GOOD, reward, False, False, {}))[0]
    assert type(value) is float and value == 1.0


@pytest.mark.parametrize("which", ["terminated", "truncated"])
@pytest.mark.parametrize(
    "flag",
    ["False", "0", "", None, np.array([True, False]), float("nan"), 2, -1, 0.5, [], [True, True], {}, 1j, Unspeakable(),
     np.array("True"), np.array([None]), np.ma.array([True], mask=[True]), b"", "a\nb"],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_flag_that_is_none_is_named(which, flag):
    flags = (flag, False) if which == "terminated" else (False, flag)
    with pytest.raises(WorldError) as told:
        stepped((GOOD, 0.0, *flags, {}))
    assert_named(told, f"{which} of step 7", "True or False")


@pytest.mark.parametrize("flag", [True, 1, np.True_, np.array(True), np.array([True]), np.array([[1]]), [True], 1.0])
def test_a_flag_of_any_kind_is_a_bool(flag):
    assert stepped((GOOD, 0.0, flag, np.False_, {}))[2:] == (True, False)
    assert type(truth("", "", 0, flag)) is bool


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ((GOOD, 0.0, False, {}), "returned 4 values"),
        ((GOOD, 0.0, False, False, {}, 1), "returned 6 values"),
        (None, "returned NoneType"),
        (GOOD, "returned ndarray"),
        ("abcde", "returned str"),
        ((GOOD, 0.0, False, False, None), "returned info None"),
        ((GOOD, 0.0, False, False, ["x"]), "must be a dict"),
        (ValueError("two\nlines\0"), "ValueError: two lines"),
        (Mute(), "Mute"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_of_another_form_is_named(result, says):
    with pytest.raises(WorldError) as told:
        stepped(result)
    assert_named(told, "step 7", says)


@pytest.mark.parametrize("first", [GOOD, None, (GOOD,), (GOOD, None), (GOOD, {}, {}), "ab", {}, 7])
def test_a_reset_of_another_form_is_named(first):
    with pytest.raises(WorldError) as told:
        EnvAdapter(Puppet(first=first), "Puppet").reset(0)
    assert_named(told, "reset")


async def _later(*_, **__):
    return GOOD, 0.0, False, False, {}


def test_an_async_def_is_refused_without_a_word_of_what_was_not_awaited(recwarn):
    world = EnvAdapter(Puppet(), "Puppet")
    world.env.reset = world.env.step = _later
    for call in (lambda: world.reset(0), lambda: world.step(np.zeros(2), 7), lambda: make_env(_later)):
        with pytest.raises(ReverieError, match="returned coroutine"):
            call()
    gc.collect()
    assert not [str(warning.message) for warning in recwarn]


SEVEN, EIGHT = spaces.Discrete(7), spaces.Discrete(3, start=5)
NESTED = spaces.Dict({"goal": SEVEN, "arm": spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.MultiBinary(2)])})
ARM = (np.full(2, 0.5), np.array([0, 1]))


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        *((SEVEN, value) for value in (-1, 7, 10**30, 0.5, "1", None, [1, 2], float("nan"), 1j, np.int64(-1), (), {})),
        *((EIGHT, value) for value in (0, 4, 8)),
        *((spaces.MultiDiscrete([2, 3]), value) for value in ([-1, 0], [0, 3], [0], [0.5, 1], None, "ab", [[0, 1]])),
        *((spaces.MultiBinary(2), value) for value in ([0, 2], [0, -1], [0], None, [0.5, 1])),
        *((spaces.Text(3, charset="ab"), value) for value in ("abc", "aaaa", 7, None)),
        *(
            (BOX, value)
            for value in (
                [1j, 0], ["1", "2"], [None, None], [[0, 0]], [0], None, "ab", {}, [0, float("inf")], [10**400, 0],
                np.array([1 + 2j, 0]), np.ma.array([0.0, 1.0], mask=[0, 1]), np.array(["a", 1], object), [[1], [2, 3]],
                np.array(["2026-01-01", "2026-01-02"], "M8[D]"), np.array([object(), 1]), Unspeakable(),
            )
        ),
        *(
            (NESTED, value)
            for value in (
                {"goal": 7, "arm": ARM}, {"goal": 1}, {"arm": ARM}, {"goal": 1, "arm": ARM, "more": 1}, (1, ARM), None,
                {"goal": 1, "arm": ARM[:1]}, {"goal": 1, "arm": (*ARM, 1)}, {"goal": 1, "arm": ARM[::-1]},
                {"goal": 1, "arm": {"a": 1}}, {"goal": 1, "arm": (np.array([0, np.nan]), ARM[1])}, {}, [1, ARM],
                {"goal": 1, "arm": (np.array([1j, 0]), ARM[1])},
            )
        ),
    ],
    ids=lambda value: str(type(value).__name__),
)  # fmt: skip
def test_an_observation_that_is_not_in_its_space_is_named(space, observation):
    with pytest.raises(WorldError) as told:
        stepped((observation, 0.0, False, False, {}), space)
    assert_named(told, "the observation of step 7")


REAL = "it must hold real numbers"


@pytest.mark.parametrize(
    ("observation", "says"),
    [
        ([THING, 1], f"holds objects; {REAL}"),
        ([1j, 0], f"holds complex numbers; {REAL}"),
        (["1", "2"], f"holds text; {REAL}"),
        ([b"1", b"2"], f"holds bytes; {REAL}"),
        (np.array(["2026-01-01", "2026-01-02"], "M8[D]"), f"holds dates; {REAL}"),
        (np.ma.array([0.0, 1.0], mask=[0, 1]), "has masked entries; it must have a value for each"),
        ([[1], [2, 3]], "is ragged: its parts have different lengths; they must have the same"),
        ((1, [2, 3]), "is ragged: its parts have different lengths; they must have the same"),
        (
            [decimal.Decimal("sNaN"), 1],
            "does not fit observation_space (ValueError: cannot convert signaling NaN to float)",
        ),
        (None, "has shape (); observation_space says (2,)"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_observation_is_one_sentence(observation, says):
    begin = "Puppet: the observation of step 7"
    with pytest.raises(WorldError) as told:
        stepped((observation, 0.0, False, False, {}))
    assert str(told.value) == f"{begin} {says}"
    with pytest.raises(WorldError) as told:
        stepped(({"in": (0, observation)}, 0.0, False, False, {}), spaces.Dict({"in": spaces.Tuple([SEVEN, BOX])}))
    assert str(told.value) == f"{begin} ['in'] [1] {says}"


@pytest.mark.parametrize(
    "space",
    [
        BOX, SEVEN, EIGHT, NESTED, spaces.MultiDiscrete([2, 3], start=[1, 0]), spaces.MultiBinary([2, 2]),
        spaces.Text(4, charset="xyz"), spaces.Box(0, 255, (3, 2), np.uint8), spaces.Tuple([NESTED, EIGHT]),
        spaces.Box(-1, 1, (), np.float64), spaces.Dict({"b": BOX, "a": spaces.Dict({"c": SEVEN})}),
        spaces.OneOf([SEVEN, BOX]),
    ],
    ids=str,
)  # fmt: skip
def test_observations_are_flattened_as_gymnasium_does(space):
    space.seed(0)
    flatten = flattener(space)
    for _ in range(20):
        value = space.sample()
        found = flatten(value)
        np.testing.assert_array_equal(found, space_utils.flatten(space, value).astype(np.float32))
        assert found.dtype == np.float32 and found.shape == (space_utils.flatdim(space),)


@pytest.mark.parametrize("kind", [list, tuple, np.float64, np.int32, np.float16, bool])
def test_boxes_come_of_any_real_type(kind):
    value = kind([0, 1]) if kind in (list, tuple) else np.array([0, 1], kind)
    np.testing.assert_array_equal(stepped((value, 0.0, False, False, {}))[1], [0.0, 1.0])


def test_the_worlds_own_array_is_not_kept():
    own = np.zeros(2, np.float32)
    kept = stepped((own, 0.0, False, False, {}))[1]
    own[:] = 1.0
    assert not kept.any()


@pytest.mark.parametrize("which", ["observation_space", "action_space"])
@pytest.mark.parametrize("space", [None, 7, (2,), spaces.Box])
def test_a_space_that_is_none_is_named(which, space):
    with pytest.raises(SpaceError, match=which):
        EnvAdapter(Puppet(**{which: space}), "Puppet")


@pytest.mark.parametrize("observation", [-1, 7, 0.5, "1", None, (1, 2), float("nan"), [1], Unspeakable()])
def test_tables_take_no_state_that_there_is_not(observation):
    puppet = Puppet(SEVEN, (0, {}), (observation, 0.0, False, False, {}), action_space=spaces.Discrete(2))
    with pytest.raises(ReverieError, match=r"an observation is .*, which is not in Discrete\(7\)"):
        DiscreteEnvAdapter(lambda: puppet).step(0)


def test_what_is_told_is_looked_at_as_what_a_world_returns():
    import reverie as rv

    spec = rv.EnvSpec(2, [-1.0], [1.0], name="line 7")
    with rv.Learner(rv.NAF(hidden=(4,), batch_size=2), spec=spec) as learner:
        for odd in ([1j, 0], ["a", "b"], None, [10**400, 0], Unspeakable(), [[0, 0]], [0, float("nan")]):
            with pytest.raises((ConfigError, WorldError), match="line 7"):
                learner.ask(odd)
        learner.ask([0, 0])
        for result in ((10**400, [0, 0], False), (0.0, [0, 0], "False"), (0.0, [1j, 0], False), ("1", [0, 0], False)):
            with pytest.raises((ConfigError, WorldError), match="line 7"):
                learner.tell(*result)
        learner.tell(1, (0, 1), np.False_, 0)
        assert learner.steps == 1


WIDE = float(np.finfo(np.float64).max)
KINDS = [np.array, list, tuple, lambda v: np.array(v, object), lambda v: np.array(v, np.longdouble)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [3.5e38, 1e39, 1e300, WIDE, -WIDE])
def test_what_float32_cannot_hold_is_its_largest_and_what_is_infinite_stays_so(value, kind):
    most = np.copysign(float(np.finfo(np.float32).max), value)
    found = float32(kind([value, 1.0, np.inf, -np.inf, np.nan]))
    np.testing.assert_array_equal(found, np.float32([most, 1.0, np.inf, -np.inf, np.nan]))
    assert found.dtype == np.float32 and finite_number("", "", value) == value


def test_finite_numbers_are_floats_of_python():
    for value in (0.5, np.float64(0.5), np.float32(0.5)):
        assert type(finite_number("", "", value)) is float
