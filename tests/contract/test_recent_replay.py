"""`recent_share`: a part of each minibatch is drawn from the newest steps.  What a learner draws, and what is refused."""

import warnings

import numpy as np
import pytest

import reverie as rv
from cases import CASES, those
from worlds import LinearWorld

every_one_with_replay = pytest.mark.parametrize("name", those(setting="recent_share"))


def drawn(learner):
    """The numbers of the transitions in one call's minibatches [I, B], the first being 0."""
    replay = learner.trainer.replay
    replay.rows[: len(replay), 0] = np.arange(len(replay))  # a name in the place of the first sensor
    return learner.trainer._minibatches()[..., 0]


@every_one_with_replay
def test_that_part_holds_the_newest_steps_alone(name):
    settings = {"batch_size": 8, "recent_share": 0.5, "recent_steps": 5}
    with rv.Learner(CASES[name].make(**settings), CASES[name].line) as learner:
        learner.learn(40)
        calls = np.concatenate([drawn(learner) for _ in range(30)])
    assert set(calls[:, :4].ravel()) == {35, 36, 37, 38, 39}
    assert calls[:, 4:].min() < 5 and calls[:, 4:].max() > 34


@pytest.mark.parametrize("logged_share", [0.5, 1.0])
def test_of_minibatches_with_logged_transitions_the_real_ones_are_shared_out(logged_share, tmp_path):
    with rv.Learner(CASES["naf"].make(), LinearWorld, out=tmp_path) as learner:
        learner.learn(40)
    settings = {"batch_size": 8, "recent_share": 1.0, "recent_steps": 5}
    one = rv.Learner(CASES["naf"].make(**settings), LinearWorld, experience=tmp_path, experience_share=logged_share)
    with one as learner:
        learner.learn(40)  # as many as are logged: their share halves
        real = 8 - learner.trainer.logged.rows_of(8, 40)
        calls = np.concatenate([drawn(learner) for _ in range(30)])
    assert 0 < real < 8
    assert set(calls[:, -real:].ravel()) == {35, 36, 37, 38, 39}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recent_share": 1.5}, r"recent_share is 1.5; it must lie in \[0, 1\]"),
        ({"recent_share": -0.1}, "recent_share is -0.1"),
        ({"recent_share": float("nan")}, "recent_share"),
        ({"recent_steps": 0}, "recent_steps"),
        ({"recent_steps": 2.5}, "recent_steps"),
    ],
)
def test_what_cannot_work_is_refused(changes, says):
    with pytest.raises(rv.ConfigError, match=says):
        rv.NAF(**changes)


@pytest.mark.parametrize(("share", "steps", "warned"), [(0.5, 500, True), (0.5, 499, False), (0.0, 500, False)])
def test_a_share_of_all_of_replay_is_said_to_change_nothing(share, steps, warned):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        rv.Learner(CASES["naf"].make(recent_share=share, recent_steps=steps), LinearWorld).close()
    texts = [str(warning.message) for warning in found]
    said = "recent_steps=500 is all of replay, so recent_share=0.5 changes nothing: set recent_steps lower"
    assert any(said in text for text in texts) is warned


@pytest.mark.parametrize(("share", "warned"), [(0.06, True), (0.07, False), (0.0, False)])
def test_a_share_of_less_than_a_transition_is_said_to_change_nothing(share, warned):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        rv.Learner(CASES["naf"].make(recent_share=share, recent_steps=5, batch_size=8), LinearWorld).close()
    texts = [str(warning.message) for warning in found]
    said = (
        "recent_share=0.06 of batch_size=8 is less than one transition, so it changes nothing: set one of them higher"
    )
    assert any(said in text for text in texts) is warned
