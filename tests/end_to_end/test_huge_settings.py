"""What would take more memory or time than there is gets one line that says so and what fits, before anything is allocated."""

import re

import pytest

import reverie as rv
from reverie.cli import main
from reverie.loops import budget

TRAIN = ["train", "naf", "Pendulum-v1", "--quiet", "--out", "run"]
DREAM = ["train", "naf", "Pendulum-v1", "--imagine", "linear", "--quiet", "--out", "run"]
NEURAL = ["train", "naf", "Pendulum-v1", "--imagine", "neural", "--quiet", "--out", "run"]
PPO = ["train", "ppo", "Pendulum-v1", "--quiet", "--out", "run"]


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        *((TRAIN, setting) for setting in ("hidden=100000,100000", "hidden=1000000000000", "replay_capacity=1e13")),
        *((TRAIN, setting) for setting in ("updates_per_step=1e9", "updates_per_step=1e12", "batch_size=1e10")),
        *((PPO, setting) for setting in ("rollout=64e9", "epochs=1e12", "worlds=64000000", "hidden=900000,900000")),
        *((DREAM, setting) for setting in ("fictional_capacity=1e13", "rollouts=1e12", "rollout_length=1e9")),
        *((DREAM, setting) for setting in ("minibatches=1e9", "updates_per_step=1e8")),
        *((NEURAL, setting) for setting in ("members=1e9", "model.hidden=400000,400000")),
    ],
)
def test_a_huge_setting_is_refused_with_what_it_takes_and_what_fits(tmp_path, monkeypatch, capsys, words, setting):
    monkeypatch.chdir(tmp_path)
    more = ["--set", "batch_size=64"] if words is PPO and "worlds" in setting else []
    assert main([*words, "--set", setting, *more]) == 2
    line = capsys.readouterr().err.removesuffix("\n")
    name = setting.split("=")[0].removeprefix("model.")
    assert "\n" not in line and line.startswith("reverie: ") and "at most" in line
    assert name in line or (name == "hidden" and "members" in line)
    assert re.search(r"needs [\d.e+]+ [kMGTP]B|takes .* at the least", line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("agent", ["sac", "naf", "ddpg"])
def test_pictures_are_counted_too(monkeypatch, agent):
    monkeypatch.setattr(budget, "available", lambda: 21e9)
    spec = rv.EnvSpec(96 * 96 * 3, [-1.0] * 3, [1.0] * 3, "CarRacing-v3")
    config = {"sac": rv.SAC, "naf": rv.NAF, "ddpg": rv.DDPG}[agent]
    with pytest.raises(
        rv.ConfigError, match=r"replay_capacity=1000000 with 27648 observations needs 221 GB \(replay\); 18.9"
    ):
        budget.require_fits(config(), config().build(spec))
    most = config(replay_capacity=50_000, updates_per_step=1)
    budget.require_fits(most, most.build(spec))


def test_what_is_said_to_fit_does(monkeypatch):
    monkeypatch.setattr(budget, "available", lambda: 8e9)
    spec = rv.EnvSpec(3, [-1.0], [1.0])
    with pytest.raises(rv.ConfigError) as refused:
        budget.require_fits(rv.NAF(replay_capacity=10**12), rv.NAF(replay_capacity=10**12).build(spec))
    fits = int(float(re.search(r"at most replay_capacity=(\S+) fits", str(refused.value))[1]) * 0.99)
    budget.require_fits(rv.NAF(replay_capacity=fits), rv.NAF(replay_capacity=fits).build(spec))


def test_a_group_with_a_limit_has_no_more_than_that(monkeypatch):
    monkeypatch.setattr(budget, "_group", lambda most, now: 5e8)
    assert budget.available() == 5e8
    monkeypatch.setattr(budget, "_group", lambda most, now: None)
    assert 0 < budget.available() < float("inf")


@pytest.mark.parametrize(
    "words",
    [
        ["reproduce", "table1", "--seeds", "99999999999999"],
        ["reproduce", "table1", "--jobs", "99999999999999"],
        ["reproduce", "table1", "--episodes", "1" + "0" * 30],
        ["train", "naf", "Pendulum-v1", "--steps", "1" + "0" * 30],
        ["train", "naf", "Pendulum-v1", "--steps", "1" + "0" * 5000],
        ["train", "naf", "Pendulum-v1", "--seed", "1" + "0" * 30],
        ["train", "naf", "Pendulum-v1", "--evaluate-episodes", "1" + "0" * 18],
        ["train", "naf", "Pendulum-v1", "--evaluate-every", "1" + "0" * 18],
        ["evaluate", "run", "--episodes", "1" + "0" * 18],
        ["evaluate", "run", "--seed", "1" + "0" * 18],
        ["video", "run", "--seconds", "1e9"],
        ["check", "Pendulum-v1", "--steps", "1" + "0" * 12],
        ["plan", "cartpole", "--method", "mpc", "--horizon", "1" + "0" * 12],
        ["plan", "cartpole", "--method", "ilqg", "--iterations", "1" + "0" * 30],
        ["plan", "cartpole", "--method", "pilqr", "--episodes", "1" + "0" * 12],
        ["solve", "FrozenLake-v1", "--method", "q-learning", "--episodes", "1" + "0" * 12],
        ["solve", "FrozenLake-v1", "--method", "dyna-q", "--planning-steps", "1" + "0" * 12],
        ["bench", "act", "--rounds", "1" + "0" * 18],
    ],
)
def test_a_huge_count_is_refused(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    line = capsys.readouterr().err.removesuffix("\n")
    assert "\n" not in line and (
        "too many; give at most" in line or "no number of seconds" in line or "no whole number" in line
    )
