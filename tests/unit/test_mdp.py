"""Tables: how they are read, refused and bounded; ends of episodes by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from reverie.core.checked_settings import Settings
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.tabular import bellman, termination
from reverie.tabular.dyna_q import dyna_q
from reverie.tabular.mdp import MDP, Outcomes, checked, from_outcomes, random_mdp
from reverie.tabular.policy_iteration import policy_iteration, solve, sweep
from reverie.tabular.q_learning import QLearningSettings, best, q_learning
from reverie.tabular.value_iteration import value_iteration

START = np.array([1.0, 0.0, 0.0])


def outcomes(*rows):
    s, a, p, successor, reward, terminated = map(np.array, zip(*rows, strict=True))
    return Outcomes(s, a, p.astype(float), successor, reward.astype(float), terminated.astype(bool))


# Two actions: walk 0 -> 1 -> 2, where it ends; or try to jump there, half of all times.
WALK = (
    (0, 0, 1.0, 1, -1.0, False),
    (1, 0, 1.0, 2, -1.0, True),
    (0, 1, 0.5, 2, -4.0, True),
    (0, 1, 0.5, 0, -2.0, False),
    (1, 1, 1.0, 1, -1.0, False),
    (2, 0, 1.0, 2, 7.0, True),
    (2, 1, 1.0, 0, 7.0, False),
)


def walk(*rows):
    return from_outcomes(outcomes(*(rows or WALK)), 3, 2, START)


def instead(number, **changes):
    """Return the rules of WALK with one of them changed."""
    names = ("s", "a", "p", "successor", "reward", "terminated")
    row = dict(zip(names, WALK[number], strict=True)) | changes
    return [*WALK[:number], tuple(row.values()), *WALK[number + 1 :]]


def test_outcomes_become_arrays():
    mdp = walk()
    assert (mdp.states, mdp.actions) == (3, 2)
    rows = mdp.transitions.toarray().reshape(2, 3, 3)  # by action
    np.testing.assert_array_equal(rows[0], [[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(rows[1], [[0.5, 0, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(mdp.ends, [[0, 0.5], [1, 0], [1, 1]])
    np.testing.assert_array_equal(mdp.rewards, [[-1, -3], [-1, -1], [0, 0]])
    assert mdp.terminal.tolist() == [False, False, True]
    np.testing.assert_array_equal(bellman.action_values(mdp, np.array([2.0, 4, 0]), 0.5), [[1, -2.5], [-1, 1], [0, 0]])
    np.testing.assert_array_equal(bellman.optimality(mdp, np.array([2.0, 4, 0]), 0.5), [1, 1, 0])
    one = bellman.under(mdp, np.array([1, 0, 0]))
    np.testing.assert_array_equal(bellman.expectation(one, np.array([2.0, 4, 0]), 0.5), [-2.5, -1, 0])


def test_a_state_that_episodes_go_on_from_is_not_terminal():
    assert not walk(*instead(1, terminated=False)).terminal[1]
    both = walk(*instead(3, successor=2))  # state 2 ends an episode, or does not
    assert not both.terminal.any() and both.rewards[2, 0] == 7
    assert not from_outcomes(outcomes(*WALK), 3, 2, np.array([0.5, 0, 0.5])).terminal.any()


def test_an_outcome_told_twice_counts_twice():
    halves = [(0, 0, 0.5, 1, -1.0, False), (0, 0, 0.5, 1, -3.0, False), *WALK[1:]]
    mdp = walk(*halves)
    assert mdp.transitions.toarray()[0].tolist() == [0, 1, 0] and mdp.rewards[0, 0] == -2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (instead(2, p=0.4), "the probabilities of action 1 in state 0 sum to 0.9; they must sum to 1"),
        (WALK[:-3], "the probabilities of action 1 in state 1 sum to 0; they must sum to 1"),
        (instead(2, p=-0.5), "a probability of action 1 in state 0 is -0.5; it must be 0 or more"),
        (instead(0, p=float("nan")), "a probability of action 0 in state 0 is nan; it must be 0 or more"),
        (instead(4, reward=float("inf")), "a reward of action 1 in state 1 is inf; it must be finite"),
        (instead(0, successor=3), "action 0 in state 0 leads to state 3; states are 0 to 2"),
    ],
)
def test_wrong_outcomes_are_named(rows, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        walk(*rows)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"transitions": csr_array((4, 2))},
            r"transitions has shape \(4, 2\); for rewards of \(3, 2\) it must be \(6, 3\)",
        ),
        ({"ends": np.zeros((3, 2))}, "the probabilities of action 0 in state 1 sum to 0; they must sum to 1"),
        ({"ends": np.full((3, 2), -1.0)}, "the probability to end of action 0 in state 0 is -1"),
        (
            {"rewards": np.array([[0, 0], [0, np.nan], [0, 0]])},
            "the reward of action 1 in state 1 is nan; it must be finite",
        ),
        ({"starts": np.array([0.5, 0, 0])}, "the probabilities of starting sum to 0.5"),
    ],
)
def test_wrong_arrays_are_named(changes, sentence):
    mdp = walk()
    assert checked(mdp) is mdp
    with pytest.raises(ConfigError, match=sentence):
        checked(mdp._replace(**changes))


def test_a_negative_probability_is_named_with_its_row():
    mdp = random_mdp(4, 2, 2)
    mdp.transitions.data[11] = -0.25  # row 5: action 1 in state 1
    with pytest.raises(ConfigError, match=r"a probability of action 1 in state 1 is -0\.25; it must be 0 or more"):
        checked(mdp)


def test_random_tables_are_tables():
    mdp = checked(random_mdp(50, 3, 4, seed=7, ending=0.2))
    assert mdp.transitions.shape == (150, 50) and np.diff(mdp.transitions.indptr).tolist() == [4] * 150
    again, other = random_mdp(50, 3, 4, seed=7, ending=0.2), random_mdp(50, 3, 4, seed=8)
    assert (again.transitions != mdp.transitions).nnz == 0 and (other.rewards != mdp.rewards).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (size, value)
            for size in ("states", "actions", "successors")
            for value in (0, -1, 2.0, True, "3", None, np.nan)
        ),
        *(("seed", value) for value in (-1, 0.5, "x", None, np.nan)),
        *(("ending", value) for value in (-0.1, 1.1, 2, -1, np.nan, np.inf, "x", None, 1j)),
        ("states", 10**12),
    ],
)
def test_arguments_of_random_tables_are_looked_at(name, value):
    with pytest.raises(ConfigError, match=f"random_mdp: ({name}|.* entries are too many)"):
        random_mdp(**{"states": 4, "actions": 2, "successors": 2} | {name: value})


@pytest.mark.parametrize("ending", [0, 0.5, 1, np.float32(0.25)])
def test_random_tables_end_as_often_as_is_asked(ending):
    assert (checked(random_mdp(4, 2, 2, ending=ending)).ends == ending).all()


def test_a_dict_as_gymnasium_has_it_is_a_table_too():
    P = {s: {a: [row[2:] for row in WALK if row[:2] == (s, a)] for a in range(2)} for s in range(3)}
    found, other = from_outcomes(P, 3, 2, START), walk()
    assert (found.transitions != other.transitions).nnz == 0
    np.testing.assert_array_equal(found.rewards, other.rewards)
    np.testing.assert_array_equal(found.ends, other.ends)


@pytest.mark.parametrize("field", Outcomes._fields)
@pytest.mark.parametrize(
    "value",
    ["abc", None, 1, [], [[1.0], [1.0, 2.0]], np.zeros((7, 1)), np.zeros(6, int), np.full(7, 1j), [9] * 7, [-1] * 7],
)
def test_outcomes_that_are_none_are_named(field, value):
    if field in ("probability", "reward") and isinstance(value, list) and len(value) == 7:  # as numbers these are good
        value = [np.nan] * 7
    with pytest.raises(ConfigError) as refused:
        from_outcomes(outcomes(*WALK)._replace(**{field: value}), 3, 2, START)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("wrong", [None, "abc", 7, [1, 2], (), (1, 2), {}, np.ones((6, 7))])
def test_what_is_no_outcomes_at_all_is_named(wrong):
    with pytest.raises(ConfigError, match=r"outcomes are|the table of transitions"):
        from_outcomes(wrong, 3, 2)


@pytest.mark.parametrize("sizes", [(0, 2), (3, 0), (3.0, 2), ("3", 2), (3, None), (-3, 2)])
def test_sizes_of_tables_are_whole_numbers(sizes):
    with pytest.raises(ConfigError, match=r"^(states|actions) is .*; give a whole number of at least 1$"):
        from_outcomes(outcomes(*WALK), *sizes)


def test_outcomes_may_be_lists():
    found = from_outcomes(Outcomes(*(column.tolist() for column in outcomes(*WALK))), 3, 2, [1, 0, 0])
    np.testing.assert_array_equal(found.rewards, walk().rewards)


# ---- ends


@pytest.mark.parametrize("discount", [-0.1, 1.1, float("nan")])
def test_discounts_lie_between_0_and_1(discount):
    for ask in (lambda: value_iteration(walk(), discount), lambda: policy_iteration(walk(), discount)):
        with pytest.raises(ConfigError, match=rf"^discount is {discount}; it must lie in \[0, 1\]$"):
            ask()


def test_without_discounting_what_can_be_repeated_for_ever_must_cost():
    mdp = walk()
    assert value_iteration(mdp, 1.0).values.tolist() == [-2, -1, 0]
    assert policy_iteration(mdp, 1.0).values.tolist() == [-2, -1, 0]
    free = walk(*instead(4, reward=0.0))  # waiting in state 1
    with pytest.raises(
        ConfigError, match=r"action 1 in state 1 can be repeated for ever and costs nothing \(reward 0\)"
    ):
        value_iteration(free, 1.0)
    pays = walk(*instead(4, reward=2.0))
    with pytest.raises(
        ConfigError, match=r"action 1 in state 1 can be repeated .* \(reward 2\); give a discount below 1"
    ):
        policy_iteration(pays, 1.0)
    assert value_iteration(free, 0.9).status == Status.DONE
    paid_once = walk(*instead(0, reward=9.0))  # state 0 is left for good: that may pay
    assert value_iteration(paid_once, 1.0).values.tolist() == [8, -1, 0]


def test_without_discounting_every_state_must_have_a_way_out():
    stuck = walk(*instead(1, successor=1, terminated=False))
    with pytest.raises(
        ConfigError, match="discount is 1, but no episode can end from state 1; give a discount below 1"
    ):
        value_iteration(stuck, 1.0)


def test_ways_to_an_end_and_ways_without():
    assert termination.toward_an_end(walk()).tolist() in ([0, 0, -1], [1, 0, -1])
    pairs = np.ones((3, 2), bool)
    assert termination.endless(walk(), pairs).tolist() == [[False, False], [False, True], [False, False]]
    # 0 -> 1 -> 0 for ever by action 0; action 1 leaves both for 2, and 2 for good.
    rounds = [(s, a, 1.0, to, 0.0, end) for s, a, to, end in ((0, 0, 1, 0), (1, 0, 0, 0), (0, 1, 2, 0), (1, 1, 2, 0))]
    rounds += [(2, 0, 1.0, 0, 0.0, 1), (2, 1, 1.0, 1, 0.0, 1)]
    mdp = walk(*rounds)
    assert termination.endless(mdp, pairs).tolist() == [[True, False], [True, False], [False, False]]
    seldom = walk(*rounds, (0, 0, 0.0, 2, 0.0, False))  # a way of probability 0 is none
    assert termination.endless(seldom, pairs).tolist() == [[True, False], [True, False], [False, False]]
    pairs[0, 0] = False
    assert not termination.endless(mdp, pairs).any()
    assert termination.toward_an_end(mdp)[:2].tolist() == [1, 1]


def test_a_policy_that_may_be_caught_has_no_value_where_it_may():
    mixed = np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])  # jump at once, or walk to state 1 and wait there for ever
    assert solve(walk(), mixed, 1.0).tolist() == [-np.inf, -np.inf, 0]
    assert solve(walk(), np.array([1, 0, 0]), 1.0).tolist() == [-6, -1, 0]


# ---- how solvers end


def test_too_few_iterations_end_with_that_status():
    assert value_iteration(random_mdp(20, 2, 3), 0.99, iterations=3).status == Status.MAX_ITERATIONS
    assert policy_iteration(random_mdp(20, 2, 3), 0.99, iterations=1).status == Status.MAX_ITERATIONS


def test_where_float64_cannot_tell_more_sweeps_stop_and_say_how_near():
    wide = random_mdp(20, 2, 3)
    wide = wide._replace(rewards=1e10 * wide.rewards)
    found = value_iteration(wide, 0.999)
    assert found.status == Status.DONE and found.iterations < 500  # changes fade after 27,000
    assert 1e-10 < found.bound < 1e-10 * found.values.max()
    np.testing.assert_allclose(found.values, policy_iteration(wide, 0.999).values, rtol=1e-11)


def test_iterations_and_changes_are_told():
    found = value_iteration(walk(), 0.5)
    assert found.changes.tolist() == [1.0, 0.5, 0.0] and found.iterations == 3
    assert found.values.tolist() == [-1.5, -1, 0] and found.policy.tolist() == [0, 0, 0] and found.residual == 0


def test_ties_fall_to_the_first_action():
    tied = random_mdp(3, 2, 2)
    Q = np.array([[1.0, 1.0 + 1e-14], [1.0, 1.1], [0.0, 0.0]])
    assert bellman.greedy(Q).tolist() == [0, 1, 0] and isinstance(tied, MDP)


def test_learners_break_ties_at_random():
    draws = np.random.default_rng(0)
    chosen = [best([0.0, 2.0, 2.0], draws.random) for _ in range(200)]
    assert set(chosen) == {1, 2} and 60 < chosen.count(1) < 140
    assert best([0.0, 3.0, 2.0], draws.random) == 1


# ---- settings of learners


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"discount": 1.5}, r"discount is 1\.5; it must lie in \[0, 1\]"),
        ({"learning_rate": 0}, r"learning_rate is 0\.0; it must lie in \(0, 1\]"),
        ({"epsilon": -0.1}, r"epsilon is -0\.1; it must lie in \[0, 1\]"),
        ({"decay": 2}, r"decay is 2\.0; it must lie in \[0, 1\]"),
        ({"episodes": 0}, "episodes is 0; it must be at least 1"),
        ({"epsilon": "much"}, "epsilon is 'much'; it must be a finite number"),
    ],
)
def test_settings_check_themselves(changes, sentence):
    assert issubclass(QLearningSettings, Settings)
    with pytest.raises(ConfigError, match=sentence):
        QLearningSettings(**changes)


class Scripted:
    """One state, one action: gives `rewards` in turn and then the last of them; ends at each step, or never."""

    states = actions = 1

    def __init__(self, *rewards, ends=False):
        self.rewards, self.ends = rewards or (1.0,), ends

    def reset(self, episode):
        self.left = [*self.rewards]
        return 0

    def step(self, action):
        return 0, self.left.pop(0) if len(self.left) > 1 else self.left[0], self.ends, False


def test_an_episode_without_end_is_cut_and_said_so():
    found = q_learning(Scripted(), QLearningSettings(episodes=2, episode_steps=7))
    assert found.lengths.tolist() == [7, 7] and found.returns.tolist() == [7, 7]
    assert found.status == Status.MAX_ITERATIONS


def test_rewards_and_values_beyond_what_float64_can_calculate_with_are_refused_alike():
    for size, discount in ((4e307, 0.99), (1e299, 0.99), (4e307, 0.0), (1e301, 1.0), (1e290, 1 - 1e-12)):
        mdp = walk()
        mdp = mdp._replace(rewards=mdp.rewards * size)
        for ask in (
            lambda: value_iteration(mdp, discount),  # noqa: B023
            lambda: policy_iteration(mdp, discount),  # noqa: B023
            lambda: solve(mdp, np.array([0, 0, 0]), discount),  # noqa: B023
            lambda: sweep(mdp, np.array([0, 0, 0]), discount),  # noqa: B023
        ):
            with pytest.raises(ConfigError, match=r"rewards reach .* beyond ±1e\+300, .*; scale the rewards"):
                ask()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("method", [value_iteration, policy_iteration])
def test_large_values_that_can_be_represented_come_out_right(method, sign):
    mdp = walk()
    found = method(mdp._replace(rewards=sign * 1e290 * mdp.rewards), 0.5)
    np.testing.assert_allclose(found.values, 1e290 * method(mdp._replace(rewards=sign * mdp.rewards), 0.5).values)
    assert found.status == Status.DONE and np.isfinite([found.bound, found.residual, *found.changes]).all()


@pytest.mark.parametrize("method", [value_iteration, policy_iteration])
def test_without_discounting_values_are_refused_once_they_are_too_large(method):
    chain = MDP(csr_array([[1.0 - 1e-3]]), np.array([[1e-3]]), np.array([[-1e299]]), np.zeros(1, bool), np.ones(1))
    with pytest.raises(ConfigError, match=r"values go beyond ±1e\+300, .*; scale the rewards"):
        method(chain, 1.0)


@pytest.mark.parametrize("learn", [q_learning, dyna_q])
@pytest.mark.parametrize(
    ("rewards", "changes", "says"),
    [
        ((1e308,), {}, "the value of action 0 in state 0, after a reward of 1e\\+308, goes beyond"),
        ((-1e299,), {"discount": 0.999, "learning_rate": 1}, "the value of action 0 in state 0"),
        ((1e299,), {"discount": 1, "learning_rate": 1}, "the value of action 0 in state 0"),
        ((float("nan"),), {}, "the value of action 0 in state 0, after a reward of nan"),
        ((1e299,), {"discount": 0, "episode_steps": 100}, "the return of episode 1 goes beyond"),
    ],
)
def test_learners_refuse_values_and_returns_that_go_too_far(learn, rewards, changes, says):
    with pytest.raises(ConfigError, match=says):
        learn(Scripted(*rewards), QLearningSettings(**{"episodes": 9, "episode_steps": 99} | changes))


def test_alpha_falls_with_the_updates_of_a_pair():
    settings = QLearningSettings(discount=0, learning_rate=0.5, decay=1, episodes=1, episode_steps=3)
    found = q_learning(Scripted(), settings)
    assert found.action_values[0, 0] == 1 - (1 - 0.5) * (1 - 0.25) * (1 - 0.5 / 3)


def test_planning_repeats_what_was_taken():
    settings = QLearningSettings(discount=0, learning_rate=0.5, episodes=1, episode_steps=1)
    assert dyna_q(Scripted(), settings, planning_steps=3).action_values[0, 0] == 1 - 0.5**4
    with pytest.raises(ConfigError, match="planning_steps is -1; give a whole number of at least 0"):
        dyna_q(Scripted(), settings, planning_steps=-1)


def test_planning_goes_by_the_last_outcome_and_knows_ends():
    settings = QLearningSettings(discount=0, learning_rate=1, episodes=1, episode_steps=2)
    assert dyna_q(Scripted(1.0, 3.0), settings, planning_steps=1).action_values[0, 0] == 3
    settings = QLearningSettings(discount=0.9, learning_rate=1, episodes=1)
    assert dyna_q(Scripted(ends=True), settings, planning_steps=50).action_values[0, 0] == 1


@pytest.mark.parametrize("method", [value_iteration, policy_iteration, lambda mdp, discount: checked(mdp)])
@pytest.mark.parametrize(
    "change",
    [
        lambda mdp: mdp._replace(transitions=2 * mdp.transitions),
        lambda mdp: mdp._replace(transitions=-mdp.transitions),
        lambda mdp: mdp._replace(transitions="x"),
        lambda mdp: mdp._replace(rewards=mdp.rewards * np.nan),
        lambda mdp: mdp._replace(rewards=mdp.rewards + 1j),
        lambda mdp: mdp._replace(rewards=mdp.rewards.astype(str)),
        lambda mdp: mdp._replace(rewards=[[1.0], [1.0, 2.0]]),
        lambda mdp: mdp._replace(rewards=mdp.rewards[0]),
        lambda mdp: mdp._replace(ends=mdp.ends[:1]),
        lambda mdp: mdp._replace(starts=None),
        lambda mdp: mdp._replace(starts=mdp.starts * np.nan),
        lambda mdp: mdp._replace(terminal=~mdp.terminal),  # states that go on
        lambda mdp: "x",
        lambda mdp: None,
    ],
)
def test_no_solver_takes_what_is_no_table(method, change):
    with pytest.raises(ConfigError) as refused:
        method(change(random_mdp(3, 2, 2)), 0.9)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("whole", [lambda m: m.toarray(), lambda m: m.tocoo(), lambda m: m.tocsc()])
def test_matrices_of_any_kind_will_do(whole):
    mdp = random_mdp(3, 2, 2)
    found, other = (policy_iteration(t, 0.9) for t in (mdp, mdp._replace(transitions=whole(mdp.transitions))))
    np.testing.assert_allclose(found.values, other.values, rtol=1e-12)


@pytest.mark.parametrize(
    "policy",
    [
        np.zeros(4, int),
        np.full(3, 2),
        np.full(3, -1),
        np.zeros(3),
        np.full((3, 2), 0.7),
        np.full((3, 2), np.nan),
        "x",
        None,
    ],
)
def test_what_is_no_policy_has_no_values(policy):
    with pytest.raises(ConfigError, match="the policy is"):
        solve(random_mdp(3, 2, 2), policy, 0.9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("discount", wrong) for wrong in (np.nan, "x", None, 1j, -1, 2)),
        *(("accuracy", wrong) for wrong in (np.nan, -1.0, "x", None)),
        *(("iterations", wrong) for wrong in (-1, 2.5, "x", None)),
    ],
)
def test_settings_of_value_iteration_are_looked_at(name, value):
    with pytest.raises(ConfigError, match=name):
        value_iteration(random_mdp(3, 2, 2), **{"discount": 0.9} | {name: value})


@pytest.mark.parametrize("discount", [1 - 1e-12, 1 - 1e-15, 1 - 2**-53])
def test_rounding_errors_are_not_made_larger_where_hardly_anything_is_discounted(discount):
    table = outcomes(*((s, 0, 1 / 3, t, float(t == 2), t == 2) for s in (0, 1) for t in range(3)))
    found = value_iteration(from_outcomes(table, 3, 1), discount)
    assert found.status == Status.DONE
    np.testing.assert_allclose(found.values, [1.0, 1.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("ending", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("reward", [-1.0, -1e-8, -1e-12])
def test_values_that_still_move_are_not_called_done(ending, reward):
    """Without discounting a small change may be one of very many."""
    chain = MDP(csr_array([[1.0 - ending]]), np.array([[ending]]), np.array([[reward]]), np.zeros(1, bool), np.ones(1))
    found = value_iteration(chain, 1.0)
    assert (
        found.status == Status.MAX_ITERATIONS
        or abs(found.values[0] - reward / ending) < 2e-10 - 1e-11 * found.values[0]
    )
