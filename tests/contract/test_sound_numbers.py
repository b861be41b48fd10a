"""No number that is not finite acts, is learnt from or is kept; what goes wrong while learning is counted and said."""

import os
import pathlib
from typing import Any

import gymnasium as gym
import jax
import numpy as np
import optax
import pytest

import reverie as rv
from cases import CASES, those
from reverie.core.env_spec import EnvSpec
from reverie.data.outliers import Outliers
from reverie.data.replay import Replay
from reverie.planning import planners
from reverie.storage import checkpoint
from reverie.storage.tables import read_rows
from reverie.training import recorded_trainer
from reverie.training.advice import against_divergence
from reverie.training.finite_checks import within
from reverie.training.health import PATIENCE, Health, Symptoms, still_shares
from reverie.training.saved_policy import SavedPolicy
from worlds import Line, Switched

every_algorithm = pytest.mark.parametrize("name", CASES)
every_one_in_one_world = pytest.mark.parametrize("name", those(worlds=1))


@pytest.fixture(autouse=True)
def frequent_metrics(monkeypatch):
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)


class Spikes(gym.Env):
    """A world whose sensor or reward says `value` at some of its steps."""

    def __init__(self, at, value, of="observation"):
        super().__init__()
        self.at, self.value, self.of, self.count = at, value, of, 0

    def step(self, action) -> Any:
        observation, reward, *ends = super().step(action)
        self.count += 1
        if self.count in self.at:
            if self.of == "observation":
                observation[0] = self.value
            else:
                reward = self.value
        return observation, reward, *ends


class Spiking(Spikes, Line):
    pass


class SpikingSwitch(Spikes, Switched):
    pass


def spiking(name, *args):
    return (SpikingSwitch if CASES[name].spec.actions else Spiking)(*args)


def learner(name, out=None, env=None, **changes):
    return rv.Learner(CASES[name].make(**changes), CASES[name].line if env is None else env, out=out)


def poison(learner, value=np.nan):
    """Put a number into the middle of everything that is learnt."""
    trainer = learner.trainer
    _ = trainer.policy
    trainer.state = jax.tree.map(
        lambda leaf: leaf.at[(0,) * leaf.ndim].set(value) if np.issubdtype(leaf.dtype, np.floating) else leaf,
        trainer.state,
    )
    trainer.policy = jax.tree.map(np.asarray, trainer.agent.policy(trainer.state))


# ---- one bad number


@every_one_in_one_world
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("of", ["observation", "reward"])
def test_one_absurd_number_stops_no_weight(name, normalised, of):
    """As many weights move behind it as where it never was."""
    moved = []
    for value in (0.0, 1e16 if of == "reward" else 1e12):
        with learner(name, env=spiking(name, (20, 33), value, of), observation_normalisation=normalised) as one:
            one.learn(36)
            trainer = one.trainer
            before = [np.array(leaf) for leaf in jax.tree.leaves(trainer.policy)]
            one.learn(24)
            after = jax.tree.leaves(trainer.policy)
            pairs = zip(before, after, strict=True)
            moved.append(np.mean(np.concatenate([np.ravel(a != np.asarray(b)) for a, b in pairs])))
            assert within(trainer.state)
    assert moved[1] > 0.8 * moved[0]


def test_what_was_set_aside_is_said_and_a_resumed_run_sets_the_same_aside(tmp_path):
    for steps, out in ((12, "parts"), (24, "whole")):
        with learner("naf", tmp_path / out, Spiking((9, 15), 1e12)) as one:
            one.learn(steps)
    env = Spiking((3,), 1e12)
    with rv.Learner.load(tmp_path / "parts", env=env) as one:
        one.learn(12)
        parts = one.trainer
        assert parts.outliers.pairs == [(8, 7), (9, 8), (14, 13), (15, 14)]
    assert (tmp_path / "parts" / "events.csv").read_text() == (tmp_path / "whole" / "events.csv").read_text()
    assert (tmp_path / "parts" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    (first, *_) = read_rows(tmp_path / "whole" / "events.csv")
    assert (first["kind"], first["step"]) == ("outlier", "9")
    assert "the observation at index 0 reached 1e+12, far beyond all others" in first["text"]


def test_what_is_often_large_is_no_outlier():
    replay = Replay(100, 6)
    outliers = Outliers(replay, 2, 0)
    for i in range(100):
        row = np.array([0, 1e9 * (i > 20), 0, 1, 0, 1e9 * (i > 20)], np.float32)
        replay.add(row)
        if outliers.is_large(row):
            outliers.set_aside()
    assert len(outliers.pairs) <= 11 and replay.rows[60:, 1].min() == np.float32(1e9)


# ---- updates that go wrong


def broken(trainer, calls, value=np.inf):
    """Have some calls of the update leave a number in the state."""
    update, done = trainer._update, []

    def then(state, rows, number):
        state, flat = update(state, rows, number)
        done.append(1)
        return (state, flat.at[-1].set(value)) if len(done) in calls else (state, flat)

    trainer._update = then


@every_algorithm
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_that_went_wrong_is_undone_and_counted(name, value, tmp_path):
    with learner(name, tmp_path) as one:
        trainer = one.trainer
        broken(trainer, (2, 3), value)
        while trainer.updates < 5:
            one.learn(5)
        assert within(trainer.state) and trainer.health.skipped == 2 and np.isfinite((one.newest_metrics or {})["loss"])
    assert read_rows(tmp_path / "metrics.csv")[-1]["skipped"] == "2"
    (event,) = read_rows(tmp_path / "events.csv")
    assert event["kind"] == "skipped" and "was undone: a weight of the policy is not finite" in event["text"]


@every_algorithm
def test_three_in_a_row_end_learning_with_the_last_good_state_kept(name, tmp_path):
    with learner(name, tmp_path) as one:
        one.learn(24).save()
        broken(one.trainer, range(1, 9))
        with pytest.raises(rv.DivergedError, match=r"learning diverged: a weight of the policy .* lower learning_rate"):
            one.learn(60)
        for act in (lambda: one.predict([0.0, 0.0]), lambda: one.predict([0.0, 0.0], explore=True), one.save):
            with pytest.raises(rv.DivergedError):
                act()
    kinds = [row["kind"] for row in read_rows(tmp_path / "events.csv")]
    # values of this world lie beyond the atoms of XQC, which has nothing to do with what is broken
    assert [kind for kind in kinds if kind != "target beyond"] == ["skipped", "diverged"]
    assert SavedPolicy(tmp_path).step == 24


@every_one_in_one_world
@pytest.mark.parametrize("rate", [1e30, 1e10, 30.0])
def test_a_learning_rate_beyond_reason_leaves_no_checkpoint_that_cannot_act(name, rate, tmp_path):
    with learner(name, tmp_path, learning_rate=rate) as one:
        try:
            one.learn(24)
        except rv.DivergedError as error:
            assert "\n" not in str(error)
    for file in (tmp_path / "checkpoint").iterdir():
        arrays, _ = checkpoint.read(file)
        assert within(arrays)
    try:
        assert np.isfinite(SavedPolicy(tmp_path).greedy(np.zeros((4, 2), np.float32))).all()
    except rv.ReverieError as error:
        assert "does not exist yet" in str(error) or "not finite" in str(error)


@pytest.mark.parametrize(
    ("normalised", "says"), [(True, "are normalised already"), (False, "observation_normalisation=true")]
)
@pytest.mark.parametrize("scale", [1.0, 7.0])  # which is not the cause here
def test_advice_fits_the_settings(normalised, says, scale):
    settings = {"observation_normalisation": normalised, "reward_scale": scale, "learning_rate": 0.02}
    told = []
    for spoil in (poison, lambda one: broken(one.trainer, range(1, 9))):
        with learner("naf", env=Spiking(range(0, 99, 3), 1e5), **settings) as one:
            one.learn(24)
            spoil(one)
            with pytest.raises(rv.DivergedError) as caught:
                one.save() if spoil is poison else one.learn(60)
            told.append(str(caught.value))
    for error in told:
        assert "lower learning_rate (it is 0.02)" in error and says in error and "\n" not in error
        assert ("observation_normalisation=true" in error) != normalised and "observations reach 1e+05" in error
        assert "reward_scale" not in error and error.index("observations reach") < error.index("lower learning_rate")


LIKELY = [  # (rewards, observations), words in this order, words that have no place
    ((1e12, 1.0), ("rewards reach 1e+12", ", or lower learning_rate"), "observation"),
    ((1.0, 1e15), ("observations reach 1e+15", ", or lower learning_rate"), "reward"),
    ((1e12, 1e15), ("observations reach", "rewards reach", ", or lower learning_rate"), "check the sensor"),
    ((1e15, 1e12), ("rewards reach", "observations reach", ", or lower learning_rate"), "check the sensor"),
    ((16.0, 8.0), ("lower learning_rate", "rewards reach 16"), "observation"),
    ((1.0, 20.0), ("lower learning_rate", "observations reach 20"), "reward"),
    ((1.0, 1.0), ("lower learning_rate", "or set observation_normalisation=true"), "reward"),
]


@pytest.mark.parametrize(("seen", "says", "never"), LIKELY)
def test_the_likeliest_cause_of_divergence_is_named_first(seen, says, never):
    requirements = rv.NAF(learning_rate=0.02, observation_normalisation=False).requirements
    text = against_divergence(requirements, *seen)
    places = [text.index(part) for part in says]
    assert places == sorted(places) and never not in text


def test_a_scale_of_rewards_that_was_set_is_named_where_nothing_else_is_large():
    assert "lower reward_scale (it is 7)" in against_divergence(rv.NAF(reward_scale=7.0).requirements)


@pytest.mark.parametrize("normalised", [True, False])
def test_advice_where_an_action_is_not_finite_fits_too(normalised, tmp_path):
    with learner("naf", tmp_path, observation_normalisation=normalised) as one:
        one.learn(12)
        policy = one.trainer.policy
        one.trainer.policy = jax.tree.map(lambda part: part + np.nan, policy)
        with pytest.raises(rv.DivergedError) as caught:
            one.predict([0.0, 0.0])
    assert ("observation_normalisation=true" in str(caught.value)) != normalised
    agent = one.config.build(one.spec)._replace(
        requirements=one.config.requirements._replace(observation_normalisation=None)
    )
    assert "observation_normalisation" not in against_divergence(agent.requirements)


# ---- what metrics.csv holds

DREAMING = {
    "off": None,
    "linear": rv.LinearGaussian(episodes=2),
    "neural": rv.Neural(episodes=2, updates=25, hidden=(4,)),
}
PLANNING = [
    (name, model, "off")
    for name in CASES
    for model in DREAMING
    if model == "off" or not CASES[name].make().requirements.rollout
]
PLANNING += [("naf", "linear", "ilqg"), ("sac", "linear", "ilqg")]


def undermine(trainer, value):
    """Have everything that a row of metrics is made of be no number."""
    diagnose = trainer._diagnose
    trainer._diagnose = lambda state, rows: {name: value for name in diagnose(state, rows)}
    trainer._sums = trainer._sums + value
    if trainer.source is not None:
        trainer.source.replay.report = dict.fromkeys(trainer.source.replay.report, value)
        if trainer.source.planner is not None:
            trainer.source.planner.kl = trainer.source.planner.predicted = value


@pytest.mark.parametrize(("name", "model", "plan"), PLANNING)
def test_no_row_of_metrics_holds_what_is_not_finite(name, model, plan, tmp_path):
    config = CASES[name].make()
    if model != "off":
        config = rv.Imagination(config, DREAMING[model], rollout_length=2, rollouts=4, plan=plan)
    with rv.Learner(config, CASES[name].line, out=tmp_path) as one:
        one.learn(23)
        trainer, told = one.trainer, one._session.records
        before = trainer._sums.copy(), trainer._diagnose
        for value in (np.nan, np.inf, -np.inf):
            undermine(trainer, value)
            trainer._count = 1
            row = trainer.metrics()
            assert np.isfinite(list(row.values())).all() and row["step"] == 23
            told.write_metrics(row)
            trainer._sums, trainer._diagnose = before
    text = (tmp_path / "metrics.csv").read_text().partition("\n")[2]
    assert text.count("\n") >= 3 and "nan" not in text and "inf" not in text


def test_a_plan_that_promises_no_number_is_a_failed_one(monkeypatch):
    config = rv.Imagination(
        CASES["naf"].make(), rv.LinearGaussian(episodes=2), rollout_length=2, rollouts=4, plan="ilqg"
    )
    step = planners.one_step
    monkeypatch.setattr(planners, "one_step", lambda *a, **k: step(*a, **k)._replace(expected_new=np.inf))
    with rv.Learner(config, "worlds:Line") as one:
        one.learn(40)
        plans = one.trainer.source.planner
        assert plans.failures and not plans.ready and np.isfinite(plans.predicted)


# ---- what is kept


@every_algorithm
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_never_written(name, value, tmp_path):
    with learner(name, tmp_path) as one:
        one.learn(24).save()
        files = {file.name: file.read_bytes() for file in (tmp_path / "checkpoint").iterdir()}
        poison(one, value)
        for save in (one.save, one.save_best):
            with pytest.raises(rv.DivergedError, match="was not saved, the last good checkpoint is kept"):
                save()
        assert {file.name: file.read_bytes() for file in (tmp_path / "checkpoint").iterdir()} == files


def tampered(file, value):
    """Write a checkpoint anew, whole, with a number in each of its arrays."""
    arrays, facts = checkpoint.read(file)
    arrays = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():
        if array.size and np.issubdtype(array.dtype, np.floating):
            array.flat[0] = value
    checkpoint.save(file, arrays, facts)


@every_algorithm
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_checkpoint_that_is_not_finite_is_named_and_never_acts(name, value, tmp_path):
    with learner(name, tmp_path) as one:
        one.learn(24)
    latest = tmp_path / "checkpoint" / "latest.safetensors"
    (tmp_path / "checkpoint" / "previous.safetensors").unlink(missing_ok=True)
    tampered(latest, value)
    for read in (SavedPolicy, rv.Learner.load):
        with pytest.raises(
            rv.StorageError, match="holds a number that is not finite; delete it to continue from the journal"
        ):
            read(tmp_path)


@every_one_in_one_world
@pytest.mark.parametrize("damage", ["cut", "turned", "gone"])
def test_the_previous_checkpoint_and_the_journal_give_what_the_latest_would(name, damage, tmp_path):
    for out in ("whole", "parts"):
        with learner(name, tmp_path / out) as one:
            one.learn(12).learn(12)
    latest = tmp_path / "parts" / "checkpoint" / "latest.safetensors"
    if damage == "cut":
        latest.write_bytes(latest.read_bytes()[:-7])
    elif damage == "turned":
        data = bytearray(latest.read_bytes())
        data[-9] ^= 1
        latest.write_bytes(data)
    else:
        latest.unlink()
    if damage == "gone":
        assert SavedPolicy(tmp_path / "parts").step == 12
        parts = rv.Learner.load(tmp_path / "parts")
    else:
        with pytest.warns(rv.ReverieWarning, match=r"latest.safetensors .*continued from previous.safetensors"):
            parts = rv.Learner.load(tmp_path / "parts")
    with parts, rv.Learner.load(tmp_path / "whole") as whole:
        for one, other in zip(*(jax.tree.leaves(part.trainer.state) for part in (parts, whole)), strict=True):
            np.testing.assert_array_equal(one, other)
        parts.save()
        assert checkpoint.read(tmp_path / "parts" / "checkpoint" / "previous.safetensors")[1]["steps"] in (12, 24)


@pytest.mark.parametrize("moment", [1, 2])
@pytest.mark.parametrize("go_back", [False, True])
def test_a_crash_between_renames_leaves_one_that_is_whole(moment, go_back, tmp_path, monkeypatch):
    with learner("naf", tmp_path / "whole") as whole:
        whole.learn(24)
        state = jax.tree.leaves(whole.trainer.state)
    out, renames, replace = tmp_path / "run", [], os.replace

    def crash(old, new):
        if pathlib.Path(old).name in ("latest.safetensors", "next.safetensors"):
            renames.append(old)
            if len(renames) == moment:
                raise KeyboardInterrupt
        replace(old, new)

    with learner("naf", out) as one:
        one.learn(12)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", crash)
            with pytest.raises(KeyboardInterrupt):
                one.learn(6)
    assert renames
    with rv.Learner.load(out, go_back=go_back) as one:
        assert one.steps == (12 if go_back else 18)
        one.learn(24 - one.steps)
        for leaf, other in zip(jax.tree.leaves(one.trainer.state), state, strict=True):
            np.testing.assert_array_equal(leaf, other)


# ---- what is seen while learning


def health(discount=0.9):
    spec = EnvSpec(1, [-1.0], [1.0])
    agent = rv.NAF(discount=discount, hidden=(4,)).build(spec)
    found = Health(agent)
    for reward in (-2.0, 3.0):
        found.see(np.array([0, 0, reward, 1, 0], np.float32), False, 1)
    return found


WELL = Symptoms(0, 0.2, 0.0, 0.0)


@pytest.mark.parametrize(
    ("value", "now", "kind"),
    [
        (31.0, WELL, None),
        (-21.0, WELL, None),
        (100.0, WELL, "value"),
        (-1e6, WELL, "value"),
        (0.0, WELL._replace(dead=0.95), "dead weights"),
        (0.0, WELL._replace(frozen=0.3), "dead weights"),
        (0.0, WELL._replace(stuck=1.0), "mean stuck"),
    ],
)
def test_what_lasts_is_said_once(value, now, kind):
    found = health()
    for row in range(3 * PATIENCE):
        columns = found.judge({"step": 200 * row, "episode": row, "value_mean": value}, now, 1.0)
        assert (columns["value_excess"] > 0.1) == (kind == "value")
    assert [notice.kind for notice in found.taken()] == [kind] * (kind is not None)
    assert found.problems() == [kind] * (kind is not None)
    found.judge({"step": 1, "episode": 1, "value_mean": 0.0}, WELL, 1.0)
    assert not found.problems()


def test_while_all_rewards_are_0_no_value_is_in_excess():
    found = Health(rv.NAF(hidden=(4,)).build(EnvSpec(1, [-1.0], [1.0])))
    found.see(np.array([0, 0, 0, 1, 0], np.float32), False, 1)
    for row in range(3 * PATIENCE):
        columns = found.judge({"step": 200 * row, "episode": row, "value_mean": 0.01}, WELL, 1.0)
        assert columns["value_excess"] == 0.0
    assert not found.taken()


def test_an_entropy_bonus_is_no_excess():
    found = health()
    row = {"step": 1, "episode": 1, "value_mean": 40.0, "entropy": 1.0}
    assert found.judge(row | {"temperature": 1.0}, WELL, 1.0)["value_excess"] == 0
    assert found.judge(row, WELL, 1.0)["value_excess"] > 0.1


@every_algorithm
def test_weights_that_a_gradient_of_long_ago_stops_are_counted(name):
    with learner(name) as one:
        one.learn(24)
        state = one.trainer.state
        well, none = still_shares(state)
        leaves, structure = jax.tree_util.tree_flatten_with_path(state)
        # A third of the second moments as after one huge gradient, the first moments as long after it.
        sick = [
            leaf.at[: leaf.shape[0] // 2 or 1].set(1e18)
            if "nu" in jax.tree_util.keystr(path) and leaf.ndim == 2
            else leaf
            for path, leaf in leaves
        ]
        dead, frozen = still_shares(jax.tree.unflatten(structure, sick))
        assert none == 0.0 and dead > well and frozen > 0.1


def moments_after(gradients):
    """Return Adam's moments (m, v) after gradients [N, ...]."""
    m = v = np.zeros(gradients.shape[1:])
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * np.square(g)
    return optax.ScaleByAdamState(np.int32(len(gradients)), {"w": np.float32(m)}, {"w": np.float32(v)})


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("active", [0.1, 0.3, 0.6, 0.95])
def test_units_that_are_never_active_are_no_gradient_of_long_ago(active, size):
    generator = np.random.default_rng(0)
    gradients = size * generator.normal(size=(2000, 20, 50)) * generator.lognormal(0.0, 2.0, (20, 50))
    state = moments_after(gradients)
    since = np.where(generator.random(50) < active, 0, generator.integers(1, 60_000, 50))  # updates without the unit
    m, v = state.mu["w"] * 0.9**since, state.nu["w"] * 0.999**since
    dead, frozen = still_shares(state._replace(mu={"w": np.float32(m)}, nu={"w": np.float32(v)}))
    assert frozen == 0.0 and (active > 0.6 or dead > 0.3)
    # A unit that one in a thousand states makes active.
    rare = generator.random((2000, 1, 50)) < np.where(since == 0, 1.0, 1e-3)
    assert still_shares(moments_after(gradients * rare))[1] == 0.0


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("outlier", [1e9, 1e12])
@pytest.mark.parametrize("active", [0.5, 1.0])
def test_one_huge_gradient_is_seen_whatever_else_stands_still(active, outlier, share):
    generator = np.random.default_rng(0)
    gradients = generator.normal(size=(2000, 20, 20)) * generator.lognormal(0.0, 1.0, (20, 20))
    gradients[500:, :, int(20 * active) :] = 0.0
    gradients[400, : int(20 * share)] *= outlier
    dead, frozen = still_shares(moments_after(gradients))
    assert dead >= frozen > 0.7 * share * active


def test_a_mean_that_is_stuck_is_said_while_learning(tmp_path):
    events = []
    with learner("naf", tmp_path, learning_rate=3.0) as one:
        one.learn(120, callbacks=[lambda learner, event: events.append(event) if hasattr(event, "kind") else None])
    rows = read_rows(tmp_path / "events.csv")
    assert [event.text for event in events] == [row["text"] for row in rows]
