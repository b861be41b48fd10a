"""Columns of events.csv, which has one row per notice of a run."""

from reverie.storage.tables import Columns, whole, words

ABORT = "abort"  # an episode that had to end: `Learner.abort`
DROP = "drop"  # an action whose outcome is unknown: `Learner.drop`
CLOCK = "clock"  # the machine is slower than the clock
COLLECTOR = "collector"  # a collector that ended and was replaced
KEPT = frozenset({ABORT, CLOCK, COLLECTOR, DROP})  # kinds that learning the journal again does not make again

COLUMNS: Columns = {"step": whole, "episode": whole, "kind": words, "text": words}
