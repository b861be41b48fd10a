"""The progress line: what it says of the time left."""

import re

import pytest

from reverie.report import progress
from reverie.report.progress import Countdown


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until its one entry is changed."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("first", [0, 500])
@pytest.mark.parametrize("compiling", [0.0, 30.0, 600.0])
def test_the_time_left_knows_nothing_of_what_the_first_step_waited_for(clock, capsys, compiling, first):
    countdown = Countdown("naf", first + 900, first)
    clock[0] += compiling
    for step in range(1, 401):
        clock[0] += 1 / 30
        countdown.show(first + step)
    told = capsys.readouterr().err.splitlines()
    assert compiling == 0.0 or told[0] == f"step {first + 1}/{first + 900}"  # no rate yet, and no time left
    (line,) = [line for line in told if "left" in line]
    step, rate, left = re.fullmatch(r"step (\d+)/\d+  (\S+) steps/s  (\d+) s left", line).groups()
    assert float(rate) == pytest.approx(30, rel=0.01)
    assert float(left) == pytest.approx((first + 900 - int(step)) / 30, abs=0.6)


def test_where_nobody_knows_the_goal_no_time_left_is_shown(clock, capsys):
    countdown = Countdown("naf", None)
    for step in (1, 2):
        clock[0] += 20
        countdown.show(step, lambda: "return 3  ")
    assert capsys.readouterr().err == "step 1/?  return 3\nstep 2/?  0.05 steps/s  return 3\n"
