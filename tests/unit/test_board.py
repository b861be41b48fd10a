"""The board of cells: what a log gets, the time left, and its words."""

import sys

import pytest

from reverie.report import multi_progress
from reverie.report.multi_progress import MultiProgress, duration

ONE, TWO = ("reacher", "naf", 0), ("peg", "ddpg", 1)


class Clock:
    """A clock that one sets."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(multi_progress, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (40.4, "40 s"),
        (89, "89 s"),
        (90, "2 min"),
        (12 * 60 + 20, "12 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1 h 30 min"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (2 * 3600 - 1, "2 h 0 min"),
        (50 * 3600, "50 h 0 min"),
    ],
)
def test_a_time_in_words(seconds, words):
    assert duration(seconds) == words


def test_a_log_gets_a_line_for_each_cell_that_ends(clock, capsys):
    shown = MultiProgress({ONE: 100.0, TWO: 300.0})
    shown.score(ONE, 10, 20, -5.0)
    assert capsys.readouterr() == ("", "")  # no bars in a log
    clock.now += 100
    shown.end(ONE, "best -0.3 in 100 s")
    clock.now += 60
    shown.end(TWO, "failed: it broke")
    shown.stop()
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines() == [
        "1/2 cells  reacher naf 0: best -0.3 in 100 s; about 5 min left",
        "2/2 cells  peg ddpg 1: failed: it broke",
    ]


def test_the_time_left_is_the_guess_mended_by_what_has_passed(clock):
    shown = MultiProgress({ONE: 100.0, TWO: 300.0})
    assert shown.left == ""  # nothing is known yet
    clock.now += 25
    shown.score(ONE, 5, 20, -5.0)  # a quarter of 100 s in 25 s: the guess was right, and 375 s are left
    assert shown.left == "about 6 min left"
    clock.now += 25
    assert shown.left == "about 12 min left"  # half as fast as guessed
    shown.score(TWO, 10, 20, -5.0)  # 175 s' worth in 50 s
    assert shown.left == "about 64 s left"  # 225 · 50 / 175
    shown.end(ONE, "well")
    shown.end(TWO, "well")
    assert shown.left == ""


def test_jobs_side_by_side_are_in_the_time_left(clock):
    shown = MultiProgress({(name,): 100.0 for name in "abcd"})
    clock.now += 50
    for name in "ab":  # two at a time, each as fast as guessed
        shown.score((name,), 1, 2, 0.0)
    assert shown.left == "about 2 min left"  # 300 s of work, by two
    assert shown._guess() == 150.0


def test_quiet_shows_nothing(clock, capsys):
    shown = MultiProgress({ONE: 100.0}, quiet=True)
    shown.score(ONE, 10, 20, -5.0)
    shown.end(ONE, "best -0.3 in 100 s")
    shown.stop()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_keeps_the_lines_and_loses_the_bars(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = MultiProgress({ONE: 100.0, TWO: 300.0})
    shown.score(ONE, 10, 20, -5.0)
    assert [(task.description, task.completed, task.total) for task in shown._bars.tasks] == [
        ("0/2 cells", 50.0, 400.0),
        ("reacher naf 0", 10, 20),
    ]
    assert shown._bars.tasks[1].fields["status"] == "10/20  -5"
    shown.end(ONE, "[red] stays a word")
    assert [task.description for task in shown._bars.tasks] == ["1/2 cells"]
    shown.stop()
    shown.stop()
    assert "1/2 cells  reacher naf 0: [red] stays a word" in capsys.readouterr().err


def test_a_score_that_comes_after_the_end_changes_nothing(clock):
    shown = MultiProgress({ONE: 100.0, TWO: 300.0})
    clock.now += 100
    shown.end(ONE, "well")
    left = shown.left
    shown.score(ONE, 10, 20, -5.0)
    assert shown.left == left


def test_what_was_done_before_costs_no_time_now(clock):
    shown = MultiProgress({ONE: 100.0, TWO: 300.0}, {ONE: 10})  # ONE's 100 s are those of its last 10 episodes
    clock.now += 50
    shown.score(ONE, 15, 20, -5.0)
    assert shown.left == "about 6 min left"  # 350 s


def test_a_cell_that_lost_what_it_had_begins_again(clock):
    shown = MultiProgress({ONE: 0.0, TWO: 300.0}, {ONE: 20, TWO: 10})
    clock.now += 50
    shown.score(ONE, 20, 20, -5.0)  # nothing was left to do, and it is told once more
    shown.score(TWO, 5, 20, -5.0)
    assert shown.left == ""
    shown.score(TWO, 15, 20, -5.0)
    assert shown.left == "about 50 s left"
