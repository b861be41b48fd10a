"""What would take more memory or time than there is gets one line that says so and what fits, before anything is allocated."""

import dataclasses
import re

import jax
import pytest

import reverie as rv
from reverie.cli import main
from reverie.training import free_memory, resource_estimates
from reverie.training.trainer import Trainer

TRAIN = ["train", "naf", "Pendulum-v1", "--quiet", "--out", "run"]
DREAM = ["train", "naf", "Pendulum-v1", "--imagine", "linear", "--quiet", "--out", "run"]
NEURAL = ["train", "naf", "Pendulum-v1", "--imagine", "neural", "--quiet", "--out", "run"]
PPO = ["train", "ppo", "Pendulum-v1", "--quiet", "--out", "run"]
XQC = ["train", "xqc", "Pendulum-v1", "--quiet", "--out", "run"]


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        *((TRAIN, setting) for setting in ("hidden=100000,100000", "hidden=1000000000000", "replay_capacity=1e13")),
        *((TRAIN, setting) for setting in ("updates_per_step=1e9", "updates_per_step=1e12", "batch_size=1e10")),
        *((PPO, setting) for setting in ("rollout=64e9", "epochs=1e12", "worlds=64000000", "hidden=900000,900000")),
        *((DREAM, setting) for setting in ("fictional_capacity=1e13", "rollouts=1e12", "rollout_length=1e9")),
        *((DREAM, setting) for setting in ("minibatches=1e9", "updates_per_step=1e8")),
        *((XQC, setting) for setting in ("hidden=100000,100000", "actor_hidden=100000,100000", "actor_hidden=1e12")),
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
    assert re.search(r"needs [\d.e+]+ [kMGTP]B|takes at least .* after", line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("agent", ["sac", "xqc", "naf", "ddpg"])
def test_pictures_are_counted_too(monkeypatch, agent):
    monkeypatch.setattr(free_memory, "available", lambda: 21e9)
    spec = rv.EnvSpec(96 * 96 * 3, [-1.0] * 3, [1.0] * 3, "CarRacing-v3")
    config = {"sac": rv.SAC, "xqc": rv.XQC, "naf": rv.NAF, "ddpg": rv.DDPG}[agent]
    with pytest.raises(
        rv.ConfigError, match=r"replay_capacity=1000000 with 27648 observations needs 221 GB \(replay\); 18.9"
    ):
        resource_estimates.require_fits(config(), config().build(spec))
    most = config(replay_capacity=50_000, updates_per_step=1)
    resource_estimates.require_fits(most, most.build(spec))


def test_what_is_said_to_fit_does(monkeypatch):
    monkeypatch.setattr(free_memory, "available", lambda: 8e9)
    spec = rv.EnvSpec(3, [-1.0], [1.0])
    with pytest.raises(rv.ConfigError) as refused:
        resource_estimates.require_fits(rv.NAF(replay_capacity=10**12), rv.NAF(replay_capacity=10**12).build(spec))
    fits = int(float(re.search(r"at most replay_capacity=(\S+) fits", str(refused.value))[1]) * 0.99)
    resource_estimates.require_fits(rv.NAF(replay_capacity=fits), rv.NAF(replay_capacity=fits).build(spec))


def test_a_group_with_a_limit_has_no_more_than_that(monkeypatch):
    monkeypatch.setattr(free_memory, "_group", lambda most, now: 5e8)
    assert free_memory.available() == 5e8
    monkeypatch.setattr(free_memory, "_group", lambda most, now: None)
    assert 0 < free_memory.available() < float("inf")


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


def refusal(config, spec):
    with pytest.raises(rv.ConfigError) as refused:
        resource_estimates.fitting(config, spec)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def value_in(text):
    setting, value = re.search(r"at most ([\w.]+)=(\S+) fits", text).groups()
    return setting, tuple(int(float(part)) for part in value.split(","))


SPEC = rv.EnvSpec(3, [-1.0], [1.0])
ADVISED = [
    rv.NAF(hidden=(10**5, 10**5)),
    rv.SAC(hidden=(10**7,)),
    rv.XQC(hidden=(10**5, 10**5)),
    rv.NAF(hidden=(64, 10**9, 3)),
    rv.NAF(replay_capacity=10**12),
    rv.NAF(batch_size=10**10),
    rv.Imagination(rv.NAF(), rv.Neural(hidden=(10**6, 10**6))),
    rv.Imagination(rv.NAF(), rv.Neural(members=10**9)),
    rv.Imagination(rv.NAF(), rv.LinearGaussian(), rollouts=10**12),
]


@pytest.mark.parametrize("config", ADVISED, ids=str)
def test_every_value_that_is_advised_fits(config, monkeypatch):
    monkeypatch.setattr(free_memory, "available", lambda: 8e9)
    setting, value = value_in(refusal(config, SPEC))
    value = value if setting.endswith("hidden") else int(0.99 * value[0])
    if setting in ("model.hidden", "members"):
        config = dataclasses.replace(config, model=config.model.replace(**{setting.removeprefix("model."): value}))
    else:
        config = dataclasses.replace(config, **{setting: value})
    resource_estimates.fitting(config, SPEC)


@pytest.mark.parametrize("actions", [10**10, 10**12])
def test_what_no_setting_mends_is_named(actions, monkeypatch):
    monkeypatch.setattr(free_memory, "available", lambda: 8e9)
    text = refusal(rv.DQN(), rv.EnvSpec(2, actions=actions))
    assert "at most" not in text and f"2 observations and {actions} actions are too many" in text
    text = refusal(rv.NAF(replay_capacity=100, batch_size=1, updates_per_step=1), rv.EnvSpec(10**10, [-1.0], [1.0]))
    assert "at most" not in text and "10000000000 observations are too many" in text


@pytest.mark.parametrize("free", [8e9, 2e9, 4e8])
@pytest.mark.parametrize("imagined", [False, True])
def test_a_default_is_lowered_to_what_there_is_room_for(free, imagined, monkeypatch, tmp_path):
    monkeypatch.setattr(free_memory, "available", lambda: free)
    spec = rv.EnvSpec(1000, [-1.0], [1.0], "camera")
    config = rv.NAF(hidden=(8,))
    config = rv.Imagination(config, rv.LinearGaussian(), fictional_capacity=100) if imagined else config
    with pytest.warns(
        rv.ReverieWarning, match=r"camera: replay_capacity is \d+, since the default, 1000000, takes 8.0\d GB"
    ):
        found, agent = resource_estimates.fitting(config, spec)
    assert agent.requirements.batch_size <= agent.requirements.replay_capacity < 0.5 * free / 8000
    assert resource_estimates.fitting(found, spec)[0] == found  # and is what the run is written down with
    with pytest.warns(rv.ReverieWarning), rv.Learner(config, spec=spec, out=tmp_path / "run") as learner:
        kept = getattr(learner.config, "agent", learner.config).replay_capacity
    with rv.Learner.load(tmp_path / "run") as learner:
        assert (
            getattr(learner.config, "agent", learner.config).replay_capacity
            == kept
            == agent.requirements.replay_capacity
        )
    text = refusal(rv.NAF(replay_capacity=2_000_000), spec)
    assert "replay_capacity=2000000" in text and "at most replay_capacity" in text


PICTURES = rv.EnvSpec(96 * 96 * 3, [-1.0] * 3, [1.0] * 3, "camera")


@pytest.mark.parametrize(
    "config", [rv.SAC(), rv.XQC(actor_hidden=(8,)), rv.NAF(), rv.DDPG()], ids=lambda config: config.name
)
@pytest.mark.parametrize("free", [1e9, 3e9])
def test_a_trial_on_pictures_is_not_refused_for_a_replay_that_nobody_asked_for(config, free, monkeypatch):
    monkeypatch.setattr(free_memory, "available", lambda: free)
    small = dataclasses.replace(config, batch_size=16, updates_per_step=1, hidden=(8,))
    with pytest.warns(rv.ReverieWarning, match=r"camera: replay_capacity is \d+, since the default"):
        _, agent = resource_estimates.fitting(small, PICTURES)
    assert 16 <= agent.requirements.replay_capacity < 0.5 * free / (4 * (2 * 27648 + 5))


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (rv.SAC(batch_size=20_000), "batch_size"),
        (rv.SAC(batch_size=20_000, replay_capacity=1000), "batch_size"),
        (rv.NAF(batch_size=5000), "batch_size"),
        (rv.NAF(batch_size=100, updates_per_step=1, replay_capacity=100_000), "replay_capacity"),
        (rv.NAF(updates_per_step=5000, batch_size=10, hidden=(8,)), "updates_per_step"),
        (rv.NAF(updates_per_step=1, batch_size=3000, hidden=(8,), replay_capacity=3000), "batch_size"),
    ],
    ids=str,
)
def test_the_setting_that_is_the_cause_is_named(config, setting, monkeypatch):
    monkeypatch.setattr(free_memory, "available", lambda: 4e9)
    name, value = value_in(refusal(config, PICTURES))
    assert name == setting
    # One that nobody set is lowered all the same.
    changed = dataclasses.replace(config, **{setting: value[0]})
    if changed.replay_capacity == rv.NAF().replay_capacity:
        with pytest.warns(rv.ReverieWarning):
            resource_estimates.fitting(changed, PICTURES)
    else:
        resource_estimates.fitting(changed, PICTURES)


def test_a_value_is_shown_as_it_was_given():
    text = refusal(rv.NAF(replay_capacity=12_345_678_901_234), SPEC)
    assert text.startswith("replay_capacity=12345678901234 with")


MEANINGLESS = {
    "warmup_steps=1e": rv.NAF(warmup_steps=10**15, hidden=(8,)),
    "replay_capacity=10 is less than batch_size=100": rv.NAF(replay_capacity=10, hidden=(8,)),
    "it is never fitted": rv.Imagination(rv.NAF(hidden=(8,)), rv.LinearGaussian(episodes=2 * 10**9)),
    "before the model's first fit": rv.Imagination(rv.NAF(hidden=(8,)), rv.LinearGaussian(episodes=5), until_episode=5),
}


@pytest.mark.parametrize("says", MEANINGLESS)
def test_what_never_comes_to_pass_is_said_in_one_line(says):
    with pytest.warns(rv.ReverieWarning) as told:
        resource_estimates.fitting(MEANINGLESS[says], SPEC)
    (line,) = (str(warning.message) for warning in told)
    assert says in line and "\n" not in line


def test_64_layers_begin_within_seconds():
    """As one program, their first state took minutes; each operation of it is compiled once for all layers of a size."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if name.endswith("backend_compile_duration") else None
    )
    counts = []
    for layers in (8, resource_estimates.LAYERS):
        jax.clear_caches()
        compiled.clear()
        Trainer(rv.NAF(hidden=(4,) * layers).build(SPEC), 0)
        counts.append(len(compiled))
    assert counts[0] == counts[1]
