"""Sides of episodes: held out or trained on, the same at all fits that go on from one another."""

import numpy as np
import pytest

from reverie.models.neural import Neural, NeuralDynamics
from reverie.models.validation import NO_SIDES, fingerprint, take_sides
from systems import linear_episodes

QUICK = Neural(members=1, hidden=(8,), updates=25)


@pytest.fixture
def episodes(generator):
    return linear_episodes(generator, 30)[0]


def sides_of(episodes, before=NO_SIDES):
    """Return (numbers of episodes held out, of those trained on, the sides)."""
    sides = take_sides(episodes, before)
    keys = [fingerprint(episode) for episode in episodes]
    return (
        [i for i, k in enumerate(keys) if k in sides.held_out],
        [i for i, k in enumerate(keys) if k in sides.trained_on],
        sides,
    )


def test_the_newest_is_held_out_and_a_tenth_of_many(episodes):
    assert sides_of(episodes[:5])[:2] == ([4], [0, 1, 2, 3])
    held, trained, _ = sides_of(episodes)
    assert held == [27, 28, 29]
    assert trained == list(range(27))


def test_an_episode_keeps_its_side_as_long_as_it_is_seen(episodes):
    trained, held, sides = set(), set(), NO_SIDES
    for end in range(5, 31):
        seen = range(max(end - 6, 0), end)
        out, on, sides = sides_of([episodes[i] for i in seen], sides)
        out, on = {seen[i] for i in out}, {seen[i] for i in on}
        assert len(out) == 1
        assert out | on == set(seen)
        held, trained = held | out, trained | on
    assert not held & trained
    assert held == {4, 10, 16, 22, 28}


def test_equal_episodes_are_on_one_side(episodes):
    first, second, *_ = episodes
    held, trained, _ = sides_of([first, second, first])
    assert (held, trained) in (([0, 2], [1]), ([1], [0, 2]))
    assert sides_of([first, first])[:2] == ([], [0, 1])


def test_short_episodes_are_held_out_until_they_are_a_tenth(generator):
    long, short = linear_episodes(generator, 2, steps=100)[0], linear_episodes(generator, 3, steps=8)[0]
    assert sides_of([*long, *short])[0] == [2, 3, 4]
    assert sides_of(long[:1])[:2] == ([], [0])


def test_networks_that_saw_every_episode_begin_anew(episodes):
    seen = episodes[:5]
    first = QUICK.fit(seen, seen, None, 0).dynamics
    same = QUICK.fit(seen, seen, first, 1).dynamics
    assert np.array_equal(same.held_out, first.held_out)
    rest = [episode for episode in seen if fingerprint(episode) in first.trained_on]
    anew = QUICK.fit(rest, rest, first, 1).dynamics
    cold = QUICK.fit(rest, rest, None, 1).dynamics
    for name, part in cold.arrays().items():
        np.testing.assert_array_equal(anew.arrays()[name], part)


def test_networks_of_older_checkpoints_load_and_begin_anew(episodes):
    seen = episodes[:5]
    arrays = QUICK.fit(seen, seen, None, 0).dynamics.arrays()
    old = QUICK.restore({name: part for name, part in arrays.items() if name not in ("held_out", "trained_on")})
    assert isinstance(old, NeuralDynamics)
    x, u = seen[0].states[:-1], seen[0].actions
    assert np.isfinite(old.mean(x, u, np.arange(len(x)))).all()
    anew, cold = (QUICK.fit(seen, seen, before, 1).dynamics.arrays() for before in (old, None))
    for name, part in cold.items():
        np.testing.assert_array_equal(anew[name], part)
