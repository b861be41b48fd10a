"""Rows of episodes.csv out of journal records, of one world and of several that take turns."""

import numpy as np

from reverie.storage.episodes import are_mixed, rows_of
from reverie.storage.journal import TERMINATED, TRUNCATED, record_dtype


def records(*steps):
    """Return journal records of (episode, flags, reward)."""
    found = np.zeros(len(steps), record_dtype(1, 1))
    found["step"] = np.arange(1, len(steps) + 1)
    found["time"] = 100.0 + np.arange(len(steps))
    found["episode"], found["flags"], found["reward"] = zip(*steps, strict=True)
    return found


def row(step, episode, total, length, flags, seconds):
    dead, cut = int(flags == TERMINATED), int(flags == TRUNCATED)
    names = ("step", "episode", "return", "length", "terminated", "truncated", "seconds")
    return dict(zip(names, (step, episode, total, length, dead, cut, seconds), strict=True))


def test_rows_hold_return_length_and_end_of_each_episode_that_ended():
    told = records((1, 0, 1.0), (1, TERMINATED, 2.0), (2, 0, 3.0), (3, 0, 4.0), (3, TRUNCATED, 5.0), (4, 0, 6.0))
    assert rows_of(told) == [
        row(2, 1, 3.0, 2, TERMINATED, 1.0),
        row(3, 2, 3.0, 1, 0, 0.0),  # cut off: the third followed without an end of it
        row(5, 3, 9.0, 2, TRUNCATED, 1.0),  # and the fourth is under way
    ]


def test_rows_of_environments_in_turns_are_kept_apart():
    """World 0 takes steps 1, 4, 7, …; its second episode is cut off, world 1's first dies, world 2's goes on."""
    told = records(
        *[(1, 0, 1.0), (2, 0, 10.0), (3, 0, 100.0)],
        *[(1, TRUNCATED, 2.0), (2, TERMINATED, 20.0), (3, 0, 200.0)],
        *[(4, 0, 3.0), (5, 0, 30.0), (3, 0, 300.0)],
        *[(6, TERMINATED, 4.0), (5, TRUNCATED, 40.0)],
    )
    assert rows_of(told, 3) == [
        row(4, 1, 3.0, 2, TRUNCATED, 3.0),
        row(5, 2, 30.0, 2, TERMINATED, 3.0),
        row(7, 4, 3.0, 1, 0, 0.0),
        row(10, 6, 4.0, 1, TERMINATED, 0.0),
        row(11, 5, 70.0, 2, TRUNCATED, 3.0),
    ]
    assert rows_of(told[:3], 3) == []


def test_rows_of_episodes_that_mix_are_kept_apart():
    """Collectors' chunks: episode 2 was cut off with its collector, 4 is that of the last record, 1 and 3 end."""
    told = records(
        *[(1, 0, 1.0), (2, 0, 10.0), (2, 0, 20.0), (1, TERMINATED, 2.0)],
        *[(3, 0, 100.0), (4, 0, 5.0), (3, TRUNCATED, 200.0), (4, 0, 6.0)],
    )
    assert are_mixed(told) and not are_mixed(told[:3])
    assert rows_of(told) == [
        row(3, 2, 30.0, 2, 0, 1.0),
        row(4, 1, 3.0, 2, TERMINATED, 3.0),
        row(7, 3, 300.0, 2, TRUNCATED, 2.0),
    ]
