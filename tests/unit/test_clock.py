"""What is left of a tick, which ticks were missed and by whom, with a clock of the test's own."""

import itertools

import numpy as np
import pytest

import reverie as rv
from reverie.training.clock import JUDGED, Ticks


class Time:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


def ticks_of(period=1.0):
    time = Time()
    return time, Ticks(rv.Clock(period), now=time, sleep=time.pass_by)


def tick(time, ticks, move=0.2, learn=0.0, pause=None, last=False):
    """One turn of a loop that waits for the next tick, unless it pauses for some seconds instead."""
    began = time.now
    ticks.asked()
    ticks.acted()
    time.pass_by(move)
    ticks.outcome()
    time.pass_by(learn)
    ticks.done(last)
    time.pass_by(max(0.0, began + ticks.clock.period - time.now) if pause is None else pause)


def full_tick(time, ticks, slices, move=0.0, need=0.0):
    """One turn in which learning uses all that is left; return whether it began late.

    slices: lengths of the next ones.  need: what the program needs after it was told.
    """
    before, began = sum(missed(ticks)), time.now
    ticks.asked()
    late = sum(missed(ticks)) > before
    ticks.acted()
    time.pass_by(move)
    ticks.outcome()
    while ticks.fits():
        ticks.timed(lambda: time.pass_by(next(slices)))
    ticks.done(False)
    time.pass_by(max(need, began + ticks.clock.period - time.now))
    return late


def missed(ticks):
    return ticks.ours, ticks.machine


def test_a_loop_in_time_misses_nothing():
    time, ticks = ticks_of()
    for _ in range(100):
        tick(time, ticks, learn=0.5)
    ticks.asked()
    assert missed(ticks) == (0, 0)


def test_learning_that_takes_too_long_is_ours():
    time, ticks = ticks_of()
    tick(time, ticks, learn=1.5)
    ticks.asked()
    assert missed(ticks) == (1, 0)


def test_learning_that_leaves_the_program_no_time_is_ours():
    time, ticks = ticks_of()
    tick(time, ticks, move=0.2, learn=0.75, pause=0.3)
    ticks.asked()
    assert missed(ticks) == (1, 0)


def test_a_slow_machine_is_not_ours():
    time, ticks = ticks_of()
    tick(time, ticks, move=1.4, learn=0.3)
    tick(time, ticks, move=0.1, learn=0.1, pause=3.1)
    ticks.asked()
    assert missed(ticks) == (0, 3), "one, then two that passed by"


def test_the_end_of_an_episode_is_no_tick():
    time, ticks = ticks_of()
    tick(time, ticks, last=True, learn=30.0)
    ticks.asked()
    ticks.leave()
    time.pass_by(50.0)
    ticks.asked()
    assert missed(ticks) == (0, 0)


def test_slices_fit_until_the_reserve():
    time, ticks = ticks_of()
    ticks.asked()
    ticks.acted()
    time.pass_by(0.3)
    ticks.outcome()
    slices = 0
    while ticks.fits():
        ticks.timed(lambda: time.pass_by(0.1))
        slices += 1
    assert slices == 5 and time.now == pytest.approx(0.8), "a fifth of the period is kept at first"
    assert not Ticks(rv.Clock(1.0), now=time).fits(), "before the first tick"


@pytest.mark.parametrize("usual", [0.1, 2.0])
def test_one_slow_slice_does_not_end_learning_within_ticks(usual):
    time, ticks = ticks_of()
    lengths, learnt = iter([2.0]), []
    for turn in range(3000):
        ticks.asked()
        ticks.acted()
        ticks.outcome()
        while ticks.fits():
            ticks.timed(lambda: time.pass_by(next(lengths, usual)))
            learnt.append(turn)
        ticks.done(False)
        ticks.wait()
    if usual < 1.0:
        assert learnt[0] == 0 and learnt[1] == 21 and len(learnt) > 2000, "after 20 ticks without"
    else:
        assert len(learnt) <= 10, "a slice that never fits is tried at ever longer intervals"


def test_the_reserve_learns_from_ticks_late_and_in_time():
    time, ticks = ticks_of()
    late = [full_tick(time, ticks, itertools.repeat(0.01), move=0.1, need=0.4) for _ in range(400)]
    assert sum(late[:20]) >= 1, "it cannot know at first"
    assert sum(late[20:]) <= 4, "then it leaves the time that is needed"
    assert ticks.machine == 0 and time.now < 400 * 1.05


def test_the_reserve_tries_to_shrink_ever_more_rarely():
    time, ticks = ticks_of()
    slices = iter(np.random.default_rng(0).uniform(0.08, 0.1, 10**6))
    for _ in range(100_000):
        full_tick(time, ticks, slices, move=0.1, need=0.33)
    assert 1 <= ticks.ours <= 50 and ticks.machine == 0, "at most one tick in 2,000"


def test_a_program_that_wakes_up_late_is_not_ours():
    """Learning left it as much time as ever: it overslept."""
    time, ticks = ticks_of()
    for turn in range(200):
        tick(time, ticks, move=0.05, learn=0.45, pause=0.65 if turn % 50 == 49 else None)
    ticks.asked()
    assert missed(ticks) == (0, 4)


def test_a_program_that_comes_to_need_more_time_gets_it():
    time, ticks = ticks_of()
    slices = itertools.repeat(0.02)
    late = [full_tick(time, ticks, slices, need=0.5 if turn >= 500 else 0.0) for turn in range(1000)]
    assert sum(late[:500]) == 0 and 1 <= sum(late[500:600]) <= 60 and sum(late[600:]) <= 4


def test_a_period_shorter_than_a_step_is_reported_once():
    time, ticks = ticks_of(0.01)
    told = []
    for _ in range(2 * JUDGED):
        tick(time, ticks, move=0.02)
        told.append(ticks.too_short())
    (text,) = [each for each in told if each]
    assert "takes 20 ms at the median, more than the period of 10 ms" in text and "0.024 s or more" in text
    time, ticks = ticks_of(0.01)
    for _ in range(2 * JUDGED):
        tick(time, ticks, move=0.005)
        assert ticks.too_short() is None


def test_waiting_keeps_the_pace():
    time, ticks = ticks_of()
    ticks.wait()
    assert time.now == 0.0
    ticks.asked()
    time.pass_by(0.25)
    ticks.wait()
    assert time.now == 1.0
    time.pass_by(0.5)
    ticks.asked()
    ticks.wait()
    assert time.now == 2.5


@pytest.mark.parametrize(
    "wrong", [{"period": 0}, {"period": 1e10}, {"period": -1}, {"period": "a"}, {"period": 1, "tolerance": 2}]
)
def test_a_clock_that_cannot_run_is_refused(wrong):
    with pytest.raises(rv.ConfigError, match="Clock\\("):
        rv.Clock(**wrong)
