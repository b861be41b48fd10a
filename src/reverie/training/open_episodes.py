"""The episode in progress of each environment: its number, its steps so far, its last executed action."""

from typing import Any

import numpy as np

from reverie.storage.episodes import EpisodeSummary
from reverie.storage.experience import TRUNCATED
from reverie.training.run_logger import RecordedStep


class OpenEpisodes:
    """What is known of `count` environments that take turns; `turn` is the index of one of them."""

    def __init__(self, count: int):
        self.in_progress = [False] * count
        self.number = [0] * count  # of the newest episode
        self.newest: list[RecordedStep | None] = [None] * count  # record
        # As far as it is known: it was asked for, and perhaps the machine did something else.
        self.executed: list[np.ndarray | None] = [None] * count
        self._tallies: dict[int, EpisodeSummary] = {}  # by the number of the episode, since those of collectors mix

    def begin(self, turn: int, number: int) -> None:
        """Begin episode `number`."""
        self.number[turn], self.in_progress[turn] = number, True

    def add(self, turn: int, step: RecordedStep) -> dict[str, Any] | None:
        """Account for a record; return the row of the episode if it ended, else None."""
        self.newest[turn], self.in_progress[turn] = step, not step.last
        row = self._tallies.setdefault(step.episode, EpisodeSummary()).add(*step.summary)
        if row is not None:
            del self._tallies[step.episode]
        return row

    def close(self, turn: int, aborted: bool = False) -> dict[str, Any] | None:
        """End an episode without another step; return its row, or None where it has no step.

        aborted: it counts as truncated; else it was cut off, and neither terminated nor ran out of time.
        """
        newest = self.newest[turn]
        if newest is None:
            return None
        return self.cut(newest.step, newest.time, newest.episode, TRUNCATED if aborted else 0)

    def cut(self, step: int, time: float, episode: int, flags: int = 0) -> dict[str, Any] | None:
        """End an episode after `step`, at `time`; return its row, or None where it has no step or has ended."""
        tally = self._tallies.pop(episode, None)
        return None if tally is None else tally.close(step, time, episode, flags)

    def forget_all(self) -> None:
        """Forget the steps so far of all episodes."""
        self._tallies.clear()

    def restore(self, turn: int, records: np.ndarray) -> None:
        """Restore the last episode of an environment from the records of all its steps."""
        self.newest[turn] = newest = RecordedStep.of(records[-1])
        self.number[turn], self.executed[turn] = newest.episode, newest.action
        if not newest.last:
            for record in records[records["episode"] == newest.episode]:
                self._tallies.setdefault(newest.episode, EpisodeSummary()).add(*RecordedStep.of(record).summary)

    def close_aborted(self, aborted: frozenset[tuple[int, int]]) -> None:
        """End the episodes that were aborted after their last step, whose rows are written.

        aborted: (last step, episode) of each.
        """
        for turn, newest in enumerate(self.newest):
            if newest is not None and (newest.step, newest.episode) in aborted and not newest.last:
                self.in_progress[turn] = False
                self._tallies.pop(newest.episode, None)
