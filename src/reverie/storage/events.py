"""Columns of events.csv, which has one row per notice of a run."""

from pathlib import Path

from reverie.storage.tables import REMEDY, Columns, table_at, whole, words

ABORT = "abort"  # an episode that had to end: `Learner.abort`
DROP = "drop"  # an action whose outcome is unknown: `Learner.drop`
CLOCK = "clock"  # the machine is slower than the clock
COLLECTOR = "collector"  # a collector that ended and was replaced
KEPT = frozenset({ABORT, CLOCK, COLLECTOR, DROP})  # kinds that learning the journal again does not make again

COLUMNS: Columns = {"step": whole, "episode": whole, "kind": words, "text": words}


def aborted_in(path: Path, remedy: str = REMEDY) -> frozenset[tuple[int, int]]:
    """Return (last step, episode) of each episode that was aborted, from an events.csv; none where it is missing.

    remedy: for the StorageError where the table is damaged.
    """
    rows = table_at(path, COLUMNS, remedy)
    return frozenset((row["step"], row["episode"]) for row in rows if row["kind"] == ABORT)
