"""A learner is used by one thread of one process at a time, and notices when its directory is taken away."""

import gc
import os
import shutil
import threading

import numpy as np
import pytest

import reverie as rv
from reverie.core.errors import ReverieWarning
from reverie.storage import journal
from reverie.training import run_logger
from worlds import Line

SMALL = rv.NAF(hidden=(8,), batch_size=4, warmup_steps=4, updates_per_step=1)
SPEC = rv.EnvSpec(2, [-1.0], [1.0], "cell")
X = np.zeros(2, np.float32)

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:.*fork.*:RuntimeWarning"
    ),  # JAX's, on os.fork: these children do nothing with it
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def steps_of(run):
    return journal.read(run / "experience" / "journal.bin")[1]["step"].tolist()


def asked(out=None):
    return rv.Learner(SMALL, spec=SPEC, out=out)


def tell(learner, count):
    for _ in range(count):
        learner.ask(X)
        learner.tell(0.0, X, False)


# ---- one thread


CALLS = {
    "ask": lambda learner: learner.ask(X),
    "tell": lambda learner: learner.tell(0.0, X, False),
    "save": lambda learner: learner.save(),
    "save_best": lambda learner: learner.save_best(),
    "evaluate": lambda learner: learner.evaluate(1),
    "learn": lambda learner: learner.learn(3),
    "close": lambda learner: learner.close(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_second_thread_is_refused_while_the_first_is_at_work(call, tmp_path):
    found = []

    def interfere(learner, event):
        if isinstance(event, rv.StepEnded) and event.step == 5:
            thread = threading.Thread(target=meddle, args=(learner,))
            thread.start()
            thread.join()

    def meddle(learner):
        try:
            CALLS[call](learner)
        except rv.ReverieError as error:
            found.append(str(error))

    with rv.Learner(SMALL, Line, out=tmp_path) as learner:
        learner.learn(10, callbacks=[interfere])
        assert learner.learn(2).steps == 12
    (sentence,) = found
    assert "another thread is using this learner; use it from one thread at a time" in sentence
    assert steps_of(tmp_path) == list(range(1, 13))
    with rv.Learner.load(tmp_path, env=Line) as learner:
        assert learner.steps == 12


def test_threads_that_race_leave_a_journal_that_loads(tmp_path):
    barrier, refused = threading.Barrier(4), []

    def work(learner):
        barrier.wait()
        for _ in range(30):
            try:
                learner.ask(X)
                learner.tell(0.0, X, False)
            except rv.ReverieError as error:  # told while another asked, or the other way round
                refused.append(str(error))

    with asked(tmp_path) as learner:
        threads = [threading.Thread(target=work, args=(learner,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        count = learner.steps
    assert steps_of(tmp_path) == list(range(1, count + 1))
    with rv.Learner.load(tmp_path) as learner:
        assert learner.steps == count


def test_a_learner_may_be_handed_from_thread_to_thread(tmp_path):
    learner = asked(tmp_path)
    for _ in range(3):
        thread = threading.Thread(target=tell, args=(learner, 2))
        thread.start()
        thread.join()
    tell(learner, 1)
    thread = threading.Thread(target=learner.close)
    thread.start()
    thread.join()
    with rv.Learner.load(tmp_path) as again:  # the lock was given back, though by another thread
        assert again.steps == 7


def test_what_is_guarded_is_given_back_after_an_error():
    with asked() as learner:
        with pytest.raises(rv.ConfigError, match=r"tell\(\) was called without ask"):
            learner.tell(0.0, X, False)
        thread = threading.Thread(target=tell, args=(learner, 1))
        thread.start()
        thread.join()
        assert learner.steps == 1


# ---- one process


def in_child(work):
    """Run `work` in a fork; return the line that it gives."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as lines:
        return lines.read().decode()


@needs_fork
@pytest.mark.parametrize("call", [*(name for name in CALLS if name != "close"), "predict"])
def test_a_fork_is_refused_at_its_first_use(call, tmp_path):
    calls = CALLS | {"predict": lambda learner: learner.predict(X)}

    def use():
        try:
            calls[call](learner)
            return "it was let in"
        except rv.ReverieError as error:
            return str(error)

    with rv.Learner(SMALL, Line, out=tmp_path) as learner:
        learner.learn(5)
        sentence = in_child(use)
        assert f"belongs to process {os.getpid()}, and " in sentence and "is a fork of it" in sentence
        assert learner.learn(5).steps == 10
    assert steps_of(tmp_path) == list(range(1, 11))


@needs_fork
@pytest.mark.parametrize("own", [True, False], ids=["own", "passing"])
def test_a_fork_that_ends_leaves_its_parent_everything(own, tmp_path):
    def end():
        learner.close()
        getattr(learner, "_forget_passing", print)()  # as at exit
        return str(learner.out.exists())

    with asked(tmp_path if own else None) as learner:
        tell(learner, 3)
        assert in_child(end) == "True"
        with pytest.raises(rv.StorageError, match="in use by another process"):
            rv.Learner.load(learner.out)
        tell(learner, 3)
        assert steps_of(learner.out) == [1, 2, 3, 4, 5, 6]


# ---- one directory


@pytest.fixture
def looking(monkeypatch):
    """Look at every step."""
    monkeypatch.setattr(run_logger, "LOOK_SECONDS", -1.0)


def stopped(learner):
    """Return the one sentence that ends learning, and that everything after says again."""
    with pytest.raises(rv.StorageError) as error:
        tell(learner, 1)
    sentence = str(error.value)
    assert "\n" not in sentence
    for again in (lambda: tell(learner, 1), learner.save, learner.save_best):
        with pytest.raises(rv.StorageError) as other:
            again()
        assert str(other.value) == sentence
    return sentence


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_directory_that_is_removed_is_noticed_and_its_steps_are_kept(replaced, looking, tmp_path):
    run = tmp_path / "run"
    with asked(run) as learner:
        tell(learner, 5)
        shutil.rmtree(run)
        if replaced:
            asked(run).close()
        there = sorted(path for path in run.rglob("*"))
        sentence = stopped(learner)
        assert sentence == (
            f"{run} was removed or replaced during learning; all 6 steps are kept in {run}-kept: continue there with "
            f"rv.Learner.load('{run}-kept')"
        )
        assert sorted(path for path in run.rglob("*")) == there, "nothing is written to what is there now"
    assert steps_of(tmp_path / "run-kept") == [1, 2, 3, 4, 5, 6]
    with rv.Learner.load(tmp_path / "run-kept") as again:
        tell(again, 1)
        assert again.steps == 7


def test_a_directory_that_is_moved_is_noticed_and_named(looking, tmp_path):
    with asked(tmp_path / "run") as learner:
        tell(learner, 5)
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        sentence = stopped(learner)
    assert "run was moved or replaced during learning; all 6 steps are in " in sentence
    if os.path.exists("/proc/self/fd"):
        assert sentence.endswith(str(tmp_path / "elsewhere" / "experience" / "journal.bin"))
    assert not (tmp_path / "run").exists() and not (tmp_path / "run-kept").exists()
    with rv.Learner.load(tmp_path / "elsewhere") as again:
        assert again.steps == 6


def test_a_journal_that_is_removed_is_written_again(looking, tmp_path):
    with asked(tmp_path) as learner:
        tell(learner, 5)
        shutil.rmtree(tmp_path / "experience")
        assert stopped(learner).endswith(
            f"all 6 steps were written there again: continue with rv.Learner.load({str(tmp_path)!r})"
        )
    with rv.Learner.load(tmp_path) as again:
        assert again.steps == 6


def test_a_journal_that_is_replaced_is_kept_beside(looking, tmp_path):
    run = tmp_path / "run"
    with asked(run) as learner:
        tell(learner, 5)
        (run / "experience" / "journal.bin").unlink()
        (run / "experience" / "journal.bin").write_bytes(b"somebody else's")
        assert f"kept in {run}-kept" in stopped(learner)
    assert (run / "experience" / "journal.bin").read_bytes() == b"somebody else's"
    assert steps_of(tmp_path / "run-kept") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_lock_that_is_taken_away_ends_learning(replaced, looking, tmp_path):
    with asked(tmp_path) as learner:
        tell(learner, 5)
        (tmp_path / ".lock").unlink()
        if replaced:
            (tmp_path / ".lock").touch()
        assert "so that another process may write there too; all 6 steps are there" in stopped(learner)
    with rv.Learner.load(tmp_path) as again:
        assert again.steps == 6


def test_a_working_folder_that_changed_is_told_from_a_removed_directory(looking, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with asked("run") as learner:
        tell(learner, 5)
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert "since this program changed its folder from" in stopped(learner)
        monkeypatch.chdir(tmp_path)
    with rv.Learner.load("run") as again:
        assert again.steps == 6


@pytest.mark.parametrize("gone", ["run", "."], ids=["the directory", "the working folder"])
def test_a_relative_directory_that_is_removed_is_kept_wherever_the_program_is(gone, looking, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with asked("run") as learner:
        tell(learner, 5)
        if gone == "run":
            monkeypatch.chdir(tmp_path)
        shutil.rmtree(tmp_path / "here" / gone)
        assert f"kept in {tmp_path / 'here' / 'run-kept'}" in stopped(learner)
        monkeypatch.chdir(tmp_path)
    with rv.Learner.load(tmp_path / "here" / "run-kept") as again:
        assert again.steps == 6


def test_a_journal_that_another_program_cuts_ends_learning(looking, tmp_path):
    with asked(tmp_path) as learner:
        tell(learner, 5)
        os.truncate(tmp_path / "experience" / "journal.bin", 1100)
        assert "was cut by another program during learning; `reverie recover" in stopped(learner)


def test_a_config_that_is_removed_is_written_again(looking, tmp_path):
    with asked(tmp_path) as learner:
        tell(learner, 5)
        held = (tmp_path / "config.json").read_bytes()
        (tmp_path / "config.json").unlink()
        with pytest.warns(ReverieWarning, match="was removed; it is written again"):
            tell(learner, 5)
    assert (tmp_path / "config.json").read_bytes() == held
    with rv.Learner.load(tmp_path) as again:
        assert again.steps == 10


def test_steps_that_cannot_be_kept_are_said_to_be_lost(looking, tmp_path, monkeypatch):
    with asked(tmp_path / "run") as learner:
        tell(learner, 5)
        shutil.rmtree(tmp_path / "run")
        monkeypatch.setattr(
            "reverie.training.directory_watch.make_folder", lambda path: (_ for _ in ()).throw(OSError(28, "No room"))
        )
        assert "all 6 steps are lost, since they could not be saved: " in stopped(learner)


def test_learning_stops_when_its_directory_goes_and_nothing_is_written_there(looking, tmp_path):
    def remove(learner, event):
        if isinstance(event, rv.StepEnded) and event.step == 8:
            shutil.rmtree(tmp_path / "run")

    with rv.Learner(SMALL, Line, out=tmp_path / "run") as learner:
        with pytest.raises(rv.StorageError, match="was removed or replaced during learning; all 9 steps are kept in"):
            learner.learn(50, callbacks=[remove])
        assert not (tmp_path / "run").exists()
    assert steps_of(tmp_path / "run-kept") == list(range(1, 10))


def test_looking_is_for_once_in_a_second(tmp_path, monkeypatch):
    looks = []
    with asked(tmp_path) as learner:
        monkeypatch.setattr(learner._session.records, "check_directory", lambda: looks.append(1))
        tell(learner, 50)
    assert len(looks) < 10


# ---- nothing is left open


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts open files")
def test_a_learner_that_nobody_closes_leaves_nothing_open(tmp_path):
    def open_files():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    asked().close()
    before = open_files()
    for i in range(3):
        tell(asked(tmp_path / str(i)), 2)
        tell(asked(), 2)
    assert open_files() == before
