"""Worlds of numbers: the tables they tell are what they do, mazes are what Gymnasium asks for, the rest is refused."""

import collections
import fractions

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from reverie.core.errors import ConfigError, SpaceError, WorldError
from reverie.domains.maze import MAZES, find
from reverie.environments.maze_env import MazeEnv
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.tabular.mdp import from_outcomes
from things import THING

TABLED = ["FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4", "CliffWalking-v1", "CliffWalkingSlippery-v1", *MAZES]


class Corridor(gym.Env):
    """Three states in a row, from 5 on; actions -1 and 0; `fault` says what is wrong."""

    def __init__(self, fault=None, table=True):
        self.observation_space = gym.spaces.Discrete(3, start=5)
        self.action_space = gym.spaces.Discrete(2, start=-1)
        self.fault, self.s = fault, 0
        if table:
            right = [(0, 1), (1, 2), (2, 2)]
            self.P = {s: {0: [(1.0, 0, -1, False)], 1: [(1.0, to, -1, to == 2)]} for s, to in right}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = 0
        return self.s + 5, {}

    def step(self, action):
        assert action in (-1, 0)
        self.s = min(self.s + 1, 2) if action == 0 else 0
        reward = {"reward": np.nan}.get(self.fault, -1)
        return self.s + (9 if self.fault == "observation" else 5), reward, self.s == 2, False, {}


@pytest.mark.parametrize("name", TABLED)
def test_what_worlds_do_is_what_their_tables_say(name):
    world, generator = DiscreteEnvAdapter(name, seed=1), np.random.default_rng(0)
    mdp, started = world.table(), set()
    sums, counts = np.zeros(mdp.rewards.shape), np.zeros(mdp.rewards.shape)
    went, ended = collections.Counter(), np.zeros(mdp.rewards.shape)
    steps = episode = 0
    while steps < 4000:
        s, over = world.reset(episode), False
        started.add(s)
        episode += 1
        while not over and steps < 4000:
            a = int(generator.integers(world.actions))
            after, reward, terminated, truncated = world.step(a)
            assert mdp.ends[s, a] > 0 if terminated else mdp.transitions[[a * mdp.states + s], [after]].item() > 0
            sums[s, a], counts[s, a], ended[s, a] = sums[s, a] + reward, counts[s, a] + 1, ended[s, a] + terminated
            went[s, a, after] += not terminated
            s, over, steps = after, terminated or truncated, steps + 1
    often = counts >= 100
    for s, a in np.argwhere(often):
        n = counts[s, a]
        assert abs(ended[s, a] / n - mdp.ends[s, a]) < 4.5 * (0.25 / n) ** 0.5
        row = mdp.transitions[[a * mdp.states + s]].toarray()[0]
        assert all(abs(went[s, a, after] / n - row[after]) < 4.5 * (0.25 / n) ** 0.5 for after in range(mdp.states))
    sure = (counts > 0) & (np.abs(mdp.rewards - np.round(mdp.rewards)) < 1e-12) & (mdp.ends < 1e-12)
    if name in ("Taxi-v4", "CliffWalking-v1"):  # no step is random: rewards are exact
        np.testing.assert_allclose(sums[sure] / counts[sure], mdp.rewards[sure], atol=1e-9)
    assert all(mdp.starts[s] > 0 for s in started)
    if name != "Taxi-v4":
        assert started == set(np.flatnonzero(mdp.starts))
    world.close()


@pytest.mark.parametrize("name", MAZES)
def test_mazes_are_gymnasium_environments(name):
    check_env(gym.make(MAZES[name].gym_id).unwrapped, skip_render_check=True)


def test_walls_borders_and_the_goal():
    env = MazeEnv(rows=["S.#", "#.G"])
    env.reset(seed=0)
    path = [(0, 0), (3, 0), (2, 0), (1, 1), (1, 1), (2, 4)]  # up and left: the border; down and right: walls
    assert [(action, env.step(action)[0]) for action, _ in path] == path
    assert env.step(1) == (5, 1.0, True, False, {})
    states = {env.reset(seed=seed)[0] for seed in range(20)} | {MazeEnv(rows=["S.S", "..G"]).reset(seed=3)[0]}
    assert states <= {0, 2} and find(("S.S", "..G"), "S") == [0, 2]


def test_a_slippery_maze_goes_astray_each_way_alike():
    env = MazeEnv(rows=["...", ".S.", "..G"], slip=0.6)
    assert [outcome[:2] for outcome in env.P[4][0]] == [(0.4, 1), *((pytest.approx(0.2), s) for s in (5, 7, 3))]
    env.reset(seed=0)
    seen = collections.Counter()
    for _ in range(3000):
        env.s = 4
        seen[env.step(0)[0]] += 1
    for state, share in ((1, 0.4), (5, 0.2), (7, 0.2), (3, 0.2)):
        assert abs(seen[state] / 3000 - share) < 4 * (share * (1 - share) / 3000) ** 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"maze": "dyna"}, "unknown maze 'dyna'; did you mean 'dyna-maze'?"),
        ({"rows": ["S.", "G"]}, "row 1 of the maze is 'G'; rows have the same length and consist of # . S G"),
        ({"rows": ["SxG"]}, "row 0 of the maze is 'SxG'; rows have the same length"),
        ({"rows": ["S.."]}, "the maze lacks a start S or a goal G"),
        ({"slip": 2}, "slip is 2; it must lie in [0, 1]"),
    ],
)
def test_mazes_that_are_none(options, sentence):
    with pytest.raises(ConfigError) as caught:
        MazeEnv(**options)
    assert sentence in str(caught.value)


class Numbered(gym.Env):
    """As many states and actions as it is told."""

    def __init__(self, states, actions):
        self.observation_space, self.action_space = gym.spaces.Discrete(states), gym.spaces.Discrete(actions)


@pytest.mark.parametrize(
    ("states", "actions", "advice"),
    [
        (10**8, 2, "describe states and actions by few numbers (a Box each) and use `reverie train`"),
        (2, 10**12, "describe states and actions by few numbers (a Box each) and use `reverie train`"),
        (5_000_000, 10, "use `reverie train` here"),
    ],
)
def test_a_table_that_is_too_large_is_called_a_table(states, actions, advice):
    with pytest.raises(SpaceError) as caught:
        DiscreteEnvAdapter(Numbered(states, actions))
    assert str(caught.value) == (
        f"Numbered: a table of {states:,} states and {actions:,} actions does not fit; at most 20,000,000 entries do: {advice}"
    )


def test_numbers_count_from_0():
    world = DiscreteEnvAdapter(Corridor())
    assert (world.states, world.actions, world.reset(0)) == (3, 2, 0)
    assert world.step(1) == (1, -1.0, False, False) and world.step(0)[0] == 0
    assert [world.step(1)[0], world.step(1)] == [1, (2, -1.0, True, False)]
    assert world.table().terminal.tolist() == [False, False, True]
    assert world.table().starts.tolist() == [0.5, 0.5, 0]


def test_tuples_of_numbers_are_numbered():
    world = DiscreteEnvAdapter("Blackjack-v1")
    assert (world.states, world.actions, world.has_table) == (32 * 11 * 2, 2, False)
    env = gym.make("Blackjack-v1")
    for episode in range(20):
        number = world.reset(episode)
        mine, dealer, ace = world.env.unwrapped._get_obs()
        assert number == (mine * 11 + dealer) * 2 + ace
    env.close()
    many = Corridor()
    many.observation_space = gym.spaces.MultiDiscrete([3, 4])
    assert DiscreteEnvAdapter(many).states == 12


def test_episodes_begin_by_their_number_and_seed():
    def starts(seed):
        world = DiscreteEnvAdapter("Taxi-v4", seed=seed)
        return [world.reset(episode) for episode in range(10)]

    assert starts(0) == starts(0) != starts(1) and len(set(starts(0))) > 5


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (
            lambda: Corridor(table=False),
            "Corridor has no table of transitions (env.unwrapped.P), which value and policy",
        ),
        (lambda: gym.wrappers.TransformReward(Corridor(), abs), "(it is wrapped in TransformReward)"),
        (lambda: gym.make("Taxi-v4", fickle_passenger=True), "(its table leaves out the fickle passenger)"),
    ],
    ids=["none", "wrapped", "fickle"],
)
def test_where_there_is_no_table_learners_are_named(env, sentence):
    world = DiscreteEnvAdapter(env())
    assert not world.has_table
    with pytest.raises(ConfigError) as caught:
        world.table()
    assert sentence in str(caught.value) and "--method q-learning or dyna-q" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda P: P[1][0].append((0.5, 0, 0, False)), "Corridor: the probabilities of action 0 in state 1 sum to 1.5"),
        (lambda P: P[1].pop(0), "Corridor: state 1 has 1 action; there are 2"),
        (lambda P: P.update({3: P[0]}), "Corridor: the table has a state 3; states are 0 to 2"),
        (lambda P: P.pop(0), "Corridor: the probabilities of action 0 in state 0 sum to 0"),
        (
            lambda P: P[0].update({0: [(1.0, 0, float("inf"), False)]}),
            "Corridor: a reward of action 0 in state 0 is inf",
        ),
    ],
)
def test_wrong_tables_are_named(change, sentence):
    env = Corridor()
    change(env.P)
    with pytest.raises(ConfigError) as caught:
        DiscreteEnvAdapter(env).table()
    assert sentence in str(caught.value)


GOOD = (1.0, 0, -1, False)
ODD = [None, "abc", b"x", 1j, [], {}, (1, 2), THING, float("nan"), 10**400, np.zeros(2)]


def spoilt():
    """Yield what is wrong with a table, and the table: action 0 in state 1 where an entry is meant."""
    for place, name in enumerate(("probability", "successor", "reward", "terminated")):
        more = [0.0, 1.0, 2.5, -1, 3, np.float64(1)] if name == "successor" else [2, -1, 0.5] if place == 3 else []
        for value in [*ODD, *more]:
            yield f"{name} {value!r}", {0: [(*GOOD[:place], value, *GOOD[place + 1 :])]}
    for value in [*ODD, 7, GOOD, "", ["abc"], [[]], [[GOOD]], [GOOD[:3]], [(*GOOD, 1)], [None], {0: GOOD}, [1.0, 0]]:
        yield f"outcomes {value!r}", {0: value}
    for key in ("a", None, 2, -1, 0.5, (0,)):
        yield f"action {key!r}", {key: [GOOD]}


@pytest.mark.parametrize(("what", "moves"), list(spoilt()), ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_a_table_holds_is_right_or_named_by_state_and_action(what, moves):
    env = Corridor()
    moves = dict(moves)
    env.P[1] = moves | ({} if 0 not in moves else {1: [GOOD]}) | ({1: [GOOD]} if 1 not in moves else {})
    named = r"state 1 has an action .*; actions are 0 to 1" if what.startswith("action") else "action 0 in state 1"
    with pytest.raises(ConfigError, match=f"Corridor: .*{named}") as caught:
        DiscreteEnvAdapter(env).table()
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=named):
        from_outcomes(env.P, 3, 2)


@pytest.mark.parametrize(
    "table", ["abc", 7, [1], ((), ()), np.ones((3, 2)), {0: "abc"}, {0: None}, {0: [[GOOD]]}, {"a": {}}, {0.5: {}}]
)
def test_what_is_no_table_is_named(table):
    env = Corridor()
    env.P = table
    with pytest.raises(ConfigError, match=r"Corridor: (the table|state 0)") as caught:
        DiscreteEnvAdapter(env).table()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", [None, {}, [], ""])
def test_an_empty_table_is_none(table):
    env = Corridor()
    env.P = table
    assert not DiscreteEnvAdapter(env).has_table


def test_a_table_that_raises_is_named():
    class Raising(Corridor):
        P = property(lambda self: 1 / 0, lambda self, value: None)

    with pytest.raises(WorldError, match="Raising raised when asked for P: ZeroDivisionError"):
        DiscreteEnvAdapter(Raising()).table()


@pytest.mark.parametrize("starts", ["abc", [1.0], [[1.0], [1.0, 2.0]], 1j, THING, [0.5, 0.5, 0.5], [np.nan, 1, 0], len])
def test_what_is_no_start_is_named(starts):
    env = Corridor()
    env.initial_state_distrib = starts
    with pytest.raises(ConfigError, match="Corridor: the probabilities of starting") as caught:
        DiscreteEnvAdapter(env).table()
    assert "\n" not in str(caught.value)


def test_entries_of_any_type_that_says_the_same_are_taken():
    env, same = Corridor(), Corridor()
    for moves in env.P.values():
        for outcomes in moves.values():
            p, to, reward, over = outcomes[0]
            outcomes[0] = [np.float32(p), np.int8(to), np.array([reward]), np.bool_(over)]
    env.P[0][0] = ((True, np.uint64(0), fractions.Fraction(-1), 0),)
    found, plain = DiscreteEnvAdapter(env).table(), DiscreteEnvAdapter(same).table()
    assert (found.transitions != plain.transitions).nnz == 0
    for name in ("ends", "rewards", "terminal", "starts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("reward", "Corridor: a reward is nan; rewards must be finite"),
        ("observation", "an observation is 10, which is not in Discrete(3"),
    ],
)
def test_wrong_steps_are_named(fault, sentence):
    world = DiscreteEnvAdapter(Corridor(fault))
    world.reset(0)
    with pytest.raises(WorldError) as caught:
        world.step(1)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["Pendulum-v1", "CartPole-v1"])
def test_continuous_worlds_are_sent_elsewhere(name):
    with pytest.raises(SpaceError, match=r"is not discrete .* as FrozenLake-v1, .* have: use `reverie train` here"):
        DiscreteEnvAdapter(name)
