"""`reverie video`."""

from pathlib import Path
from typing import Any

from reverie.cli.output import emit, note, room_for
from reverie.loops.saved import SavedPolicy
from reverie.report.film import SKETCHED, record


def run(options: Any) -> None:
    """Film one greedy episode."""
    saved = SavedPolicy(options.run_directory, best=options.best, trust=options.trust)
    output = Path(options.output) if options.output else Path(options.run_directory) / "film.mp4"
    with room_for(options, output):
        total, sketched = record(
            saved.greedy, lambda **more: saved.world(options.env, **more), output, options.seed, options.seconds
        )
        if sketched:
            note(SKETCHED)
        facts = {"film": str(output), "step": saved.step, "return": total, "sketch": sketched}
        emit(options, facts, f"{output}: one greedy episode of the policy of step {saved.step}, return {total:.4g}")
