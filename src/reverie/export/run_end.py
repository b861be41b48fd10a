"""How a run ended, in words, for those who use its policy elsewhere."""

from reverie.core.words import count
from reverie.storage.episodes import COLUMNS
from reverie.storage.journal_format import records_in
from reverie.storage.run import RunDirectory
from reverie.storage.tables import table_at

LAST = 10  # episodes


def how_it_ended(run: RunDirectory) -> str:
    """Return whether the run finished what it was to learn, and its last returns."""
    steps, call = records_in(run.journal_file), run.read_call()
    state = f"{count(steps, 'step')} learnt"
    if call is not None:
        state = f"not finished: {steps - call.start} of {count(call.steps, 'step')} of the last command"
    rows = table_at(run.episodes_file, COLUMNS)[-LAST:]
    if not rows:
        return state
    mean = sum(row["return"] for row in rows) / len(rows)
    return f"{state}; mean return {mean:.4g} of the last {count(len(rows), 'training episode')}"
