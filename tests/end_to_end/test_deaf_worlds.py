"""One signal ends a process, whatever somebody's environment does: hangs, swallows exceptions, or handles signals itself."""

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import warnings

import pytest

from reverie.cli import main
from reverie.environments import blocking_calls
from reverie.storage import journal
from reverie.training import deferred_interrupts, signal_handlers

DEADLINE = 300  # seconds, against hanging
SMALL = ["--evaluate-every", "0", "--quiet", "--set", "hidden=8", "--set", "warmup_steps=100"]
WORLD = '''
import asyncio, contextlib, ctypes, multiprocessing, os, signal, subprocess, sys, threading, time
import gymnasium as gym
import numpy as np

STAGE, THEN = os.environ["STAGE"], os.environ["THEN"]


def over():
    return "OVER" in os.environ  # tests that run in one process end what nothing else ends


def sleep():
    while not over():
        time.sleep(0.05)


def spin():
    while not over():
        pass


def swallow():
    while not over():
        with contextlib.suppress(BaseException):
            time.sleep(0.05)


def wrap():
    try:
        sleep()
    except BaseException:
        raise RuntimeError("the robot's link is down")


def lock():
    held = threading.Lock()
    held.acquire()
    while not held.acquire(timeout=0.05) and not over():
        pass


def thread():
    started = threading.Thread(target=sleep, daemon=True)
    started.start()
    started.join()


def child():
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            process.wait()
        finally:
            process.kill()


def loop():
    async def wait():
        while not over():
            await asyncio.sleep(0.05)

    asyncio.run(wait())


def pool():
    with multiprocessing.get_context("fork").Pool(1) as workers:
        workers.map(time.sleep, [600])


def in_c():
    while not over():
        ctypes.CDLL(None).usleep(50_000)


def unheard():
    signal.set_wakeup_fd(-1)
    sleep()


def masked():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        sleep()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def each(handler):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def ignore():
    each(signal.SIG_IGN)


def default():
    each(signal.SIG_DFL)


def python():
    each(signal.default_int_handler)


def own():
    each(lambda number, frame: None)


def own_that_exits():
    each(lambda number, frame: sys.exit(1))


def ignore_in_c():
    for number in (signal.SIGINT, signal.SIGTERM):
        ctypes.CDLL(None).signal(number, ctypes.c_void_p(1))


def default_in_c():
    for number in (signal.SIGINT, signal.SIGTERM):
        ctypes.CDLL(None).signal(number, ctypes.c_void_p(0))


def event_loop():
    made = asyncio.new_event_loop()
    made.add_signal_handler(signal.SIGTERM, lambda: None)
    made.add_signal_handler(signal.SIGUSR1, lambda: None)
    made.close()  # which takes the wakeup descriptor away


def mask():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


HANDLERS = (ignore, default, python, own, own_that_exits, ignore_in_c, default_in_c, event_loop, mask)


def reached(stage):
    if stage == STAGE and not over():
        do = globals()[THEN]
        if do in HANDLERS:
            globals()["STAGE"] = ""
            do()
        else:
            if do is not masked:
                os.kill(os.getpid(), signal.SIGTERM)
            do()
    if stage == "step 9" and globals()[THEN] in HANDLERS:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)


class Lazy:
    """What a sensor may hand over: it is read when it is looked at."""

    shape = (2,)

    def __array__(self, *_, **__):
        reached("array")
        return np.zeros(2, np.float32)

    def __repr__(self):
        reached("repr")
        return "Lazy"


class Parts(tuple):
    def __len__(self):
        reached("len")
        return super().__len__()

    def __iter__(self):
        reached("iter")
        return super().__iter__()


class World(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, render_mode=None):
        reached("make")
        self.render_mode, self.steps, self.left = render_mode, 0, 10

    def __getattribute__(self, name):
        if name == STAGE:
            reached(name)
        return super().__getattribute__(name)

    @property
    def observation_space(self):
        return gym.spaces.Box(-9, 9, (2,), np.float32)

    @property
    def action_space(self):
        return gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        reached("reset")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps, self.left = self.steps + 1, self.left - 1
        reached(f"step {self.steps}")
        if self.steps < 5:
            return np.zeros(2, np.float32), 1.0, False, self.left == 0, {}
        observation = Lazy() if STAGE == "array" else np.zeros(2, np.float32)
        reward = Lazy() if STAGE == "repr" else 1.0
        return Parts((observation, reward, False, self.left == 0, {}))

    def render(self):
        reached("render")
        return np.zeros((16, 16, 3), np.uint8)

    def close(self):
        reached("close")


reached("import")
'''
WAITS = ["sleep", "spin", "wrap", "lock", "thread", "child", "loop", "pool", "in_c", "unheard", "masked"]
STAGES = ["make", "reset", "step 5", "close", "observation_space", "action_space", "spec", "unwrapped", "horizon"]
STAGES += ["array", "repr", "len", "iter"]
HANDLERS = ["ignore", "default", "python", "own", "own_that_exits", "event_loop", "mask"]
IN_C = ["ignore_in_c", "default_in_c"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the deaf world, in a process of little patience."""
    (tmp_path / "deaf.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blocking_calls, "PATIENCE", 0.02)
    monkeypatch.setattr(deferred_interrupts, "LOOK", 0.01)
    monkeypatch.setattr(deferred_interrupts, "GIVE_UP", 0.2)
    monkeypatch.delenv("OVER", raising=False)
    for calls in (
        blocking_calls.IMPORT,
        blocking_calls.MAKE,
        blocking_calls.RESET,
        blocking_calls.STEP,
        blocking_calls.RENDER,
        blocking_calls.CLOSE,
    ):
        monkeypatch.setattr(calls, "longest", 0.0)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield tmp_path
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    left = multiprocessing.active_children()
    for child in left:
        child.kill()
    assert not left, "a pool was not given the time to end its processes"


def reverie(monkeypatch, stage, then, *words, at_once=None):
    """Return status and stderr of a command in this process whose environment does something at a stage."""
    for name, value in (("STAGE", stage), ("THEN", then)):
        monkeypatch.setenv(name, value)
    sys.modules.pop("deaf", None)
    err = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        with contextlib.redirect_stderr(err), deferred_interrupts.handling(at_once):
            patch.setattr(sys, "path", [*sys.path])
            status = main([str(word) for word in words])
    sys.modules.pop("deaf", None)
    return status, err.getvalue()


def given_up():
    """Stand in for the end of the process: whatever waits ends."""
    os.environ["OVER"] = "1"


def ended(status, err, run, saved):
    """One line (and the one that goes on), status 130, nothing lost."""
    first, *rest = err.splitlines()
    assert status == 130 and "interrupted" in first and len(rest) == ("To continue:" in first)
    if saved is not None:
        assert first.startswith(f"interrupted at step {saved}")
        assert len(journal.read(run / "experience" / "journal.bin")[1]) == saved


def train(monkeypatch, stage, then, *more, at_once=None):
    words = ["train", "naf", "deaf:World", *SMALL, "--steps", "40", "--out", "run", *more]
    with warnings.catch_warnings():
        warnings.filterwarnings("always", ".*own handler")
        warnings.filterwarnings("ignore", ".*fork", RuntimeWarning)  # JAX's and Python's, of worlds that do
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        return reverie(monkeypatch, stage, then, *words, at_once=at_once)


# Python drops an exception that falls into a callback of its own (after a fork, in __del__): the next one ends the wait.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("then", WAITS)
def test_a_wait_of_whatever_kind_ends(here, monkeypatch, then):
    ended(*train(monkeypatch, "step 5", then), here / "run", 4)


@pytest.mark.parametrize("stage", STAGES)
def test_a_wait_wherever_it_is_ends(here, monkeypatch, stage):
    status, err = train(monkeypatch, stage, "sleep", "--steps", "10")
    saved = {
        "step 5": 4,
        "array": 4,
        "len": 4,
        "iter": 4,
        "repr": 4,
        "reset": 0,
        "close": 10,
        "horizon": None,
    }
    if stage == "horizon":
        status, err = train(monkeypatch, stage, "sleep", "--evaluate-every", "5", "--out", "other")
    ended(status, err, here / "run", saved.get(stage))


@pytest.mark.parametrize("stage", ["import", *STAGES, "render"])
def test_what_swallows_every_exception_is_given_up(here, monkeypatch, stage):
    monkeypatch.setattr(deferred_interrupts, "BACKSTOP", 0.3)  # an import is not interrupted
    words = ["--evaluate-every", "5"] if stage == "horizon" else []
    if stage == "render":
        train(monkeypatch, "", "swallow")
        status, err = reverie(monkeypatch, "render", "swallow", "video", "run", "-o", "film.gif", at_once=given_up)
        assert not (here / "film.gif").exists()
    else:
        status, err = train(monkeypatch, stage, "swallow", "--steps", "10", *words, at_once=given_up)
    assert "OVER" in os.environ
    # All was learnt by `close`: where `given_up` is not the end of the process, the command ends well.
    if stage != "close":
        ended(status, err, here / "run", None)


@pytest.mark.parametrize("for_all", [True, False], ids=["command", "program"])
@pytest.mark.parametrize("then", HANDLERS + IN_C)
@pytest.mark.parametrize("stage", ["import", "make", "reset", "step 5"])
def test_handlers_of_an_environment_do_not_stay(here, monkeypatch, stage, then, for_all):
    if stage == "step 5" and (then in IN_C or not for_all):
        monkeypatch.setattr(signal_handlers, "EVERY", 0.0)
    before = [signal.getsignal(number) for number in signal_handlers.STOPPING]
    status, err = train(monkeypatch, stage, then, at_once=given_up if for_all else None)
    assert (status, "OVER" in os.environ) == (130, False)
    assert [signal.getsignal(number) for number in signal_handlers.STOPPING] == before
    assert "interrupted at step" in err
    if then != "event_loop":  # whose handler is its own in some versions of Python
        assert err.count("own handler") == (then in ("own", "own_that_exits"))
