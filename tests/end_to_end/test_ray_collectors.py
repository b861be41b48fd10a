"""Collectors as actors of a Ray cluster: the same promises as for local processes."""

import importlib.util
import os
import signal

import pytest

import reverie as rv
from collected import logged, records_of, require_consistent, require_each_once, steps_by_process
from commands import refusal
from reverie.collecting import supervisor as supervising
from reverie.core.errors import ConfigError, WorldError
from reverie.storage.tables import read_rows

SETTINGS = {"hidden": (16,), "batch_size": 16, "warmup_steps": 50, "updates_per_step": 2}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster of its own; returns the environments' log."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("LOGGED_ENV", str(tmp_path / "log"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield tmp_path / "log"
    ray.shutdown()


def test_actors_take_each_step_once_though_one_is_killed(cluster, tmp_path):
    killed = []

    def kill(learner, event):
        if isinstance(event, rv.StepEnded) and event.step == 150:
            killed.append(logged(cluster)[-1][0])
            os.kill(killed[-1], signal.SIGKILL)

    before = signal.getsignal(signal.SIGTERM)
    with rv.Learner(rv.NAF(**SETTINGS), "logged_env:SlowLoggedEnv", out=tmp_path / "run") as learner:
        learner.learn(400, collectors=3, backend="ray", callbacks=[kill])
        assert (learner.steps, learner.trainer.updates) == (400, 350)
        records = records_of(tmp_path / "run")
        assert len(steps_by_process(records)) >= 3 and os.getpid() not in steps_by_process(records)
        assert require_each_once(records, cluster) <= supervising.REQUESTS * supervising.STEPS
        assert not any(jax for *_, jax in logged(cluster))
        require_consistent(tmp_path / "run")
        (event,) = [row for row in read_rows(tmp_path / "run" / "events.csv") if row["kind"] == "collector"]
        assert "another one takes its place" in event["text"]
        assert float(read_rows(tmp_path / "run" / "metrics.csv")[-1]["staleness"]) > 0
        assert signal.getsignal(signal.SIGTERM) is before
    with (
        rv.Learner(rv.NAF(**SETTINGS), "logged_env:Breaking") as learner,
        pytest.raises(WorldError, match=r"^collector [12]: .* raised in step 20: OSError: the arm fell off$"),
    ):
        learner.learn(1000, collectors=2, backend="ray")


def test_a_cluster_that_is_not_there_gets_one_line_and_no_run(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    words = ["train", "naf", "Pendulum-v1", "--collectors", "2", "--backend", "ray", "--out", tmp_path / "run"]
    line = refusal(*words)
    assert "no Ray cluster was found or started at RAY_ADDRESS=127.0.0.1:1; start one with `ray start --head`" in line
    assert not (tmp_path / "run").exists()


def test_ray_that_is_not_installed_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name, *more))
    with (
        rv.Learner(rv.NAF(**SETTINGS), "Pendulum-v1") as learner,
        pytest.raises(ConfigError, match=r"pip install 'reverie\[ray\]'"),
    ):
        learner.learn(10, collectors=2, backend="ray")


def test_a_backend_that_is_not_there_gets_the_nearest_name(tmp_path):
    words = ["train", "naf", "Pendulum-v1", "--collectors", "2", "--backend", "rey", "--out", tmp_path / "run"]
    assert "unknown backend 'rey'; did you mean 'ray'?" in refusal(*words)
