"""Screen episodes for models: outliers, which are far beyond all other numbers, are filled in or cut off.

One outlier can spoil a fit by least squares, the range of imagined states, and the mean of a plan. Real episodes are
too expensive to be left out for one. An outlier between two good values is interpolated linearly. Outliers before the
first good value are extrapolated from the next two. The part of an episode after its last good state is cut off.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from reverie.core.dynamics import Episode
from reverie.core.words import count
from reverie.data.outliers import FAR_REWARD, LARGE, limits, may_set_aside

SHARE = 0.1  # largest share of an episode's steps that is filled in (or one step); else the episode is left out


class Large:
    """Decides which states are outliers, by the episodes that are in `known` at the first large state."""

    def __init__(self, known: Iterable[Episode]):
        self._known, self._most = known, None

    def is_far(self, x: Float[np.ndarray, "_coordinates"]) -> bool:
        """Return whether a state is an outlier.

        x: the state [n], or with its context appended. If no episode is known yet, it is one if it is large.
        """
        if np.dot(x, x) <= LARGE**2:
            return False
        if self._most is None and (known := list(self._known)):
            self._most = limits(reference_of(known))
        return bool((np.abs(x) > (LARGE if self._most is None else self._most[: len(x)])).any())


class Screened(NamedTuple):
    """An episode without outliers."""

    episode: Episode | None  # None: it is left out
    filled: int  # number of steps with an outlier
    text: str  # the notice for the user, or ""


def reference_of(episodes: list[Episode]) -> Float[np.ndarray, "_states _coordinates"]:
    """Return all states of episodes, with the context appended."""
    return np.concatenate([_with_context(episode) for episode in episodes])


def screen(episode: Episode, known: list[Episode], before: int, seen: int) -> Screened:
    """Return `episode` with its outliers filled in. What is usual follows from it and from the episodes `known`.

    before: number of steps filled in so far.  seen: number of steps so far. If large numbers are too frequent to be
    outliers, they are real: the episode is not changed.
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
    return Screened(*_corrected(episode, far, odd[:, 0], filled))


def _corrected(
    episode: Episode, far: Bool[np.ndarray, "T+1 _coordinates"], odd: Bool[np.ndarray, "T"], filled: int
) -> tuple[Episode | None, int, str]:
    n = episode.states.shape[1]
    what, size = _largest(episode, far, odd)
    text = f"{what} reached {size:.3g}, far beyond all others: models are fitted "
    good = np.flatnonzero(~far[:, :n].any(axis=1))
    length = int(good[-1]) if len(good) else 0  # number of steps up to the last good state
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
    corrected = Episode(states, episode.actions[:length], _filled(rewards, odd), terminated, episode.context)
    cut = f", without the last {count(len(episode) - length, 'step')}" if length < len(episode) else ""
    return corrected, filled, f"{text}to values interpolated from the steps before and after{cut}"


def _filled(values: Float[np.ndarray, "T"], bad: Bool[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """Return values with those that are `bad` replaced by linear interpolation between good ones."""
    if not bad.any():
        return values
    times, good = np.arange(len(values)), np.flatnonzero(~bad)
    found = np.where(bad, np.interp(times, good, values[good]), values)
    if good[0] > 0 and len(good) > 1:
        slope = (values[good[1]] - values[good[0]]) / (good[1] - good[0])
        found[: good[0]] = values[good[0]] + slope * (times[: good[0]] - good[0])
    return found


def _largest(
    episode: Episode, far: Bool[np.ndarray, "T+1 _coordinates"], odd: Bool[np.ndarray, "T"]
) -> tuple[str, float]:
    """Return (name, size) of the largest outlier."""
    if not far.any():
        return "the reward", float(np.abs(episode.rewards[odd]).max())
    sizes = np.where(far, np.abs(_with_context(episode)), 0.0).max(axis=0)
    place = int(sizes.argmax())
    return f"the state at index {place}", float(sizes[place])


def _with_context(episode: Episode) -> Float[np.ndarray, "_states _coordinates"]:
    behind = np.broadcast_to(episode.context, (len(episode.states), len(episode.context)))
    return np.concatenate([episode.states, behind], axis=1)
