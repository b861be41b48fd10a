"""What is not finite gets neither in nor out, and what float32 cannot square is clipped with one warning that names it."""

import contextlib
import warnings

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import DivergedError, ReverieWarning, SpaceError, WorldError
from reverie.environments.clipped_values import LARGEST
from reverie.environments.env_factory import make_env
from worlds import Choosy, Faulty, Line, Nested, Switched

CONTINUOUS, DISCRETE = EnvSpec(2, [-1.0, 0.0], [3.0, 10.0], "line7"), EnvSpec(2, name="line7", actions=3)
NO_NUMBERS, WIDE = [np.nan, np.inf, -np.inf], np.finfo(np.float64).max


@pytest.mark.parametrize("spec", [CONTINUOUS, DISCRETE], ids=["box", "discrete"])
@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("batch", [False, True])
def test_an_action_that_is_no_number_is_never_scaled(spec, value, batch):
    action = np.zeros((3, spec.action_dim) if batch else spec.action_dim, np.float32)
    action[..., -1:] = value
    with pytest.raises(DivergedError, match=r"line7: the action .* is not finite; it was not sent"):
        spec.to_world(action)
    with pytest.raises(WorldError, match=r"line7: the action .* is not finite; give the action that was executed"):
        spec.from_world(action)


@pytest.mark.parametrize("world", [Faulty, Nested, Line])
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_an_action_that_is_no_number_never_reaches_the_world(world, value):
    world = make_env(world())
    stepped = []
    world.env.step = stepped.append
    with pytest.raises(DivergedError, match=r"the action of step 4 is .*, not finite; it was not sent"):
        world.step(np.full(world.spec.action_dim, value), 4)
    assert not stepped


def test_a_discrete_action_is_sent_as_its_space_draws_it():
    world, stepped = make_env(Choosy()), []
    world.env.step = lambda action: stepped.append(action) or gym.Env.step
    with contextlib.suppress(WorldError):
        world.step(np.array([1]), 1)
    assert type(stepped[0]) is type(world.env.action_space.sample())


def test_an_action_that_its_dtype_makes_infinite_never_reaches_the_world():
    env = Line()
    env.action_space = gym.spaces.Box(-1e5, 1e5, (1,), np.float32)
    world = make_env(env)
    world._action_dtype = np.dtype(np.float16)
    with pytest.raises(DivergedError, match="not finite"), np.errstate(over="ignore"):
        world.step(np.array([1e5]), 1)


@pytest.mark.parametrize("largest", [np.finfo(np.float64).max, 1e308])
def test_ranges_too_wide_to_calculate_with_are_refused(largest):
    with pytest.raises(SpaceError, match=r"line7: action 1 has bounds .*, too far apart to calculate with"):
        EnvSpec(2, [-1.0, -largest], [1.0, largest], "line7")


def test_the_widest_ranges_that_can_be_calculated_with_map_both_ways():
    largest = float(np.finfo(np.float32).max)
    spec = EnvSpec(1, [-largest], [largest])
    there = spec.to_world(np.float32([[-1.0], [0.0], [0.5], [1.0]]))
    np.testing.assert_allclose(there, [[-largest], [0.0], [largest / 2], [largest]])
    np.testing.assert_allclose(spec.from_world(there), [[-1.0], [0.0], [0.5], [1.0]])


def test_a_range_out_of_proportion_is_warned_of():
    with pytest.warns(
        ReverieWarning, match=r"line7: action 1 has bounds .* a range 3.4e\+38 times as wide as the other"
    ):
        EnvSpec(2, [-1.0, -3.4e38, 0.0], [1.0, 3.4e38, 2.0], "line7")
    EnvSpec(2, [-1.0, -1e5], [1.0, 1e5])  # as force beside angle


class Spiking(Line):
    """Its observation or reward is `value` at step 3 and 5."""

    def __init__(self, of="observation", value=1e20):
        super().__init__()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.of, self.value, self.count = of, value, 0

    def step(self, action):
        observation, reward, *ends = super().step(action)
        self.count += 1
        if self.count in (3, 5):
            observation, reward = ([0.0, self.value], reward) if self.of == "observation" else (observation, self.value)
        return np.asarray(observation, np.float64), reward, *ends


@pytest.mark.parametrize("value", [1e17, -1e20, 3e38, 1e39, -1e300, WIDE])
@pytest.mark.parametrize(("of", "says"), [("observation", r"observation at index 1"), ("reward", "the reward")])
def test_what_cannot_be_squared_is_clipped_with_one_warning(of, says, value, tmp_path):
    from reverie.storage import journal

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with rv.Learner(rv.NAF(hidden=(8,)), Spiking(of, value), out=tmp_path) as learner:
            learner.learn(12)
    told = [str(warning.message) for warning in caught if issubclass(warning.category, ReverieWarning)]
    assert len(told) == 1 and says in told[0] and "counts as ±1e+16" in told[0]
    steps = journal.read(tmp_path / "experience" / "journal.bin")[1]
    kept = steps["next_observation"][:, 1] if of == "observation" else steps["reward"]
    np.testing.assert_allclose(kept[[2, 4]], np.copysign(LARGEST, value), rtol=1e-6)


@pytest.mark.parametrize("value", [1e17, -3e38, 1e300, -WIDE])
def test_a_program_that_asks_and_tells_is_clipped_too(value):
    with rv.Learner(rv.NAF(hidden=(8,)), spec=CONTINUOUS) as learner, pytest.warns(ReverieWarning) as caught:
        for _ in range(3):
            learner.ask([0.0, value])
            learner.tell(value, [value, 0.0], False)
        learner.predict(np.full((4, 2), value))
    assert sorted(str(w.message).split(" goes")[0] for w in caught) == [
        "line7: the observation at index 0",
        "line7: the observation at index 1",
        "line7: the reward",
    ]


@pytest.mark.parametrize("value", [1e17, 1e300, -WIDE])
@pytest.mark.parametrize(("of", "says"), [("observation", "the observation at index 1"), ("reward", "the reward")])
def test_an_evaluation_is_clipped_too(of, says, value):
    world = lambda: Spiking(of, value)  # noqa: E731
    with rv.Learner(rv.NAF(hidden=(8,)), Line, evaluation_env=world) as learner, pytest.warns(ReverieWarning) as caught:
        found = learner.evaluate(2)
    assert [str(w.message).split(" goes")[0].split(": ")[1] for w in caught] == [says]
    assert np.isfinite(found["mean"]) and (of == "observation" or np.sign(found["mean"]) == np.sign(value))


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("of", ["observation", "reward"])
def test_what_is_not_finite_is_refused_wherever_it_comes_in(of, value):
    says, world = f"the {of} of step 3", lambda: Spiking(of, value)
    with rv.Learner(rv.NAF(hidden=(8,)), world, evaluation_env=world) as learner:
        for go in (lambda: learner.learn(12), lambda: learner.evaluate(1)):
            with pytest.raises(WorldError, match=says):
                go()
    told = (0.0, [value, 0.0]) if of == "observation" else (value, [0.0, 0.0])
    with rv.Learner(rv.NAF(hidden=(8,)), spec=CONTINUOUS) as learner:
        learner.ask([0.0, 0.0])
        with pytest.raises(WorldError, match="must be finite"):
            learner.tell(*told, False)


def test_a_part_of_a_nested_observation_is_called_by_its_keys():
    class Wide(Nested):
        def _observe(self):
            found = super()._observe()
            return {**found, "arm": {**found["arm"], "v": np.array([1e300])}}

    world = make_env(Wide())
    with pytest.warns(ReverieWarning, match=r"the observation at index 4 \(arm.v\) goes beyond"):
        world.reset(0)


def test_sensors_are_called_by_the_keys_of_their_dict():
    spec = make_env(Nested()).spec
    assert [spec.entry(i) for i in (0, 3, 4, 7)] == [
        "index 0 (arm.q)",
        "index 3 (arm.q)",
        "index 4 (arm.v)",
        "index 7 (mode)",
    ]
    assert make_env(Switched()).spec.entry(1) == "index 1"
