"""What solvers of tables are given is right, or refused in one line; what they did not reach they say."""

import decimal
import fractions
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array

from reverie.control import lqr
from reverie.control.ilqg_step import Options
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.status import Status
from reverie.tabular import policy_iteration as module
from reverie.tabular.dyna_q import dyna_q
from reverie.tabular.mdp import MDP, from_outcomes, random_mdp
from reverie.tabular.policy_iteration import policy_iteration, solve, sweep
from reverie.tabular.q_learning import QLearningSettings, q_learning
from reverie.tabular.value_iteration import value_iteration
from reverie.training.callbacks import StopAtReturn

HUGE = 10**400
ONE = {0: {0: [(1.0, 0, 1.0, True)]}}
TABLE = random_mdp(3, 2, 2, ending=0.1)
POLICY = np.zeros(3, int)


class Coin:
    """One state, one action; each episode is one step."""

    states = actions = 1

    def reset(self, episode):
        return 0

    def step(self, action):
        return 0, 1.0, True, False


class Odd(float):
    def __float__(self):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")


def refused(ask, *says):
    with pytest.raises(ConfigError) as error:
        ask()
    text = str(error.value)
    assert "\n" not in text and len(text) < 400 and all(part in text for part in says)


# ---- evaluation by sweeps


def slow():
    stay = {0: [(1 - 1e-6, 0, 1.0, False), (1e-6, 1, 1.0, False)]}
    return from_outcomes({0: stay, 1: {0: [(1 - 1e-6, 1, -1.0, False), (1e-6, 0, -1.0, False)]}}, 2, 1)


def test_evaluations_that_ran_out_of_sweeps_are_not_called_done(monkeypatch):
    monkeypatch.setattr(module, "SWEEPS", 100)
    found = policy_iteration(slow(), 0.9999999, evaluate=sweep)
    assert found.status == Status.MAX_ITERATIONS
    with pytest.warns(
        ReverieWarning, match=r"100 sweeps did not bring the values to an accuracy of 1e-10; use `solve`"
    ):
        sweep(slow(), np.zeros(2, int), 0.9999999)
    monkeypatch.setattr(module, "DIRECT", 1)
    assert policy_iteration(slow(), 0.9999999).status == Status.MAX_ITERATIONS


def test_evaluations_that_end_are_done_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert policy_iteration(TABLE, 0.9, evaluate=sweep).status == Status.DONE
        np.testing.assert_allclose(sweep(TABLE, POLICY, 0.9), solve(TABLE, POLICY, 0.9), atol=1e-9)


@pytest.mark.parametrize("evaluate", [solve, sweep])
def test_a_policy_that_never_ends_is_worth_minus_infinity(evaluate):
    """State 0 stays for ever, 1 may go there, 2 ends."""
    rows = np.array([[1.0, 0, 0], [0.5, 0, 0.5], [0, 0, 0]])
    ends = np.array([[0.0], [0.0], [1.0]])
    mdp = MDP(csr_array(rows), ends, np.full((3, 1), -1.0), np.zeros(3, bool), np.full(3, 1 / 3))
    assert evaluate(mdp, np.zeros(3, int), 1.0).tolist() == [-np.inf, -np.inf, -1.0]


# ---- what is terminal


def test_a_state_that_ends_in_itself_and_goes_on_is_not_terminal():
    coin = from_outcomes({0: {0: [(0.5, 0, 1.0, False), (0.5, 0, 1.0, True)]}}, 1, 1)
    assert not coin.terminal.any() and value_iteration(coin, 1.0).values[0] == pytest.approx(2.0)
    bandit = from_outcomes(ONE, 1, 1)
    assert not bandit.terminal.any() and value_iteration(bandit, 0.9).values[0] == 1.0


@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize("reward", [0.0, -1.0])
def test_what_tables_say_of_states_beyond_the_end_is_of_no_account(over, reward):
    table = {0: {0: [(1.0, 1, -1.0, True)]}, 1: {0: [(1.0, 1, reward, over)]}}
    assert from_outcomes(table, 2, 1).terminal.tolist() == [False, True]


def test_states_marked_as_beyond_the_end_are_terminal_though_nothing_leads_there():
    table = {0: {0: [(1.0, 0, -1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    mdp = from_outcomes(table, 2, 1)
    assert mdp.terminal.tolist() == [False, True] and mdp.starts.tolist() == [1.0, 0.0]
    assert from_outcomes({0: {0: [(1.0, 0, 0.0, True)]}}, 1, 1).starts.tolist() == [1.0]


# ---- arguments


@pytest.mark.parametrize(
    "ask",
    [
        lambda: lqr.infinite(np.eye(1), np.eye(1), np.eye(1), np.eye(1), discount=HUGE),
        lambda: value_iteration(TABLE, 0.9, HUGE),
        lambda: value_iteration(TABLE, HUGE),
        lambda: value_iteration(TABLE, 0.9, iterations=HUGE),
        lambda: Options(tolerance=HUGE),
        lambda: Options(iterations=HUGE),
        lambda: Options(factor=HUGE),
        lambda: Options(divergence=HUGE),
        lambda: StopAtReturn(HUGE),
        lambda: StopAtReturn(1.0, HUGE),
        lambda: from_outcomes(ONE, HUGE, 1),
        lambda: from_outcomes(ONE, 10**18, 1),
        lambda: from_outcomes(ONE, 1, HUGE),
        lambda: random_mdp(HUGE, 1, 1),
        lambda: QLearningSettings(discount=HUGE),
        lambda: QLearningSettings(episodes=HUGE),
        lambda: q_learning(Coin(), QLearningSettings(), HUGE),
    ],
)
def test_numbers_beyond_all_use_are_refused(ask):
    refused(ask)


DISCOUNTED = [
    lambda d: value_iteration(TABLE, d).values,
    lambda d: policy_iteration(TABLE, d).values,
    lambda d: policy_iteration(TABLE, d, evaluate=sweep).values,
    lambda d: solve(TABLE, POLICY, d),
    lambda d: sweep(TABLE, POLICY, d),
    lambda d: q_learning(Coin(), QLearningSettings(discount=d, episodes=2)).action_values,
]


@pytest.mark.parametrize("method", DISCOUNTED)
@pytest.mark.parametrize("discount", [fractions.Fraction(1, 2), np.float32(0.5), np.float64(0.5), np.float16(0.5)])
def test_discounts_of_any_real_type_are_floats(method, discount):
    assert method(discount).tobytes() == method(0.5).tobytes()


@pytest.mark.parametrize("method", DISCOUNTED[:-1])
@pytest.mark.parametrize(
    "discount", [True, np.True_, decimal.Decimal("0.5"), None, "x", pytest.param(Odd(0.5), id="odd"), np.array([0.5])]
)
def test_what_is_no_discount_is_refused(method, discount):
    refused(lambda: method(discount), "discount is")


@pytest.mark.parametrize("table", [None, 5, "x", TABLE._replace(rewards=TABLE.rewards * np.nan)])
@pytest.mark.parametrize("evaluate", [solve, sweep])
def test_evaluations_take_no_other_than_tables(table, evaluate):
    refused(lambda: evaluate(table, POLICY, 0.9))


@pytest.mark.parametrize("accuracy", [None, "x", -1, np.nan, pytest.param(Odd(1.0), id="odd")])
def test_what_is_no_accuracy_is_refused(accuracy):
    refused(lambda: sweep(TABLE, POLICY, 0.9, accuracy=accuracy), "accuracy is")


@pytest.mark.parametrize("evaluate", [5, "x", lambda *_: None, lambda *_: np.zeros(9), lambda *_: [[1], [1, 2]]])
def test_what_evaluates_no_policy_is_refused(evaluate):
    refused(lambda: policy_iteration(TABLE, 0.5, evaluate=evaluate), "evaluate")


@pytest.mark.parametrize("learn", [q_learning, dyna_q])
@pytest.mark.parametrize("seed", [-1, None, "x", 2.5, True, HUGE])
def test_what_is_no_seed_is_refused(learn, seed):
    refused(lambda: learn(Coin(), QLearningSettings(episodes=1), seed=seed), "seed is")


@pytest.mark.parametrize("learn", [q_learning, dyna_q])
def test_learners_take_worlds_and_settings_alone(learn):
    refused(lambda: learn(Coin(), 5), "the settings are 5")
    refused(lambda: learn(Coin(), QLearningSettings), "the settings are")
    refused(lambda: learn(5, QLearningSettings()), "the world is 5")
    refused(lambda: learn(None, QLearningSettings()), "the world is None")
