"""The progress line: what it says of the time left."""

import re
import sys
import types

import pytest
from rich.cells import cell_len

from reverie.report import progress
from reverie.report.progress import Countdown, Progress
from reverie.training.callbacks import Began, Compiling, Ended, EpisodeEnded, StepEnded


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
        countdown.show(step, lambda rate: [rate, "return 3"])
    assert capsys.readouterr().err == "step 1/?  return 3\nstep 2/?  0.05 steps/s  return 3\n"


class Terminal:
    """A stderr that is a terminal of some width; keeps what was written."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def terminal_of(monkeypatch, width):
    """Make stderr a terminal; pytest puts its own there between a fixture and its test."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    return found


STATUS = ["! value", "1234 steps/s", "return -1.234e+03", "loss 0.00123", "evaluated -1.234e+03"]


def at_work(clock, goal=20_000, done=12_000, unit="step"):
    """Return a countdown of a line in the midst of its work."""
    countdown = Countdown("naf HalfCheetah-v5", goal, unit=unit)
    countdown.show(0, steps=0)
    clock[0] += 600
    countdown.show(done, lambda rate: STATUS, steps=12_000)
    return countdown


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60, 40])
def test_step_share_and_time_left_are_there_whatever_the_width(clock, capsys, width):
    before, length, after = at_work(clock).line(width)
    whole = "  ".join([before, *(["━" * length] if length else []), after])
    assert cell_len(whole) <= width
    for part in ("12000/20000", "60 %", "7 min left"):
        assert part in whole
    assert (length >= 8) == (width >= 120 or length > 0) and length <= 40


def test_more_room_shows_more(clock, capsys):
    shown = {width: "  ".join(map(str, at_work(clock).line(width))) for width in (200, 120, 80, 60)}
    assert "naf HalfCheetah-v5" in shown[200] and all(part in shown[200] for part in STATUS)
    assert "! value" in shown[60] and "steps/s" in shown[60]
    assert "return -1.234e+03" in shown[80]
    assert all(len(shown[narrow]) < len(shown[wide]) for narrow, wide in ((60, 80), (80, 120), (120, 200)))


def test_the_bar_on_a_terminal_is_as_long_as_what_is_done(clock, monkeypatch):
    terminal = terminal_of(monkeypatch, 80)
    countdown = at_work(clock)
    countdown._bar.refresh()
    countdown.stop()
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.text).splitlines()
    assert any("12000/20000" in line and "60 %" in line and "7 min left" in line for line in lines)
    assert all(cell_len(line) <= 80 for line in lines)


def test_compiling_is_said_before_the_first_step(clock, monkeypatch):
    terminal = terminal_of(monkeypatch, 60)
    show, learner = Progress(), learner_of()
    show(learner, Began(0, 300))
    show(learner, Compiling(0))
    show(learner, Ended(0))
    assert "0/300" in terminal.text and "0 %" in terminal.text and "compiling …" in terminal.text


def learner_of(**changes):
    facts = {"config": types.SimpleNamespace(name="naf"), "spec": types.SimpleNamespace(name="Line")}
    return types.SimpleNamespace(**facts, recent_returns=[], newest_metrics=None, problems=[], steps=0, **changes)


def test_where_episodes_are_asked_for_episodes_are_counted(clock, capsys):
    show, learner = Progress(), learner_of()
    show(learner, Began(100, None, 30))
    show(learner, Compiling(100))
    for step in range(101, 401):
        clock[0] += 0.5
        learner.steps = step
        show(learner, StepEnded(step))
        if step % 20 == 0:
            show(learner, EpisodeEnded({}))
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "compiling …"
    assert lines[0] == "episode 0/30  2 steps/s" and len(lines) == 15
    assert lines[-1] == "episode 14/30  2 steps/s  2 min left"


def test_learn_says_how_many_episodes_it_was_asked_for():
    import reverie as rv

    seen = []
    agent = rv.NAF(hidden=(4,), batch_size=2, warmup_steps=10**6)
    with rv.Learner(agent, "worlds:Probe") as learner:
        learner.learn(episodes=3, callbacks=[lambda _, event: seen.append(event)])
        learner.learn(2, callbacks=[lambda _, event: seen.append(event)])
    assert [event for event in seen if isinstance(event, Began)] == [Began(0, None, 3), Began(3, 5)]
