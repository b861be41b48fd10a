"""`reverie solve`: what it prints, draws and returns, and what wrong input gets."""

import json

import gymnasium as gym
import pytest

from commands import done, one_object, refusal

LAKE = ["solve", "FrozenLake-v1", "--method", "value-iteration"]


def test_value_iteration_prints_iterations_status_and_the_map(tmp_path):
    picture = tmp_path / "lake.png"
    lines = done(*LAKE, "-o", picture).splitlines()
    assert lines[0] == "FrozenLake-v1: 16 states, 4 actions, discount 0.99"
    assert lines[1].split() == ["iteration", "change"] and lines[2].split() == ["1", "0.3333"]
    assert "done (684 iterations, " in "\n".join(lines)
    assert any(line.endswith("value of the start 0.542026") for line in lines)
    assert lines[-9] == " S ←     ↑     ↑     ↑  " and lines[-1] == f"{picture}: the picture"
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("method", ["value-iteration", "policy-iteration"])
@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["FrozenLake-v1"], 0.54203),
        (["FrozenLake-v1", "--set", "map_name=8x8"], 0.41464),
        (["FrozenLake-v1", "--set", "is_slippery=false"], 0.99**5),
        (["Taxi-v4", "--discount", "1"], 7.93),
        (["CliffWalking-v1", "--discount", "1"], -13.0),
        (["dyna-maze", "--discount", "0.95"], 0.95**13),
        (["reverie/DynaMaze-v0", "--discount", "0.95"], 0.95**13),
    ],
)
def test_solve_finds_the_known_value_of_the_start(method, words, start):
    facts = one_object("solve", *words, "--method", method)
    assert facts["start_value"] == pytest.approx(start, abs=1e-5)
    assert facts["status"] == "DONE" and facts["good"] and facts["residual"] <= 1e-10
    assert len(facts["values"]) == len(facts["policy"]) == facts["states"]
    assert len(facts["changes"]) == facts["iterations"] and (facts["bound"] is None) == ("1" in words)


def test_dyna_q_learns_the_maze_and_q_learning_takes_more_steps():
    words = ["solve", "dyna-maze", "--discount", "0.95", "--episodes", "20", "--seed", "3"]
    planned = one_object(*words, "--method", "dyna-q", "--planning-steps", "30")
    plain = one_object(*words, "--method", "q-learning")
    assert planned["planning_steps"] == 30 and plain["planning_steps"] == 0
    assert planned["lengths"][0] == plain["lengths"][0] and len(plain["lengths"]) == len(plain["returns"]) == 20
    assert planned["steps"] == sum(planned["lengths"])
    assert sum(planned["lengths"][1:]) < 0.5 * sum(plain["lengths"][1:])
    assert planned["optimal_start_value"] == pytest.approx(0.95**13)
    assert planned["policy_start_value"] >= 0.95**15 - 1e-12
    assert one_object(*words, "--method", "q-learning")["lengths"] == plain["lengths"]
    lines = done(*words, "--method", "dyna-q").splitlines()
    assert lines[1].split() == ["episode", "steps", "return"] and lines[2].split()[:2] == [
        "1",
        str(plain["lengths"][0]),
    ]
    assert any(line.startswith("value of the start: learnt ") for line in lines)


def test_a_world_without_table_is_learnt_from_samples():
    facts = one_object("solve", "Blackjack-v1", "--method", "q-learning", "--discount", "1", "--episodes", "200")
    assert facts["states"] == 704 and -1 <= facts["recent_return_mean"] <= 1 and "residual" not in facts
    assert "state" in done("solve", "Blackjack-v1", "--method", "dyna-q", "--episodes", "5")


def test_a_policy_that_never_ends_has_no_value_and_json_says_null():
    words = ["solve", "CliffWalking-v1", "--method", "q-learning", "--discount", "1", "--episodes", "1"]
    assert one_object(*words, "--learning-rate", "0.01")["policy_start_value"] is None


def test_few_iterations_are_said_to_be_few():
    facts = one_object(*LAKE, "--iterations", "3")
    assert facts["status"] == "MAX_ITERATIONS" and not facts["good"] and facts["iterations"] == 3


def test_mazes_are_listed():
    assert "dyna-maze" in json.loads(done("list", "--json"))["mazes"]
    line = next(line for line in done("list").splitlines() if "`reverie solve`" in line)
    tables = [name for name, spec in gym.registry.items() if "gymnasium.envs.toy_text" in str(spec.entry_point)]
    assert "the mazes" in line and tables and all(name in line for name in tables)


def test_the_bench_solves_side_by_side(monkeypatch):
    monkeypatch.setattr("reverie.bench.tabular_benchmark.STATES", 500)
    monkeypatch.setattr("reverie.bench.tabular_benchmark.MANY", 2000)
    facts = one_object("bench", "solve", "--rounds", "1")["solve"]
    rows = {row["name"]: row for row in facts["rows"]}
    assert rows.keys() == {"value iteration", "policy iteration"} and rows["value iteration"]["time_over_ours"] == 1
    assert all(row["value_error"] <= 1e-6 and row["policy_loss"] <= 1e-6 for row in rows.values())
    assert facts["million"][0]["status"] == "DONE" and facts["million"][0]["bound"] <= 1e-6
    assert "unknown peer 'mdptoolbx'; did you mean 'mdptoolbox'?" in refusal("bench", "solve", "--against", "mdptoolbx")


class Round(gym.Env):
    """Two states, of which each leads to the other, at a reward; `entry` stands in the table instead of a good outcome."""

    table, reward, entry = True, 1.0, None

    def __init__(self):
        self.observation_space, self.action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(2)
        if self.table:
            self.P = {s: {a: [(1.0, 1 - s, self.reward, False)] for a in range(2)} for s in range(2)}
            if self.entry is not None:
                self.P[1][0] = self.entry

    def reset(self, *, seed=None, options=None):
        self.s, self.left = 0, 20
        return 0, {}

    def step(self, action):
        self.s, self.left = 1 - self.s, self.left - 1
        return self.s, self.reward, False, self.left == 0, {}


METHODS = ["value-iteration", "policy-iteration", "q-learning", "dyna-q"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reward", [1e308, -1e308, 1e299, 10**308])
def test_rewards_of_which_values_cannot_be_represented_are_refused_alike(method, reward, monkeypatch):
    monkeypatch.setattr(Round, "reward", reward)
    for words in (["--json"], []):
        said = refusal("solve", "test_solve:Round", "--method", method, *words)
        assert "rewards reach" in said and "beyond ±1e+300" in said


@pytest.mark.parametrize("method", METHODS[2:])
@pytest.mark.parametrize("reward", [1e308, -1e308])
def test_so_are_those_of_a_world_without_a_table(method, reward, monkeypatch):
    monkeypatch.setattr(Round, "reward", reward)
    monkeypatch.setattr(Round, "table", False)
    said = refusal("solve", "test_solve:Round", "--method", method, "--json")
    assert "the value of action" in said and "in state 0, after a reward of" in said


@pytest.mark.parametrize("method", METHODS)
def test_large_rewards_that_fit_come_to_finite_numbers(method, monkeypatch, tmp_path):
    monkeypatch.setattr(Round, "reward", 1e297)
    facts = one_object("solve", "test_solve:Round", "--method", method, "-o", tmp_path / "values.png")
    assert None not in facts.values() and max(facts["values"]) <= 1e299 * (1 + 1e-9)
    assert "inf" not in done("solve", "test_solve:Round", "--method", method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "entry",
    [[], "abc", [(1.0, 0, 1.0, "False")], [(1.0, 0.5, 1.0, False)], [("1", 0, 1.0, False)], [(1.0, 0, 1j, False)]],
)
def test_bad_tables_get_one_line(method, entry, monkeypatch):
    monkeypatch.setattr(Round, "entry", entry)
    assert "action 0 in state 1" in refusal("solve", "test_solve:Round", "--method", method, "--json")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["FrozenLak-v1", "--method", "value-iteration"],
            "unknown environment 'FrozenLak-v1'; did you mean 'FrozenLake-v1'?",
        ),
        (["dyna-mase", "--method", "dyna-q"], "unknown environment 'dyna-mase'; did you mean 'dyna-maze'?"),
        (["FrozenLake-v1"], "the following arguments are required: --method"),
        (["FrozenLake-v1", "--method", "sarsa"], "argument --method: invalid choice: 'sarsa'"),
        (["FrozenLake-v1", "--method", "q-learning", "--discount", "1.01"], "discount is 1.01; it must lie in [0, 1]"),
        (
            ["FrozenLake-v1", "--method", "value-iteration", "--discount", "1"],
            "discount is 1, but action 3 in state 0 can be repeated for ever and costs nothing (reward 0)",
        ),
        (["Pendulum-v1", "--method", "q-learning"], "Pendulum-v1 is not discrete (observations Box"),
        (["reacher", "--method", "value-iteration"], "use `reverie train` here"),
        (
            ["Blackjack-v1", "--method", "policy-iteration"],
            "Blackjack-v1 has no table of transitions (env.unwrapped.P), which value and policy iteration need",
        ),
        (
            ["FrozenLake-v1", "--method", "q-learning", "--planning-steps", "3"],
            "--planning-steps is for dyna-q; leave it out with q-learning",
        ),
        (
            ["FrozenLake-v1", "--method", "value-iteration", "--episodes", "3"],
            "--episodes is for q-learning and dyna-q; leave it out with value-iteration",
        ),
        (["FrozenLake-v1", "--method", "dyna-q", "--epsilon", "2"], "epsilon is 2.0; it must lie in [0, 1]"),
        (["FrozenLake-v1", "--method", "dyna-q", "--set", "map_nam=8x8"], "did you mean 'map_name'?"),
        (["FrozenLake-v1", "--method", "dyna-q", "-o", "map.pdf"], "map.pdf ends in .pdf; pictures are .png"),
    ],
)
def test_wrong_input_gets_one_line(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in refusal("solve", *words, "--json")
    assert not list(tmp_path.iterdir())
