import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverie.core.types import Transition, row_width
from reverie.data.replay import Replay


def rows(count, first=1):
    return np.arange(first, first + count, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)


@given(st.lists(st.integers(0, 12), max_size=6))
def test_extend_leaves_what_as_many_adds_would(sizes):
    one, many, first = Replay(5, 2), Replay(5, 2), 1
    for size in sizes:
        batch = rows(size, first)
        first += size
        many.extend(batch)
        for row in batch:
            one.add(row)
    np.testing.assert_array_equal(one.rows, many.rows)
    assert (one.added, len(one)) == (many.added, len(many))


def test_full_replay_keeps_the_newest_rows(generator):
    replay = Replay(4, 2)
    for row in rows(10):
        replay.add(row)
    assert sorted(replay.rows[:, 0]) == [7, 8, 9, 10]


def test_samples_only_what_was_written_and_all_of_it(generator):
    replay = Replay(1000, 2)
    replay.extend(rows(7))
    drawn = replay.sample(generator, (5, 100))
    assert drawn.shape == (5, 100, 2)
    assert set(np.unique(drawn)) == set(range(1, 8))


def test_sampling_is_uniform(generator):
    replay = Replay(8, 1)
    replay.extend(np.arange(8, dtype=np.float32)[:, None])
    counts = np.bincount(replay.sample(generator, (80_000,)).astype(int).ravel(), minlength=8)
    assert np.abs(counts - 10_000).max() < 500  # five standard deviations


def test_pack_and_unpack_are_inverse(generator):
    n, m = 3, 2
    packed = generator.standard_normal((4, 5, row_width(n, m))).astype(np.float32)
    there = Transition.unpack(packed, n, m)
    assert there.observation.shape == (4, 5, 3) and there.reward.shape == (4, 5) and there.action.shape == (4, 5, 2)
    np.testing.assert_array_equal(there.pack(), packed)


def test_the_newest_rows_come_first():
    replay = Replay(3, 1)
    assert replay.newest(2).shape == (0, 1)
    for number in range(5):
        replay.add(np.array([number], np.float32))
    assert replay.newest(2)[:, 0].tolist() == [4, 3] and replay.newest(9)[:, 0].tolist() == [4, 3, 2]


def test_a_part_of_each_minibatch_is_drawn_from_the_newest_rows(generator):
    """Evenly, and the rest evenly from all rows, the newest too; replay is full and began again."""
    replay = Replay(8, 1, recent_share=0.25, recent_steps=3)
    replay.extend(np.arange(12, dtype=np.float32)[:, None])
    drawn = replay.sample(generator, (3000, 8))[..., 0].astype(int)
    recent, others = (np.bincount(part.ravel(), minlength=12) for part in (drawn[:, :2], drawn[:, 2:]))
    assert recent[:9].sum() == others[:4].sum() == 0
    assert np.abs(recent[9:] - 2000).max() < 200 and np.abs(others[4:] - 2250).max() < 250


def test_while_there_are_few_rows_all_are_recent(generator):
    replay = Replay(100, 1, recent_share=1.0, recent_steps=50)
    replay.extend(np.arange(4, dtype=np.float32)[:, None])
    assert set(replay.sample(generator, (20, 10)).ravel().astype(int)) == {0, 1, 2, 3}


@pytest.mark.parametrize("share", [0.0, 0.04])
def test_a_share_of_no_row_draws_what_no_share_does(share):
    """So runs of before there was a share go on as they were."""
    drawn = []
    for kept in (Replay(50, 1), Replay(50, 1, recent_share=share, recent_steps=2)):
        kept.extend(np.arange(40, dtype=np.float32)[:, None])
        drawn.append([kept.sample(np.random.default_rng(3), (2, 10)) for _ in range(2)])
    np.testing.assert_array_equal(*drawn)
