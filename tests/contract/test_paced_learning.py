"""Learning beside a clock: in slices, at the episode's end, or in a thread; nothing of it is lost or doubled."""

import gc
import json
import threading
import time

import numpy as np
import pytest

import reverie as rv
from commands import one_object
from reverie.storage import journal
from reverie.storage.tables import read_rows
from reverie.training import recorded_trainer
from reverie.training.background import BackgroundUpdates
from worlds import Line

SPEC = rv.EnvSpec(2, [-1.0], [1.0], name="line7")


@pytest.fixture(autouse=True)
def frequent_metrics(monkeypatch):
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)


def naf(**changes):
    return rv.NAF(hidden=(8,), batch_size=4, warmup_steps=3, updates_per_step=2, **changes)


def driven(learner, count, episode=8):
    generator = np.random.default_rng(learner.steps)
    for step in range(count):
        learner.ask(generator.standard_normal(2))
        learner.tell(1.0, generator.standard_normal(2), False, step % episode == episode - 1)


@pytest.mark.parametrize("after", ["time", "background", "episode"])
@pytest.mark.parametrize("period", [1e-4, 0.02])
def test_all_updates_have_run_when_an_episode_has_ended(after, period, tmp_path):
    with rv.Learner(naf(update_after=after), spec=SPEC, out=tmp_path / "run", clock=rv.Clock(period)) as learner:
        driven(learner, 40)
        assert learner.trainer.owed.count == 0 and learner.trainer.updates == 37
        assert learner.trainer._flat is None, "nor does the next `ask` wait for one"
        assert learner.missed_ticks is not None and learner.missed_ticks["owed"] == 0


def test_a_clock_makes_time_of_step_and_is_recorded(tmp_path):
    with rv.Learner(naf(), spec=SPEC, out=tmp_path / "run", clock=rv.Clock(0.02)) as learner:
        assert learner.config.update_after == "time"
        driven(learner, 8)
        learner.save()
    found = json.loads((tmp_path / "run" / "config.json").read_text())
    assert found["clock"] == {"period": 0.02, "tolerance": 0.1}
    assert found["agent"]["settings"]["update_after"] == "time"
    with rv.Learner.load(tmp_path / "run") as learner:
        driven(learner, 8)
    with rv.Learner.load(tmp_path / "run", clock=rv.Clock(0.5)) as learner:
        driven(learner, 1)
    found = json.loads((tmp_path / "run" / "config.json").read_text())
    assert found["clock"]["period"] == 0.5
    assert [(part["step"], part["clock"]["period"]) for part in found["history"]] == [(0, 0.02), (16, 0.5)]


def test_a_clock_that_comes_later_is_recorded_with_what_it_makes_of_the_settings(tmp_path):
    with rv.Learner(naf(), spec=SPEC, out=tmp_path / "run") as learner:
        driven(learner, 8)
        learner.save()
    with rv.Learner.load(tmp_path / "run", clock=rv.Clock(0.02)) as learner:
        assert learner.config.update_after == "time"
        driven(learner, 8)
    found = json.loads((tmp_path / "run" / "config.json").read_text())
    assert found["agent"]["settings"]["update_after"] == "time"
    assert [part["agent"]["settings"]["update_after"] for part in found["history"]] == ["step", "time"]
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.steps == 16 and learner.missed_ticks is not None


@pytest.mark.parametrize("after", ["time", "background"])
def test_a_run_goes_on_from_its_journal_with_all_updates_and_versions(after, tmp_path):
    agent = naf(update_after=after)
    with rv.Learner(agent, spec=SPEC, out=tmp_path / "run", clock=rv.Clock(0.005)) as learner:
        driven(learner, 21)
        versions = journal.read(learner.out / "experience" / "journal.bin")[1]["policy"]
    assert (np.diff(versions.astype(int)) >= 0).all() and versions[-1] > 0
    with rv.Learner.load(tmp_path / "run") as learner:  # nothing was saved: all is learnt from the journal
        assert learner.steps == 21 and learner.trainer.updates == 18
        driven(learner, 3)
        learner.save()
    with rv.Learner.load(tmp_path / "run") as learner:
        assert learner.steps == 24 and learner.trainer.updates + learner.trainer.owed.count == 21


def test_asking_never_waits_for_an_update_in_the_background(monkeypatch, tmp_path):
    with rv.Learner(naf(update_after="background"), spec=SPEC, out=tmp_path / "run") as learner:
        driven(learner, 16)
        trainer = learner.trainer
        update, released = trainer.run_update, threading.Event()

        def slow():
            assert released.wait(60)
            update()

        monkeypatch.setattr(trainer, "run_update", slow)
        learner.ask(np.zeros(2))
        learner.tell(1.0, np.ones(2), False)
        learner.ask(np.zeros(2))
        assert trainer.owed.count == 1, "it still runs"
        released.set()
        learner.tell(1.0, np.ones(2), False, True)
        assert trainer.owed.count == 0, "and an episode's end waits for it"


def test_a_learner_that_is_dropped_leaves_no_thread_behind():
    learner = rv.Learner(naf(update_after="background"), spec=SPEC)
    driven(learner, 16)
    (thread,) = (found for found in threading.enumerate() if found.name == "reverie updates")
    del learner
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()


def test_a_pause_waits_for_the_update_in_progress_not_for_all_that_are_owed():
    done = []

    def update():
        time.sleep(0.002)
        done.append(None)

    background = BackgroundUpdates(update, lambda: 10**6)
    background.wake()
    for _ in range(20):
        time.sleep(0.001)
        before = len(done)
        with background.paused():
            inside = len(done)
            time.sleep(0.005)
            assert len(done) == inside <= before + 2
    background.close()
    assert len(done) > 5, "and between the pauses it goes on"


def test_an_error_in_the_background_is_raised_in_the_loop(monkeypatch):
    with rv.Learner(naf(update_after="background"), spec=SPEC) as learner:
        driven(learner, 16)

        def broken():
            raise rv.DivergedError("all is lost")

        monkeypatch.setattr(learner.trainer, "run_update", broken)
        with pytest.raises(rv.DivergedError, match="all is lost"):
            driven(learner, 16)


@pytest.mark.parametrize("after", ["time", "background"])
def test_learn_keeps_the_pace_and_counts_what_it_missed(after, tmp_path):
    starts = []

    class Paced(Line):
        def step(self, action):
            starts.append(time.monotonic())
            return super().step(action)

    with rv.Learner(naf(update_after=after), env=Paced, out=tmp_path / "run", clock=rv.Clock(0.03)) as learner:
        learner.compile().learn(24)
        assert learner.missed_ticks is not None
    steps = np.diff(starts)
    assert np.median(steps) > 0.029
    assert {"missed_ours", "missed_machine", "owed"} <= set(read_rows(tmp_path / "run" / "metrics.csv")[0])


def test_a_period_that_the_world_cannot_keep_gets_one_line(tmp_path):
    class Slow(Line):
        def step(self, action):
            time.sleep(0.003)
            return super().step(action)

    with rv.Learner(naf(), env=Slow, out=tmp_path / "run", clock=rv.Clock(0.001)) as learner:
        learner.learn(120)
        assert learner.missed_ticks is not None and learner.missed_ticks["machine"] > 50
    told = [row["text"] for row in read_rows(tmp_path / "run" / "events.csv") if row["kind"] == "clock"]
    assert len(told) == 1 and "more than the period of 1 ms" in told[0]


@pytest.mark.parametrize(
    ("agent", "options", "sentence"),
    [
        (naf(), {"clock": 0.05}, r"clock is 0.05; give rv.Clock\(period=0.05\)"),
        (naf(update_after="time"), {}, r"give clock=rv.Clock"),
        (rv.Imagination(naf(update_after="background"), rv.LinearGaussian()), {}, "for agents without imagination"),
    ],
)
def test_what_does_not_fit_together_is_refused(agent, options, sentence, tmp_path):
    with pytest.raises(rv.ConfigError, match=sentence):
        rv.Learner(agent, spec=SPEC, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_on_the_command_line(tmp_path):
    settings = [word for pair in ("hidden=8", "batch_size=4", "warmup_steps=3") for word in ("--set", pair)]
    words = ("train", "naf", "reacher", *settings, "--out", tmp_path / "run", "--evaluate-every", "0")
    facts = one_object(*words, "--steps", "60", "--period", "0.002")
    assert set(facts["missed_ticks"]) == {"ours", "machine", "owed"}
    facts = one_object(*words, "--steps", "20", "--resume")
    assert facts["steps"] == 80 and "missed_ticks" in facts
