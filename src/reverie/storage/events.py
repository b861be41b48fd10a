"""Columns of events.csv, which has one row per notice of a run."""

from reverie.storage.tables import Columns, whole, words

COLUMNS: Columns = {"step": whole, "episode": whole, "kind": words, "text": words}
