"""What a machine executed is what is learnt; late, dropped and aborted outcomes; limits that hold for every action."""

import importlib
import json
import subprocess
import sys
import types
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from cases import CASES, those
from reverie.core.limiter import Limiter
from reverie.environments.env_factory import make_env
from reverie.storage import journal, journal_format
from reverie.storage.limits_json import read_file
from reverie.storage.tables import read_rows
from reverie.training.saved_policy import SavedPolicy
from worlds import Line

SPEC = rv.EnvSpec(
    2,
    [-2.0, 0.0],
    [2.0, 10.0],
    name="line7",
    action_names=["quad_QF3", "steerer"],
    action_units=["A", "mrad"],
    observation_names=["bpm_1", "bpm_2"],
    observation_units=["mm", "mm"],
)
HERE = np.array([0.1, -0.2], np.float32)
THERE = np.array([0.3, 0.4], np.float32)


def naf(**changes):
    return rv.NAF(hidden=(8,), batch_size=4, warmup_steps=3, **changes)


def at_machine(out=None, spec=SPEC, config=None, **options):
    return rv.Learner(naf() if config is None else config, spec=spec, out=out, **options)


def records_of(learner):
    learner.save()
    return journal.read(learner.out / "experience" / "journal.bin")[1]


def stepped(learner, count, observation=HERE):
    actions = []
    for _ in range(count):
        actions.append(learner.ask(observation))
        learner.tell(1.0, THERE, False)
    return np.array(actions)


# ---- what was executed


def test_the_executed_action_is_learnt_and_the_asked_one_kept_beside_it():
    with at_machine() as learner:
        asked = learner.ask(HERE)
        learner.tell(1.0, THERE, False, action=[0.5, 2.5], source="human")
        (record,) = records_of(learner)
        np.testing.assert_allclose(SPEC.to_world(record["action"]), [0.5, 2.5], rtol=1e-6)
        np.testing.assert_allclose(SPEC.to_world(record["asked"]), asked, rtol=1e-6)
        assert record["flags"] >> 2 == journal.SOURCES.index("human")
        row = learner.trainer.replay.rows[0]
        np.testing.assert_array_equal(row[2:4], record["action"])


def test_who_chose_each_action_is_kept():
    with at_machine() as learner:
        stepped(learner, 5)
        assert [journal.source_of(int(f)) for f in records_of(learner)["flags"]] == ["random"] * 3 + ["policy"] * 2
        assert records_of(learner)["policy"].tolist() == [0, 0, 0, 0, 1], "updates of the policy that acted"


@pytest.mark.parametrize("wrong", [[1.0], [1.0, np.nan], [1.0, np.inf], "left", [[1.0, 2.0, 3.0]]])
def test_an_executed_action_that_is_none_is_refused_and_the_ask_still_waits(wrong):
    with at_machine() as learner:
        learner.ask(HERE)
        with pytest.raises(rv.WorldError, match=r"line7: the executed action is .*give an action, 2 finite numbers"):
            learner.tell(1.0, THERE, False, action=wrong)
        learner.tell(1.0, THERE, False)
        assert learner.steps == 1


def test_a_readback_outside_the_bounds_is_stored_as_the_nearest_within_them_with_one_warning():
    with at_machine() as learner:
        learner.ask(HERE)
        with pytest.warns(
            rv.ReverieWarning, match=r"actuator 1 \(steerer, mrad\) executed 12, outside its bounds \[0, 10\]"
        ):
            learner.tell(1.0, THERE, False, action=[0.0, 12.0])
        learner.ask(HERE)
        learner.tell(1.0, THERE, False, action=[0.0, 12.0])
        assert records_of(learner)["action"][:, 1].tolist() == [1.0, 1.0]


def test_an_unknown_source_is_refused():
    with at_machine() as learner:
        learner.ask(HERE)
        with pytest.raises(rv.ConfigError, match=r"tell\(source\) is 'robot'; give 'policy', .*'human'"):
            learner.tell(1.0, THERE, False, source="robot")
        with pytest.raises(rv.ConfigError, match=r"tell\(source\) is array\(\[1, 2\]\)"):
            learner.tell(1.0, THERE, False, source=np.array([1, 2]))


def test_an_older_journal_goes_on_in_its_own_layout(tmp_path):
    with at_machine(tmp_path / "run") as learner:
        stepped(learner, 4)
    file = tmp_path / "run" / "experience" / "journal.bin"
    head, _, _ = file.read_bytes().partition(b"\n")
    _, records, _ = journal.read(file)
    old = np.zeros(len(records), journal.record_dtype(2, 2, version=1))
    for name in old.dtype.names:
        old[name] = records[name]
    old["flags"] &= 3
    old["crc"] = journal_format.checksums(old.tobytes(), old)
    file.write_bytes(head.replace(b"reverie-journal-2", b"reverie-journal-1") + b"\n" + old.tobytes())
    for checkpoint in (tmp_path / "run" / "checkpoint").iterdir():
        checkpoint.unlink()
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.steps == 4
        learner.ask(HERE)
        learner.tell(1.0, THERE, False, action=[0.5, 2.5], source="human")
        found = records_of(learner)
        assert found.dtype == old.dtype and found["flags"].tolist() == [0] * 5
        np.testing.assert_allclose(SPEC.to_world(found["action"][-1]), [0.5, 2.5], rtol=1e-6)


class Elsewhere(Line):
    """Executes half of what it is asked for; a person acts in every third step."""

    taken = 0

    def step(self, action):
        self.taken += 1
        observation, reward, terminated, truncated, _ = super().step(action / 2)
        return observation, reward, terminated, truncated, {"action": action / 2, "intervention": self.taken % 3 == 0}


def test_an_environment_may_say_what_was_executed(tmp_path):
    with rv.Learner(naf(), env=Elsewhere, out=tmp_path / "run") as learner:
        learner.learn(9)
        found = records_of(learner)
        done, asked = (make_env(Line).spec.to_world(found[name]) for name in ("action", "asked"))
        np.testing.assert_allclose(done, asked / 2, atol=1e-6)
        people = [journal.source_of(int(flags)) == "human" for flags in found["flags"]]
        assert people == [False, False, True] * 3


# ---- late, dropped, aborted


def test_a_dropped_shot_leaves_no_trace_and_the_episode_goes_on():
    with at_machine() as learner, at_machine() as other:
        for one in (learner, other):
            stepped(one, 5)
        lost = learner.ask(HERE)
        learner.drop()
        assert learner.steps == 5 and learner.episodes == 1
        np.testing.assert_array_equal(learner.ask(HERE), lost, err_msg="the same noise again")
        learner.tell(1.0, THERE, False)
        other.ask(HERE)
        other.tell(1.0, THERE, False)
        np.testing.assert_array_equal(learner.ask(HERE), other.ask(HERE))
        assert [row["kind"] for row in read_rows(learner.out / "events.csv")] == ["drop"]
        with pytest.raises(rv.ConfigError, match=r"drop\(\) was called without ask\(\)"):
            other.tell(1.0, THERE, False)
            other.drop()


def test_a_late_outcome_names_its_ask():
    with at_machine() as learner:
        first, one = learner.ask(HERE, ticket=True)
        second, two = learner.ask(THERE, ticket=True)
        learner.tell(2.0, HERE, False, ticket=two)
        learner.tell(1.0, THERE, False, ticket=one)
        found = records_of(learner)
        assert found["reward"].tolist() == [2.0, 1.0]
        np.testing.assert_array_equal(found["observation"], [THERE, HERE])
        np.testing.assert_allclose(SPEC.to_world(found["asked"]), [second, first], rtol=1e-6)
        assert found["episode"].tolist() == [1, 1]
        for gone in (one, "another", 7, Strange()):
            with pytest.raises(rv.ConfigError, match="no action waits for its outcome under it"):
                learner.tell(1.0, THERE, False, ticket=gone)


def test_without_a_ticket_it_must_be_clear_which_ask_is_meant():
    with at_machine() as learner:
        with pytest.raises(rv.ConfigError, match=r"tell\(\) was called without ask\(\)"):
            learner.tell(1.0, THERE, False)
        learner.ask(HERE)
        with pytest.raises(rv.ConfigError, match=r"ask\(\) was called twice"):
            learner.ask(HERE)
        learner.ask(HERE, ticket=True)
        with pytest.raises(rv.ConfigError, match=r"several actions have no outcome yet \(2\); say which one"):
            learner.tell(1.0, THERE, False)


def test_asks_that_wait_at_the_end_of_an_episode_are_over():
    with at_machine() as learner:
        _, one = learner.ask(HERE, ticket=True)
        _, two = learner.ask(HERE, ticket=True)
        learner.tell(1.0, THERE, True, ticket=one)
        with pytest.raises(rv.ConfigError, match="its episode has ended"):
            learner.tell(1.0, THERE, False, ticket=two)
        learner.ask(HERE)
        learner.tell(1.0, THERE, False)
        assert records_of(learner)["episode"].tolist() == [1, 2]


@pytest.mark.parametrize("then", ["drop", "abort", "save", "end"])
def test_an_episode_goes_on_where_a_later_ask_was_told_before_the_one_that_began_it(then, tmp_path):
    learner = at_machine(tmp_path / "run")
    stepped(learner, 2)
    learner.ask(HERE)
    learner.tell(1.0, THERE, True)
    _, one = learner.ask(HERE, ticket=True)
    _, two = learner.ask(HERE, ticket=True)
    learner.tell(1.0, THERE, then == "end", ticket=two)
    if then == "drop":
        learner.drop(one)
    elif then == "abort":
        learner.abort("beam lost")
    elif then == "save":
        learner.save()
        learner.close()
        learner = rv.Learner.load(tmp_path / "run")
    for _ in range(2):
        learner.ask(HERE)
        learner.tell(1.0, THERE, True)
    apart = then in ("abort", "end")
    assert records_of(learner)["episode"].tolist() == [1, 1, 1, 2, *((3, 4) if apart else (2, 3))]
    rows = read_rows(tmp_path / "run" / "episodes.csv")
    assert [row["length"] for row in rows] == ["3", *(("1", "1") if apart else ("2",)), "1"]
    assert [row["truncated"] for row in rows if row["terminated"] == "0"] == ["1"] * (then == "abort")
    learner.close()
    with rv.Learner.load(tmp_path / "run"):
        assert read_rows(tmp_path / "run" / "episodes.csv") == rows


def test_asks_without_an_outcome_at_the_end_of_an_episode_leave_no_trace():
    with at_machine() as learner, at_machine() as other:
        stepped(learner, 4)
        stepped(other, 4)
        _, one = learner.ask(HERE, ticket=True)
        learner.ask(HERE, ticket=True)
        learner.tell(1.0, THERE, True, ticket=one)
        other.ask(HERE)
        other.tell(1.0, THERE, True)
        np.testing.assert_array_equal(stepped(learner, 3), stepped(other, 3))


def test_imagination_wants_outcomes_in_order():
    agent = rv.Imagination(naf(), model=rv.LinearGaussian(episodes=2), rollout_length=2)
    with at_machine(config=agent) as learner:
        _, one = learner.ask(HERE, ticket=True)
        _, two = learner.ask(HERE, ticket=True)
        with pytest.raises(rv.ConfigError, match="tell the outcome of the oldest action first"):
            learner.tell(1.0, THERE, False, ticket=two)
        learner.tell(1.0, THERE, False, ticket=one)
        learner.tell(1.0, THERE, False, ticket=two)
        assert learner.steps == 2


def test_an_aborted_episode_is_truncated_with_its_reason_and_the_safe_action_follows(tmp_path):
    limits = rv.Limits(safe_action=[0.0, 5.0])
    with at_machine(tmp_path / "run", limits=limits) as learner:
        stepped(learner, 3)
        learner.ask(HERE)
        learner.abort("beam lost")
        np.testing.assert_array_equal(learner.ask(HERE), [0.0, 5.0])
        learner.abort("still lost")
        np.testing.assert_array_equal(learner.ask(HERE), [0.0, 5.0], err_msg="until an outcome is told")
        learner.tell(1.0, THERE, False)
        assert journal.source_of(int(records_of(learner)["flags"][-1])) == "safe"
        assert not np.array_equal(learner.ask(HERE), [0.0, 5.0])
        learner.tell(1.0, THERE, True)
    rows = read_rows(tmp_path / "run" / "episodes.csv")
    assert [(row["length"], row["truncated"], row["terminated"]) for row in rows] == [("3", "1", "0"), ("2", "0", "1")]
    told = [(row["step"], row["kind"], row["text"]) for row in read_rows(tmp_path / "run" / "events.csv")]
    assert told == [("3", "abort", "beam lost"), ("3", "abort", "still lost")]


def test_an_abort_survives_a_kill_and_the_run_goes_on_alike(tmp_path):
    script = f"""
import os, numpy as np, reverie as rv
spec = rv.EnvSpec(2, [-2.0, 0.0], [2.0, 10.0])
agent = rv.NAF(hidden=(8,), batch_size=4, warmup_steps=3)
learner = rv.Learner(agent, spec=spec, out={str(tmp_path / "run")!r}, limits=rv.Limits(safe_action=[0.0, 5.0]))
for _ in range(6):
    learner.ask(np.zeros(2)); learner.tell(1.0, np.ones(2), False)
learner.abort("beam lost")
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    for _ in range(2):
        with rv.Learner.load(tmp_path / "run") as learner:
            assert learner.steps == 6
            rows = read_rows(tmp_path / "run" / "episodes.csv")
            assert [(row["length"], row["truncated"]) for row in rows] == [("6", "1")]
            np.testing.assert_array_equal(learner.ask(np.zeros(2)), [0.0, 5.0])
    with rv.Learner.load(tmp_path / "run") as learner:
        learner.ask(np.zeros(2))
        learner.tell(1.0, np.ones(2), False)
        assert records_of(learner)["episode"].tolist() == [1] * 6 + [2]
        assert [row["text"] for row in read_rows(learner.out / "events.csv")] == ["beam lost"]


@pytest.mark.parametrize("wrong", ["", "  ", None, 3])
def test_an_abort_needs_a_reason(wrong):
    with at_machine() as learner, pytest.raises(rv.ConfigError, match="say in a few words why"):
        learner.abort(wrong)


def test_a_callback_may_abort_an_episode_of_learn(tmp_path):
    ended = []

    def watch(learner, event):
        if isinstance(event, rv.StepEnded) and event.step == 4:
            learner.abort("too hot")
        if isinstance(event, rv.EpisodeEnded):
            ended.append(event.row)

    with rv.Learner(naf(), env=Line, out=tmp_path / "run") as learner:
        learner.learn(9, callbacks=[watch])
        assert records_of(learner)["episode"].tolist() == [1] * 4 + [2] * 5
    assert [(row["length"], row["truncated"]) for row in ended] == [(4, 1)]


# ---- limits


def test_environments_that_take_turns_are_aborted_in_the_order_of_their_steps(tmp_path):
    def abort(learner, event):
        if event == rv.StepEnded(7):
            learner.abort("beam lost")

    agent = rv.PPO(hidden=(8,), rollout=8, worlds=2, batch_size=16)
    with rv.Learner(agent, "worlds:Line", out=tmp_path / "run") as learner:
        learner.learn(20, callbacks=[abort])
    rows = read_rows(tmp_path / "run" / "episodes.csv")
    assert [(row["step"], row["episode"], row["truncated"]) for row in rows[:2]] == [("6", "2", "1"), ("7", "1", "1")]
    with rv.Learner.load(tmp_path / "run"):
        again = read_rows(tmp_path / "run" / "episodes.csv")
    same = [{name: row[name] for name in row if name != "seconds"} for row in rows]  # which a rounding may change
    assert [{name: row[name] for name in row if name != "seconds"} for row in again] == same


def tight(**changes):
    limits = {"low": [-1.0, 1.0], "high": [1.5, 9.0], "slew": [0.2, 1.0], "region": ([0.0, 5.0], [1.2, 3.0])}
    return rv.Limits(**(limits | changes))


@pytest.mark.parametrize("steps", [2, 40])
def test_no_action_leaves_its_limits_and_what_is_left_is_stored(steps):
    with at_machine(config=naf(noise_scale=2.0), limits=tight()) as learner:
        asked = stepped(learner, steps)
        found = records_of(learner)
        np.testing.assert_array_equal(found["action"], found["asked"])
        np.testing.assert_allclose(SPEC.to_world(found["action"]), asked, atol=1e-6)
    assert (asked >= [-1.0, 2.0]).all() and (asked <= [1.2, 8.0]).all()
    assert (np.abs(np.diff(asked, axis=0)) <= np.array([0.2, 1.0]) * (1 + 1e-12)).all()
    assert steps == 2 or np.isclose(np.abs(np.diff(asked, axis=0)).max(0), [0.2, 1.0]).all(), "and it is reached"


def test_the_slew_counts_from_what_was_executed():
    with at_machine(config=naf(noise_scale=2.0), limits=rv.Limits(slew=[0.2, 1.0])) as learner:
        for _ in range(10):
            learner.ask(HERE)
            learner.tell(1.0, THERE, False, action=[1.0, 7.0])
            assert (np.abs(learner.ask(HERE) - [1.0, 7.0]) <= [0.2 + 1e-6, 1.0 + 1e-6]).all()
            learner.tell(1.0, THERE, False, action=[1.0, 7.0])


@pytest.mark.parametrize("dropped", [False, True])
def test_the_slew_counts_from_the_action_that_was_asked_for_last_whenever_outcomes_come(dropped):
    with at_machine(config=naf(noise_scale=2.0), limits=rv.Limits(slew=[0.2, 1.0])) as learner:
        learner.ask(HERE)
        learner.tell(1.0, THERE, False, action=[0.0, 5.0])
        _, one = learner.ask(HERE, ticket=True)
        last, two = learner.ask(HERE, ticket=True)
        if dropped:
            learner.drop(two)
        else:
            last = np.array([1.5, 9.0])
            learner.tell(1.0, THERE, False, ticket=two, action=last)
        learner.tell(1.0, THERE, False, ticket=one, action=[-1.5, 1.0])
        assert (np.abs(learner.ask(HERE) - last) <= [0.2 + 1e-6, 1.0 + 1e-6]).all()


def test_the_slew_goes_on_from_the_journal(tmp_path):
    with at_machine(tmp_path / "run", config=naf(noise_scale=2.0), limits=rv.Limits(slew=[0.2, 1.0])) as learner:
        last = stepped(learner, 6)[-1]
    with rv.Learner.load(tmp_path / "run") as learner:
        assert (np.abs(learner.ask(HERE) - last) <= [0.2 + 1e-6, 1.0 + 1e-6]).all()


def test_a_veto_replaces_actions_and_is_held_within_the_other_limits():
    seen = []

    def veto(observation, action):
        seen.append((observation, action))
        return None if len(seen) % 2 else [99.0, 5.0]

    with at_machine(config=naf(noise_scale=2.0), limits=rv.Limits(high=[1.0, 9.0], veto=veto)) as learner:
        asked = stepped(learner, 6)
        assert learner.limiter.corrected_vetoes == 3
    np.testing.assert_array_equal(asked[1::2], [[1.0, 5.0]] * 3)
    np.testing.assert_array_equal(seen[0][0], HERE)
    np.testing.assert_array_equal(asked[0], seen[0][1])


def test_a_veto_that_fails_sends_nothing():
    def veto(observation, action):
        raise RuntimeError("no beam")

    with at_machine(limits=rv.Limits(veto=veto)) as learner:
        with pytest.raises(rv.WorldError, match=r"line7: veto raised .*no beam.*not sent"):
            learner.ask(HERE)
        assert learner.steps == 0 and learner.episodes == 0
    with at_machine(limits=rv.Limits(veto=lambda o, a: [np.nan, 1.0])) as learner:
        with pytest.raises(rv.WorldError, match="veto returned"):
            learner.ask(HERE)


def test_predict_and_planners_and_evaluations_are_held_too(tmp_path):
    limits = rv.Limits(low=-0.25, high=0.5, slew=0.1)
    sent = []

    class Watched(Line):
        def step(self, action):
            sent.append(np.array(action))
            return super().step(action)

    agent = rv.Imagination(naf(noise_scale=1.0), model=rv.LinearGaussian(episodes=2), plan="ilqg", rollout_length=2)
    with rv.Learner(agent, env=Watched, out=tmp_path / "run", limits=limits) as learner:
        learner.learn(60)
        found = records_of(learner)
        assert "planner" in {journal.source_of(int(flags)) for flags in found["flags"]}
        learner.evaluate(2)
        batch = learner.predict(np.random.default_rng(0).normal(size=(50, 2)) * 10)
        assert batch.min() >= -0.25 and batch.max() <= 0.5
    assert min(a.min() for a in sent) >= -0.25 and max(a.max() for a in sent) <= 0.5
    steps = np.abs(np.diff(np.array(sent[:60]), axis=0))
    assert steps.max() <= 0.1 + 1e-6


def test_limits_are_recorded_and_others_may_follow(tmp_path):
    file = tmp_path / "run" / "config.json"
    with at_machine(tmp_path / "run", limits=tight(safe_action=[0.0, 5.0])) as learner:
        stepped(learner, 5)
    assert json.loads(file.read_text())["limits"] == {
        "low": [-1.0, 1.0],
        "high": [1.5, 9.0],
        "slew": [0.2, 1.0],
        "region": {"reference": [0.0, 5.0], "distance": [1.2, 3.0]},
        "safe_action": [0.0, 5.0],
    }
    with rv.Learner.load(tmp_path / "run") as learner:
        assert (stepped(learner, 3) <= [1.2, 8.0]).all()
    with rv.Learner.load(tmp_path / "run", limits=rv.Limits(high=[0.1, 0.2])) as learner:
        assert (stepped(learner, 3) <= [0.1, 0.2]).all()
    with rv.Learner.load(tmp_path / "run") as learner:
        assert (stepped(learner, 3) <= [0.1, 0.2]).all()
    history = json.loads(file.read_text())["history"]
    assert [(part["step"], part["limits"]["high"]) for part in history] == [(0, [1.5, 9.0]), (8, [0.1, 0.2])]


def test_a_veto_without_a_name_must_be_given_again(tmp_path):
    with at_machine(tmp_path / "run", limits=rv.Limits(veto=lambda o, a: None)) as learner:
        stepped(learner, 2)
    with pytest.raises(rv.StorageError, match=r"the veto of its limits is a function of the program.*limits="):
        rv.Learner.load(tmp_path / "run")
    with rv.Learner.load(tmp_path / "run", limits=rv.Limits(veto=lambda o, a: None)) as learner:
        stepped(learner, 2)


class Strange:
    """An object that raises whatever is asked of it."""

    def __array__(self, *arguments, **named):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"slew": 0}, r"slew of actuator 0 \(quad_QF3, A\) is 0; it must be above 0"),
        ({"slew": [0.1, -1]}, r"slew of actuator 1 \(steerer, mrad\) is -1"),
        ({"low": 3}, r"the limits leave actuator 0 \(quad_QF3, A\) no room"),
        (
            {"low": [0, 6], "high": [1, 5]},
            r"the limits leave actuator 1 \(steerer, mrad\) no room: at least 6 and at most 5",
        ),
        ({"region": ([0, 50], 1)}, ".*no room"),
        ({"low": [1, 2, 3]}, "low is .*; give one number, or 2, one for each actuator"),
        ({"low": "a"}, "low is 'a'"),
        ({"high": [np.nan, 1]}, "high is"),
        ({"slew": {"quad_QF4": 1}}, "slew names 'quad_QF4'; the actuators are quad_QF3, steerer"),
        ({"safe_action": [0, 11]}, r"safe_action of actuator 1 \(steerer, mrad\) is 11, outside its limits \[0, 10\]"),
        ({"safe_action": {"steerer": 1}}, r"safe_action says nothing of actuator 0 \(quad_QF3, A\)"),
        ({"safe_action": 1}, "safe_action is 1; give 2 numbers"),
        ({"slew": True}, "slew is True; give one number"),
        ({"low": "1"}, "low is '1'; give one number"),
        ({"high": 10**400}, "high is 1000.*; give one number"),
        ({"low": np.inf}, "low is inf; give one number"),
        ({"region": (np.inf, 1)}, "region's reference is inf"),
        ({"safe_action": [0, np.nan]}, "safe_action is .*; give one number, or 2"),
        ({"slew": Strange()}, "slew is of type Strange; give one number"),
        ({"safe_action": Strange()}, "safe_action is of type Strange; give one number"),
        (
            {"low": [0, 7.1], "high": [1, 7.1 + 1e-8]},
            r".*no room: at least 7.1 and at most 7.10000001, and float32 has no",
        ),
    ],
)
def test_limits_that_do_not_fit_are_refused(limits, sentence, tmp_path):
    with pytest.raises(rv.ConfigError, match=f"line7: {sentence}"):
        at_machine(tmp_path / "run", limits=rv.Limits(**limits))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [{"region": 3}, {"region": (1, 2, 3)}, {"region": (None, 1)}, {"veto": 3}])
def test_limits_that_mean_nothing_are_refused(wrong):
    with pytest.raises(rv.ConfigError, match="Limits: "):
        rv.Limits(**wrong)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"slew": np.inf}, {}),
        ({"low": [-np.inf, 1], "high": np.array([1.0, np.inf])}, {"low": [None, 1], "high": [1.0, None]}),
        ({"slew": types.MappingProxyType({"steerer": np.float32(0.5)})}, {"slew": {"steerer": 0.5}}),
        ({"slew": {"steerer": None, "quad_QF3": 1}}, {"slew": {"quad_QF3": 1}}),
        ({"region": (0, [1, np.inf])}, {"region": {"reference": 0, "distance": [1, None]}}),
        ({"region": {"reference": [0, 5], "distance": np.inf}}, {}),
    ],
)
def test_limits_are_recorded_as_plain_numbers(given, kept, tmp_path):
    with at_machine(tmp_path / "run", limits=rv.Limits(**given)) as learner:
        stepped(learner, 2)
        sent = learner.limiter.values
    assert json.loads((tmp_path / "run" / "config.json").read_text()).get("limits") == kept
    with rv.Learner.load(tmp_path / "run") as learner:
        for there, here in zip(sent, learner.limiter.values, strict=True):
            np.testing.assert_array_equal(there, here)


def test_a_list_that_the_program_changes_later_changes_no_limit():
    slew = [0.2, 1.0]
    limits = rv.Limits(slew=slew)
    slew[0] = 5.0
    assert limits.slew == [0.2, 1.0]


@pytest.mark.parametrize("edge", [0, 1])
def test_a_safe_action_at_the_edge_of_its_box_does_not_leave_it_by_rounding(edge):
    generator = np.random.default_rng(0)
    for _ in range(100):
        low, high = np.sort(generator.uniform(0.0, 10.0, 2))
        limits = rv.Limits(low=[-1.0, low], high=[1.0, high], safe_action=[0.0, (low, high)[edge]])
        limiter = Limiter(SPEC, limits)
        assert low <= limiter.to_world(limiter.safe_action)[1] <= high


def test_a_veto_that_is_given_when_a_run_goes_on_is_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "my_veto.py").write_text("def careful(observation, action):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    careful = importlib.import_module("my_veto").careful
    with at_machine(tmp_path / "run") as learner:
        stepped(learner, 2)
    with rv.Learner.load(tmp_path / "run", limits=rv.Limits(veto=careful)) as learner:
        stepped(learner, 2)
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.limiter.limits.veto is careful
    file = tmp_path / "run" / "config.json"
    file.write_text(file.read_text().replace("my_veto:careful", "os.path:join"))
    with pytest.raises(rv.StorageError, match=r"would import veto 'os.path:join'"):
        rv.Learner.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"veto": "checked"}', "veto is 'checked'; give 'package.module:function'"),
        ('{"slow": 1}', "'slow' is no limit; there are low, high, slew"),
        ('{"slew": "fast"}', "does not hold limits: .*"),
        ("[1]", ".*a file of limits is one JSON object"),
    ],
)
def test_a_file_that_holds_no_limits_is_refused(text, sentence, tmp_path):
    (tmp_path / "limits.json").write_text(text)
    with pytest.raises(rv.ConfigError, match=f"limits.json.*{sentence}"):
        read_file(tmp_path / "limits.json")


def test_limits_by_name_hold_those_alone():
    limits = rv.Limits(high={"steerer": 4.0}, region=({"steerer": 3.0}, 2.0), slew={"steerer": 0.5})
    with at_machine(config=naf(noise_scale=2.0), limits=limits) as learner:
        asked = stepped(learner, 40)
    assert asked[:, 1].max() <= 4.0 and asked[:, 1].min() >= 1.0
    assert np.abs(np.diff(asked[:, 1])).max() <= 0.5 + 1e-9
    assert np.abs(np.diff(asked[:, 0])).max() > 1.0


def test_discrete_actions_take_a_veto_and_a_safe_action():
    spec = rv.EnvSpec(2, actions=3, first_action=1, name="valve")
    agent = rv.DQN(hidden=(8,), batch_size=4, warmup_steps=3)
    with at_machine(spec=spec, config=agent, limits=rv.Limits(veto=lambda o, a: 2, safe_action=1)) as learner:
        assert {action.item() for action in stepped(learner, 5)} == {2}
        learner.abort("leak")
        assert learner.ask(HERE).item() == 1
    with pytest.raises(rv.ConfigError, match="valve: slew is for actuators with ranges"):
        at_machine(spec=spec, config=agent, limits=rv.Limits(slew=1))
    with pytest.raises(rv.ConfigError, match="valve: safe_action is 9; give one of its 3 actions"):
        at_machine(spec=spec, config=agent, limits=rv.Limits(safe_action=9))


class Machine(Line):
    """A machine that can be made safe, and that is closed."""

    calls: ClassVar[list] = []

    def safe(self, action):
        self.calls.append(("safe", np.asarray(action).tolist()))

    def close(self):
        self.calls.append(("close", None))


def test_the_machine_is_made_safe_when_learn_ends_within_an_episode(tmp_path):
    Machine.calls.clear()
    exits = []
    with rv.Learner(naf(), env=Machine, out=tmp_path / "run", limits=rv.Limits(safe_action=[0.25])) as learner:
        learner.learn(4, on_exit=lambda action: exits.append(action.tolist()))
        assert Machine.calls == [("safe", [0.25])] and exits == [[0.25]]
        learner.learn(episodes=1)
        assert len(Machine.calls) == 1, "no episode is open"
        with pytest.raises(ZeroDivisionError):
            learner.learn(4, callbacks=[lambda learner, event: 1 / 0 if isinstance(event, rv.StepEnded) else None])
        assert [name for name, _ in Machine.calls] == ["safe", "safe"]


def test_a_machine_that_cannot_be_made_safe_is_warned_of_and_the_books_are_closed(tmp_path):
    class Stuck(Line):
        def safe(self, action):
            raise OSError("link down")

    with rv.Learner(naf(), env=Stuck, out=tmp_path / "run", limits=rv.Limits(safe_action=[0.0])) as learner:
        with pytest.warns(rv.ReverieWarning, match="the machine may not be safe: .*link down"):
            learner.learn(4)
        assert len(records_of(learner)) == 4


def test_an_error_that_ends_the_program_closes_the_environment_after_the_books(tmp_path):
    script = f"""
import reverie as rv
from worlds import Line

class Machine(Line):
    def close(self):
        import pathlib
        print("closed; checkpoint:", pathlib.Path({str(tmp_path / "run")!r}, "checkpoint", "latest.safetensors").exists())

learner = rv.Learner(rv.NAF(hidden=(8,), batch_size=4, warmup_steps=3), env=Machine, out={str(tmp_path / "run")!r})
learner.learn(5, callbacks=[lambda learner, event: 1 / 0 if isinstance(event, rv.StepEnded) and event.step == 4 else None])
"""
    support = __file__.replace("contract/test_real_machine.py", "support")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=support, check=False)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert done.stdout == "closed; checkpoint: True\n"


# ---- names and units


class Named(Line):
    """An environment whose metadata has names and units."""

    metadata: ClassVar = {
        "observation_names": ["x", "v"],
        "observation_units": ["mm", "mm/s"],
        "action_names": ["steerer"],
    }


def test_names_come_from_the_environments_metadata():
    spec = make_env(Named).spec
    assert spec.sensor(1) == "sensor 1 (v, mm/s)" and spec.actuator(0) == "actuator 0 (steerer)"
    assert spec.sensor_names == ("x", "v") and spec.actuator_names == ("steerer",)
    wrapped = make_env(lambda: gym.wrappers.TimeLimit(Named(), 5)).spec
    assert wrapped.action_names == ("steerer",)


def test_metadata_that_does_not_fit_is_left_out_with_a_warning():
    class Odd(Line):
        metadata: ClassVar = {"observation_names": ["x", "v", "a"]}

    with pytest.warns(rv.ReverieWarning, match=r"observation_names has 3 entries; give 2, or none .*left out"):
        assert make_env(Odd).spec.observation_names == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"action_names": ["a"]},
        {"action_names": ["a", "a"]},
        {"action_names": ["a", ""]},
        {"action_names": "ab"},
        {"action_units": [1, 2]},
        {"observation_names": ["a\n", "b"]},
    ],
)
def test_names_that_do_not_fit_are_refused(wrong):
    with pytest.raises(rv.SpaceError, match=next(iter(wrong))):
        rv.EnvSpec(2, [-1.0, -1.0], [1.0, 1.0], **wrong)


def test_names_are_kept_in_a_run_and_another_order_is_refused(tmp_path):
    def swapped(**names):
        class Swapped(Line):
            metadata: ClassVar = names

        return Swapped

    with rv.Learner(naf(), env=Named, out=tmp_path / "run") as learner:
        learner.learn(5)
    header = journal.read_header(tmp_path / "run" / "experience" / "journal.bin")
    assert header.world is not None and header.world.observation_units == ["mm", "mm/s"]
    with pytest.raises(rv.ConfigError, match="its observations are in another order: 'v' is where 'x' was"):
        rv.Learner.load(tmp_path / "run", env=swapped(observation_names=["v", "x"]))
    other = swapped(observation_names=["x", "v"], observation_units=["mm", "m/s"])
    with pytest.warns(rv.ReverieWarning, match="observation 1 was 'mm/s' and is 'm/s'"):
        rv.Learner.load(tmp_path / "run", env=other).close()


def test_messages_name_the_sensor(tmp_path):
    with at_machine() as learner, pytest.raises(rv.WorldError, match=r"nan at index 1 \(bpm_2, mm\)"):
        learner.ask([0.0, np.nan])


def test_a_saved_policy_keeps_the_limits(tmp_path):
    with rv.Learner(naf(), env=Line, out=tmp_path / "run", limits=rv.Limits(low=-0.1, high=0.1)) as learner:
        learner.learn(30)
    saved = SavedPolicy(tmp_path / "run")
    env = saved.env()
    limiter = saved.limiter(env.spec)
    actions = limiter.greedy(
        saved.greedy(np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32) * 9), np.zeros((20, 2))
    )
    assert np.abs(limiter.to_world(actions)).max() <= 0.1


@pytest.mark.parametrize("name", those(worlds=1))
def test_every_algorithm_takes_limits(name, tmp_path):
    case = CASES[name]
    limits = rv.Limits(veto=lambda o, a: None) if case.spec.actions else rv.Limits(low=-0.2, high=0.3, slew=0.1)
    with rv.Learner(case.make(), env=case.line, out=tmp_path / "run", limits=limits) as learner:
        learner.learn(12)
        if not case.spec.actions:
            actions = records_of(learner)["action"]
            world = make_env(case.line).spec.to_world(actions)
            assert world.min() >= -0.2 - 1e-6 and world.max() <= 0.3 + 1e-6
