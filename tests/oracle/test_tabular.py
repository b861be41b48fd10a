"""Solvers of tables against exact solves, every policy tried, the book's figures, and each other; learners against them."""

import itertools
import pathlib
from fractions import Fraction
from operator import mul

import numpy as np
import pytest

from reverie.core.status import Status
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.tabular import bellman, policy_iteration
from reverie.tabular.dyna_q import dyna_q
from reverie.tabular.mdp import Outcomes, checked, from_outcomes, random_mdp
from reverie.tabular.policy_iteration import solve, sweep
from reverie.tabular.q_learning import QLearningSettings, q_learning
from reverie.tabular.value_iteration import value_iteration
from studies.catalogue import dyna

CLOSE = {"rtol": 0, "atol": 1e-10}
METHODS = {"value iteration": value_iteration, "policy iteration": policy_iteration.policy_iteration}
EACH = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
ROOT = pathlib.Path(__file__).parents[2]


def dense(mdp, policy, discount):
    """Return V_π by a dense solve, row by row from the table."""
    table = mdp.transitions.toarray()
    rows = [table[a * mdp.states + s] for s, a in enumerate(policy)]
    rewards = [mdp.rewards[s, a] for s, a in enumerate(policy)]
    return np.linalg.solve(np.eye(mdp.states) - discount * np.array(rows), rewards)


def of(rules, states, actions, starts=None):
    """Return the MDP of rules (s, a) -> [(probability, s', reward, terminated), …]."""
    rows = [(s, a, *outcome) for s in range(states) for a in range(actions) for outcome in rules(s, a)]
    s, a, p, successor, reward, terminated = map(np.array, zip(*rows, strict=True))
    outcomes = Outcomes(s, a, p.astype(float), successor, reward.astype(float), terminated.astype(bool))
    return from_outcomes(outcomes, states, actions, np.full(states, 1 / states) if starts is None else starts)


def grid(size, special, step, ends=()):
    """Return a square grid of up, right, down, left: `special` {s: (s', reward)}, else (reward of a step, of a wall)."""

    def rules(s, a):
        if s in special:
            return [(1.0, *special[s], False)]
        row, column = divmod(s, size)
        row, column = row + (-1, 0, 1, 0)[a], column + (0, 1, 0, -1)[a]
        if not (0 <= row < size and 0 <= column < size):
            return [(1.0, s, step[1], False)]
        after = row * size + column
        return [(1.0, after, step[0], after in ends)]

    inside = np.array([s not in ends for s in range(size * size)])
    return of(rules, size * size, 4, inside / inside.sum())


BOOK = grid(5, {1: (21, 10.0), 3: (13, 5.0)}, (0.0, -1.0))  # example 3.5
CORNERS = grid(4, {}, (-1.0, -1.0), ends=(0, 15))  # example 4.1


@EACH
@pytest.mark.parametrize("ending", [0.0, 0.3])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
def test_the_optimum_is_the_best_of_all_policies(method, ending, discount):
    mdp = checked(random_mdp(5, 3, 4, seed=1, ending=ending))
    values = np.array([dense(mdp, policy, discount) for policy in itertools.product(range(3), repeat=5)])
    found = method(mdp, discount)
    np.testing.assert_allclose(found.values, values.max(0), **CLOSE)
    np.testing.assert_allclose(dense(mdp, found.policy, discount), values.max(0), **CLOSE)
    assert found.status == Status.DONE and found.bound <= 1e-10


@EACH
@pytest.mark.parametrize("ending", [0.0, 0.01])
def test_value_and_policy_of_a_larger_table_solve_the_linear_equations(method, ending):
    mdp = random_mdp(300, 4, 5, seed=2, ending=ending)
    found = method(mdp, 0.97)
    V = dense(mdp, found.policy, 0.97)
    np.testing.assert_allclose(found.values, V, **CLOSE)
    Q = mdp.rewards + 0.97 * (mdp.transitions.toarray() @ V).reshape(4, 300).T
    assert (Q.max(1) - V).max() < 1e-10  # no other action is better


@pytest.mark.parametrize("ending", [0.0, 0.05])
@pytest.mark.parametrize("accuracy", [3.0, 0.1, 1e-3])
def test_values_are_as_near_as_the_bound_says(ending, accuracy):
    mdp = random_mdp(60, 3, 2, seed=3, ending=ending)
    exact = policy_iteration.policy_iteration(mdp, 0.95).values
    found = value_iteration(mdp, 0.95, accuracy)
    error = np.abs(found.values - exact).max()
    assert error <= found.bound <= accuracy
    assert error > 1e-12, "stopped as late as if nothing were known"


def rational(mdp, discount):
    """Return V* by policy iteration in fractions: of the very numbers of the table, without rounding."""
    S, table, gamma = mdp.states, mdp.transitions.toarray(), Fraction(discount)
    rows = [[[Fraction(float(p)) for p in table[a * S + s]] for a in range(mdp.actions)] for s in range(S)]
    rewards = [[Fraction(float(r)) for r in row] for row in mdp.rewards]
    policy = [0] * S
    while True:
        M = [[(i == j) - gamma * rows[i][policy[i]][j] for j in range(S)] + [rewards[i][policy[i]]] for i in range(S)]
        for i in range(S):
            M[i] = [x / M[i][i] for x in M[i]]  # of a matrix with a dominant diagonal: no pivot is 0
            for r in range(S):
                if r != i:
                    M[r] = [x - M[r][i] * y for x, y in zip(M[r], M[i], strict=True)]
        V = [row[S] for row in M]
        Q = [[w + gamma * sum(map(mul, row, V)) for w, row in zip(rewards[s], rows[s], strict=True)] for s in range(S)]
        better = [a if Q[s][a] == max(Q[s]) else Q[s].index(max(Q[s])) for s, a in enumerate(policy)]
        if better == policy:
            return np.array(V, float)
        policy = better


@pytest.mark.parametrize("discount", [0.0, 0.9, 0.999999, 1 - 1e-9])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e9])
def test_bounds_hold_with_rounding_errors_and_all(discount, scale):
    generator = np.random.default_rng(0)
    for number in range(6):
        mdp = random_mdp(
            int(generator.integers(1, 5)), 2, 3, seed=number, ending=float(generator.choice([0.0, 1e-9, 0.3]))
        )
        mdp = mdp._replace(rewards=scale * (mdp.rewards - 0.5))
        exact = rational(mdp, discount)
        for found in (
            value_iteration(mdp, discount, iterations=2000),
            policy_iteration.policy_iteration(mdp, discount),
        ):
            assert np.abs(found.values - exact).max() <= found.bound


@EACH
def test_the_books_grid_has_the_books_values(method):
    found = method(BOOK, 0.9)  # figure 3.5
    first_rows = [[22.0, 24.4, 22.0, 19.4, 17.5], [19.8, 22.0, 19.8, 17.8, 16.0]]
    np.testing.assert_allclose(found.values.reshape(5, 5)[:2], first_rows, atol=0.05)
    assert found.policy[[0, 2, 4]].tolist() == [1, 3, 3]


@pytest.mark.parametrize("evaluate", [solve, sweep])
def test_evaluation_of_the_books_random_policies(evaluate):
    uniform = np.full((25, 4), 0.25)
    first_rows = [[3.3, 8.8, 4.4, 5.3, 1.5], [1.5, 3.0, 2.3, 1.9, 0.5]]  # figure 3.2
    np.testing.assert_allclose(evaluate(BOOK, uniform, 0.9).reshape(5, 5)[:2], first_rows, atol=0.05)
    values = [[0, -14, -20, -22], [-14, -18, -20, -20], [-20, -20, -18, -14], [-22, -20, -14, 0]]  # figure 4.1
    np.testing.assert_allclose(evaluate(CORNERS, np.full((16, 4), 0.25), 1.0).reshape(4, 4), values, atol=1e-8)


@pytest.mark.parametrize("evaluate", [solve, sweep])
def test_evaluation_is_the_dense_solve_and_satisfies_the_expectation_equation(evaluate):
    mdp = random_mdp(40, 3, 3, seed=4, ending=0.02)
    policy = np.arange(40) % 3
    V = evaluate(mdp, policy, 0.9)
    np.testing.assert_allclose(V, dense(mdp, policy, 0.9), **CLOSE)
    np.testing.assert_allclose(bellman.expectation(bellman.under(mdp, policy), V, 0.9), V, **CLOSE)
    pi = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    V = evaluate(mdp, pi, 0.9)
    Q = mdp.rewards + 0.9 * (mdp.transitions.toarray() @ V).reshape(3, 40).T
    np.testing.assert_allclose((pi * Q).sum(1), V, **CLOSE)


@EACH
@pytest.mark.parametrize("evaluate", [solve, sweep])
def test_policies_that_never_end_are_left_without_discounting(method, evaluate):
    if method is value_iteration:
        found = method(CORNERS, 1.0)
    else:
        found = method(CORNERS, 1.0, evaluate)
    away = [[0, 1, 2, 3], [1, 2, 3, 2], [2, 3, 2, 1], [3, 2, 1, 0]]  # steps to the nearer corner
    np.testing.assert_array_equal(found.values.reshape(4, 4), -np.array(away))
    up = solve(CORNERS, np.zeros(16, int), 1.0).reshape(4, 4)
    np.testing.assert_array_equal(up[:, 0], [0, -1, -2, -3])
    assert np.isneginf(up[:3, 1:]).all() and np.isneginf(up[3, 1:3]).all() and up[3, 3] == 0


@EACH
@pytest.mark.parametrize(
    ("name", "discount", "start", "within"),
    [
        ("FrozenLake-v1", 0.99, 0.5420, 5e-5),
        ("FrozenLake8x8-v1", 0.99, 0.4146, 5e-5),
        ("Taxi-v4", 1.0, 7.93, 1e-9),
        ("CliffWalking-v1", 1.0, -13.0, 1e-9),
        ("dyna-maze", 0.95, 0.95**13, 1e-12),
    ],
)
def test_solvers_find_the_known_value_of_the_start(method, name, discount, start, within):
    mdp = DiscreteEnvAdapter(name).table()
    found = method(mdp, discount)
    assert mdp.starts @ found.values == pytest.approx(start, abs=within)
    assert found.status == Status.DONE and found.residual <= 1e-10


@pytest.mark.slow
def test_a_million_states():
    mdp = random_mdp(1_000_000, 4, 5, seed=5)
    found = value_iteration(mdp, 0.99, 1e-8)
    assert found.status == Status.DONE and found.bound <= 1e-8 and found.residual <= 2e-8


# ---- learners


class Sampled:
    """A table to draw samples from, with episodes cut after `limit` steps."""

    def __init__(self, mdp, limit=None, seed=0):
        self.mdp, self.limit, self.draw = mdp, limit, np.random.default_rng(seed)
        self.states, self.actions = mdp.states, mdp.actions
        self.rows = [
            (row.indices, row.data) for row in (mdp.transitions[[k]] for k in range(self.states * self.actions))
        ]

    def reset(self, episode):
        self.left, self.s = self.limit, int(self.draw.choice(self.states, p=self.mdp.starts))
        return self.s

    def step(self, action):
        s, row = self.s, self.rows[action * self.states + self.s]
        terminated = bool(self.draw.random() < self.mdp.ends[s, action])
        if not terminated:
            self.s = int(row[0][np.searchsorted(np.cumsum(row[1]) / row[1].sum(), self.draw.random())])
        self.left = None if self.left is None else self.left - 1
        return self.s, float(self.mdp.rewards[s, action]), terminated, self.left == 0


def test_q_learning_converges_where_steps_are_random():
    mdp = random_mdp(4, 2, 3, seed=6, ending=0.1)
    best = value_iteration(mdp, 0.9)
    found = q_learning(
        Sampled(mdp), QLearningSettings(discount=0.9, learning_rate=1, decay=0.7, epsilon=1, episodes=5000)
    )
    np.testing.assert_allclose(found.action_values, best.action_values, atol=0.15)
    assert found.status == Status.DONE
    other = q_learning(
        Sampled(mdp), QLearningSettings(discount=0.5, learning_rate=1, decay=0.7, epsilon=1, episodes=5000)
    )
    assert np.abs(other.action_values - best.action_values).min() > 0.5  # the tolerance tells discounts apart


@pytest.mark.parametrize("planning_steps", [0, 50])
def test_learners_are_exact_where_steps_are_not_random(planning_steps):
    world = DiscreteEnvAdapter("dyna-maze")
    best, mdp = value_iteration(world.table(), 0.95), world.table()
    settings = QLearningSettings(discount=0.95, learning_rate=1, epsilon=1, episodes=4 if planning_steps else 150)
    found = dyna_q(world, settings, planning_steps)
    met = (found.action_values != 0).any(1)
    assert met.sum() == 46  # 54 cells, 7 walls, the goal
    np.testing.assert_allclose(found.action_values[met], best.action_values[met], **CLOSE)
    assert not mdp.terminal[met].any()


def test_an_early_look_at_q_learning_is_not_exact_yet():
    world = DiscreteEnvAdapter("dyna-maze")
    found = q_learning(world, QLearningSettings(discount=0.95, learning_rate=1, epsilon=1, episodes=4))
    error = np.abs(found.action_values.max(1) - value_iteration(world.table(), 0.95).values)
    assert error.max() > 0.1  # so that planning is what made four episodes enough above


def test_q_learning_walks_the_cliff():
    world = DiscreteEnvAdapter("CliffWalking-v1")
    found = q_learning(world, QLearningSettings(discount=1, learning_rate=0.5, episodes=500))
    mdp = world.table()
    assert solve(mdp, bellman.greedy(found.action_values), 1.0)[36] == -13.0
    assert found.action_values[36].max() == pytest.approx(-13.0, abs=0.01)


@pytest.mark.parametrize(
    ("ending", "limit", "value"),
    [(0.0, 5, 10.0), (1.0, None, 1.0)],
    ids=["out of time", "ended"],
)
def test_a_time_out_is_no_end(ending, limit, value):
    one = random_mdp(1, 1, 1, ending=ending)
    one = checked(one._replace(rewards=np.ones((1, 1))))
    found = q_learning(Sampled(one, limit), QLearningSettings(discount=0.9, episodes=1000, learning_rate=0.5))
    assert found.action_values[0, 0] == pytest.approx(value)


# ---- Dyna's figure


def test_without_planning_dyna_q_is_q_learning():
    settings = QLearningSettings(discount=0.95, episodes=20)
    one = q_learning(DiscreteEnvAdapter("dyna-maze"), settings, seed=1)
    two = dyna_q(DiscreteEnvAdapter("dyna-maze"), settings, planning_steps=0, seed=1)
    assert one.lengths.tolist() == two.lengths.tolist() and (one.action_values == two.action_values).all()
    other = q_learning(DiscreteEnvAdapter("dyna-maze"), settings, seed=2)
    assert one.lengths.tolist() != other.lengths.tolist()


def test_the_first_episode_is_a_random_walk_whatever_is_planned():
    mdp = DiscreteEnvAdapter("dyna-maze").table()
    steps = mdp._replace(rewards=np.where(mdp.terminal[:, None], 0.0, np.ones((54, 4))))
    expected = solve(steps, np.full((54, 4), 0.25), 1.0)[18]
    assert expected == pytest.approx(868.7, abs=0.05)
    settings = QLearningSettings(discount=0.95, episodes=1)
    lengths = [
        [int(dyna_q(DiscreteEnvAdapter("dyna-maze"), settings, n, seed).lengths[0]) for seed in range(60)]
        for n in (0, 3)
    ]
    assert lengths[0] == lengths[1]
    assert abs(np.mean(lengths[0]) - expected) < 3 * np.std(lengths[0]) / 60**0.5


def test_the_figures_csv_is_what_its_script_makes():
    lines = (ROOT / "studies" / "data" / "dyna" / "dyna.csv").read_text().splitlines()
    assert lines[0] == ",".join(dyna.COLUMNS) and len(lines) == 1 + 3 * 30 * 50
    for n, run in ((0, 0), (5, 11), (50, 29)):
        rows = [[n, run, *row.values()] for row in dyna.learn(n, run)]
        made = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
        assert made == [line for line in lines if line.startswith(f"{n},{run},")]
    means = {}
    for n in dyna.PLANNING:
        steps = [int(line.split(",")[3]) for line in lines if line.startswith(f"{n},")]
        means[n] = np.reshape(steps, (30, 50)).mean(0)
    # What the book's figure shows: near the optimum after some 25, 5 and 3 episodes.
    assert means[0][29] < 25 and means[0][14] > 50
    assert means[5][6] < 25 and means[5][2] > 40
    assert means[50][2] < 25 and means[50][1] > 30
