"""Episodes as models may see them: numbers that no sensor can have meant, far beyond all others, are filled in or cut off.

A fit by least squares follows one absurd number wherever it leads, and so do the range of dreams and a plan's mean.  Episodes
cost too much to be left out for one: a number between two good ones is read off the line through them, before the first good
one off the line through the next two; what comes after the last good state of an episode is cut off.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from reverie.core.dynamics import Episode
from reverie.core.words import count
from reverie.data.outliers import FAR_REWARD, LARGE, limits, may_set_aside

SHARE = 0.1  # of an episode's steps, or one, that may be filled in; with more it is left out


class Large:
    """Tells which states are far off, by the episodes in `known` when that is first asked."""

    def __init__(self, known: Iterable[Episode]):
        self._known, self._most = known, None

    def is_far(self, x: np.ndarray) -> bool:
        """Return whether a state [n], perhaps with context behind it, is far off; or large, where nothing is known yet."""
        if np.dot(x, x) <= LARGE**2:
            return False
        if self._most is None and (known := list(self._known)):
            self._most = limits(reference_of(known))
        return bool((np.abs(x) > (LARGE if self._most is None else self._most[: len(x)])).any())


class Screened(NamedTuple):
    """An episode without what is far off."""

    episode: Episode | None  # None: it is left out
    filled: int  # steps with a number that was far off
    text: str  # what to say of it, or ""


def reference_of(episodes: list[Episode]) -> np.ndarray:
    """Return all states of episodes with the context behind them [N, n + c]."""
    return np.concatenate([_with_context(episode) for episode in episodes])


def screen(episode: Episode, known: list[Episode], before: int, seen: int) -> Screened:
    """Return `episode` with what is far from usual, in it and in the episodes `known`, filled in.

    before, seen: steps filled in so far, of so many.  Where there are more than outliers may be, they are meant: it stays as
    it is.
    """
    states, rewards = _with_context(episode), episode.rewards
    if max(np.abs(states).max(), np.abs(rewards).max() * LARGE / FAR_REWARD) <= LARGE:
        return Screened(episode, 0, "")
    far = np.abs(states) > limits(reference_of([*known, episode]))
    paid = np.concatenate([e.rewards for e in (*known, episode)])[:, None]
    odd = np.abs(rewards[:, None]) > limits(paid, FAR_REWARD)
    n = episode.states.shape[1]
    filled = int(far[:, :n].any(axis=1).sum() + odd.sum() + far[:, n:].any())
    if not filled or not may_set_aside(before, filled, seen):
        return Screened(episode, 0, "")
    return Screened(*_mended(episode, far, odd[:, 0], filled))


def _mended(episode: Episode, far: np.ndarray, odd: np.ndarray, filled: int) -> tuple[Episode | None, int, str]:
    n = episode.states.shape[1]
    what, size = _largest(episode, far, odd)
    text = f"{what} reached {size:.3g}, far beyond all others: models are fitted "
    good = np.flatnonzero(~far[:, :n].any(axis=1))
    length = int(good[-1]) if len(good) else 0  # of steps that lead from one state to another
    far, odd = far[: length + 1], odd[:length]
    left = int(far[:, :n].any(axis=1).sum() + odd.sum())
    if far[:, n:].any() or not length or left > max(1, SHARE * length) or odd.all():
        return (
            None,
            filled,
            f"{text}without this episode of {count(len(episode), 'step')}, {filled} of which hold such a number",
        )
    states, rewards = episode.states[: length + 1], episode.rewards[:length]
    states = np.stack([_filled(column, bad) for column, bad in zip(states.T, far.T[:n], strict=True)], axis=1)
    terminated = episode.terminated and length == len(episode)
    mended = Episode(states, episode.actions[:length], _filled(rewards, odd), terminated, episode.context)
    cut = f", without the last {count(len(episode) - length, 'step')}" if length < len(episode) else ""
    return mended, filled, f"{text}to what its neighbours in time say{cut}"


def _filled(values: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return values [T] of which the `bad` ones lie on lines through the good ones next to them."""
    if not bad.any():
        return values
    times, good = np.arange(len(values)), np.flatnonzero(~bad)
    found = np.where(bad, np.interp(times, good, values[good]), values)
    if good[0] > 0 and len(good) > 1:
        slope = (values[good[1]] - values[good[0]]) / (good[1] - good[0])
        found[: good[0]] = values[good[0]] + slope * (times[: good[0]] - good[0])
    return found


def _largest(episode: Episode, far: np.ndarray, odd: np.ndarray) -> tuple[str, float]:
    """Return what is farthest off, by name, and its size."""
    if not far.any():
        return "the reward", float(np.abs(episode.rewards[odd]).max())
    sizes = np.where(far, np.abs(_with_context(episode)), 0.0).max(axis=0)
    place = int(sizes.argmax())
    return f"the state at index {place}", float(sizes[place])


def _with_context(episode: Episode) -> np.ndarray:
    behind = np.broadcast_to(episode.context, (len(episode.states), len(episode.context)))
    return np.concatenate([episode.states, behind], axis=1)
