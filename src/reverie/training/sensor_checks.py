"""Sensors that no longer change, and sensors that jump.

A sensor is judged by its own past.  It has stopped if it used to change often, and now stands still for far longer than
ever before.  It has jumped if it used to move smoothly, and one step moved it through more than half of its range.
Contacts, one-hot codes, targets, noise and angles that wrap around are none of these.

Everything is a function of the transitions, in blocks whose limits do not depend on where a run was interrupted.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.words import listed

LIVELY = 0.5  # share of the steps at which a lively sensor changed, and of its values that lay within its range so far
LEAST_CHANGES = 50, 100  # before a sensor can count as stopped: a lively one, and another one
STILL = 50, 1000  # steps without a change: of a lively sensor, and of another one
LONGER = 10, 20  # times the longest standstill before
EPISODES = 2  # ends of episodes within a standstill of a lively sensor,
ALONE = 300  # or steps without a change but with changing actions, where episodes are long or do not end,
TWICE = 2  # and then also so many times the longest episode
JUMP = 0.5  # of its range, in one step
SMOOTH = 0.1  # of its range: the most that a step of a smooth sensor changed it before
LEARNT, KNOWN = 500, 100  # steps before jumps are told: where the range is learnt from them, and where bounds are known
AT_END = 0.05  # of the range: how near its ends an angle is that wraps around


class Episodes(Protocol):
    """What the checks ask about episodes."""

    begun_at: np.ndarray
    """Indices of the steps in the newest block with which episodes began."""
    ends: list[int]
    """The newest steps at which an episode ended."""
    longest: int
    """Steps of the longest episode that ended."""


class SensorChecks:
    """What was seen of each sensor of an observation [n].

    names: of each sensor, for messages.  worlds: environments that take turns.
    """

    def __init__(self, spec: EnvSpec, names: Sequence[str], worlds: int):
        n = spec.observation_dim
        self._names, self._worlds = names, worlds
        self._newest = np.full((worlds, n), np.nan, np.float32)  # observations after the last step of each world
        self._low, self._high = np.full(n, np.inf, np.float32), np.full(n, -np.inf, np.float32)
        self._largest = np.zeros(n, np.float32)  # change in one step
        self._changes, self._within = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._changed = np.zeros(n, np.int64)  # step of the last change
        self._longest = np.zeros(n, np.int64)  # standstill that ended, in steps
        self._rest = np.full(n, np.nan, np.float32)  # value in that standstill
        self._start = np.full(n, np.nan, np.float32)  # value at the newest start of an episode before the last change
        self._known = _known_ranges(spec)
        self._idle = 0  # last step of the newest block in which the actions were constant
        self._told_still, self._told_jump = np.zeros(n, bool), np.zeros(n, bool)

    def judge(
        self,
        before: np.ndarray,
        after: np.ndarray,
        executed: np.ndarray,
        first: int,
        episodes: Episodes,
    ) -> list[tuple[str, str]]:
        """Return (kind, text) of what is new in a block of steps, and remember the block.

        before, after: observations [K, n] before and after each step.  executed: actions [K, m].
        first: number of the first step.
        """
        sizes = np.abs(after - before)
        found = self._jumps(before, after, sizes, first)
        self._remember(before, after, sizes, first)
        self._remember_starts(before, first, episodes.begun_at)
        newest = first + len(after) - 1
        if not (executed != executed[0]).any():
            self._idle = newest
        still = self._stopped(newest, episodes)
        if len(still):
            self._told_still[still] = True
            found.append(("constant sensor", self._of_stopped(still)))
        return found

    def _remember(self, before: np.ndarray, after: np.ndarray, sizes: np.ndarray, first: int) -> None:
        steps = np.arange(first, first + len(after))[:, None]
        earlier = np.concatenate([self._newest, after])[: len(after)]
        moved = (sizes != 0) | (before != earlier)
        # the step of the last change before each step, and after the last one
        changed = np.maximum.accumulate(np.concatenate([self._changed[None], np.where(moved, steps, 0)]))
        standstills = np.where(moved, steps - changed[:-1], 0)
        ended = standstills.max(axis=0)
        if (longer := np.flatnonzero(ended > self._longest)).size:
            self._rest[longer] = earlier[standstills[:, longer].argmax(axis=0), longer]
            self._longest[longer] = ended[longer]
        self._within += (moved & (after > self._low) & (after < self._high)).sum(axis=0)
        self._changes += moved.sum(axis=0)
        self._changed = changed[-1]
        self._newest = np.concatenate([self._newest, after])[-self._worlds :]
        np.maximum(self._largest, sizes.max(axis=0), out=self._largest)
        np.minimum(self._low, after.min(axis=0), out=self._low)
        np.maximum(self._high, after.max(axis=0), out=self._high)

    def _remember_starts(self, before: np.ndarray, first: int, begun_at: np.ndarray) -> None:
        if len(begun_at):
            newest = np.searchsorted(begun_at, self._changed - first, "right") - 1
            (seen,) = np.nonzero(newest >= 0)
            self._start[seen] = before[begun_at[newest[seen]], seen]

    # ---- standstill

    def _stopped(self, step: int, episodes: Episodes) -> np.ndarray:
        """Return the indices of the sensors that count as stopped after `step`, and were not told yet."""
        still = step - self._changed
        if not ((still >= STILL[0]) & ~self._told_still).any():
            return np.zeros(0, int)
        needed, ends = EPISODES * self._worlds, episodes.ends
        spans = self._changed < (ends[-needed] if len(ends) >= needed else -1)
        awake = step - np.maximum(self._changed, self._idle)  # without changing actions it may just be at rest
        spans |= awake >= max(ALONE, TWICE * episodes.longest)
        often = 2 * self._within >= self._changes
        lively = often & (self._changes >= LIVELY * self._changed) & (self._changes >= LEAST_CHANGES[0])
        lively &= (still >= STILL[0]) & (still >= LONGER[0] * self._longest) & spans
        lively &= self._newest[-1] != self._start  # where a thing stands that nobody touches
        # A contact, a code or a flag rests at the same value again and again.
        others = (self._changes >= LEAST_CHANGES[1]) & (self._newest[-1] != self._rest)
        others &= (awake >= STILL[1]) & (awake >= LONGER[1] * self._longest)
        return np.flatnonzero((lively | others) & ~self._told_still)

    def _of_stopped(self, still: np.ndarray) -> str:
        since = self._changed[still]
        low, high = since.min(), since.max()
        when = f"step {low}" if low == high else f"steps {low} to {high}"
        names = listed(self._names[i] for i in still.tolist())
        if len(still) == 1:
            names += f" stands at {self._newest[-1, still[0]]:.4g} and"
        have = "has" if len(still) == 1 else "have"
        share = 100 * float(np.mean(self._changes[still] / np.maximum(since, 1)))
        return (
            f"{names} {have} not changed since {when}, but changed in {share:.0f} % of the steps before: check cable, "
            "power and readout"
        )

    # ---- jumps

    def _jumps(self, before: np.ndarray, after: np.ndarray, sizes: np.ndarray, first: int) -> list[tuple[str, str]]:
        seen, span = first - 1, self._high - self._low
        if seen < LEARNT:  # what was seen says little yet
            span = self._known
        if seen < KNOWN:
            return []
        smooth = ~self._told_jump & (self._changes >= LIVELY * seen) & (self._largest <= SMOOTH * span)
        far = smooth & (sizes > JUMP * span)
        found: list[tuple[str, str]] = []
        for i in np.flatnonzero(far.any(axis=0)).tolist():
            for k in np.flatnonzero(far[:, i]).tolist():
                old, new = before[k, i].item(), after[k, i].item()
                if not self._wraps(i, old, new, span.item(i)):
                    found.append(("sensor jump", self._of_jump(i, first + k, old, new)))
                    self._told_jump[i] = True
                    break
        return found

    def _wraps(self, i: int, old: float, new: float, span: float) -> bool:
        """Return whether a change leads from one end of the range so far, or beyond, to the other, as angles do."""
        room = max(AT_END * span, self._largest.item(i))
        low, high = self._low.item(i) + room, self._high.item(i) - room
        return (old >= high and new <= low) or (old <= low and new >= high)

    def _of_jump(self, i: int, step: int, old: float, new: float) -> str:
        return (
            f"{self._names[i]} jumped from {old:.4g} to {new:.4g} at step {step}, more than half of its range, but "
            f"no step before changed it by more than {self._largest.item(i):.2g}: check cable, shielding and readout"
        )


def _known_ranges(spec: EnvSpec) -> np.ndarray:
    """Return the width of the range of each sensor [n] by the environment's bounds; NaN where it is not finite."""
    if not len(spec.observation_low):
        return np.full(spec.observation_dim, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        span = np.subtract(spec.observation_high, spec.observation_low)
    return np.where(np.isfinite(span), span, np.nan)
