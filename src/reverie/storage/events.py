"""Columns of events.csv: what a run noticed, a row each."""

from reverie.storage.tables import Columns, whole, words

COLUMNS: Columns = {"step": whole, "episode": whole, "kind": words, "text": words}
