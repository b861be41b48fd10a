"""Conversion of a journal to other action bounds: the same experience in new units."""

from pathlib import Path

import numpy as np

from reverie.storage import journal
from reverie.storage.files import write_whole
from reverie.storage.spec import Spec

ROUNDING = 1e-6  # tolerance for actions in [-1, 1]


def convert(source: Path, target: Path, held: Spec, world: Spec) -> tuple[int, int]:
    """Write the journal `source`, with actions in the bounds of `held`, to `target` in the bounds of `world`.

    Returns (records kept, records left out).  A record is left out if its action lies outside the new bounds.  That
    splits its episode: the part before is cut off early, and the rest becomes an episode of its own.
    """
    _, records, _ = journal.read(source)
    action = held.value().to_world(records["action"])
    low, high = np.array(world.action_low), np.array(world.action_high)
    converted = (action - low) / (0.5 * (high - low)) - 1.0
    inside = (np.abs(converted) <= 1 + ROUNDING).all(-1)
    kept = records[inside].copy()
    kept["action"] = np.clip(converted[inside], -1.0, 1.0)
    steps = records["step"][inside].astype(int)
    begins = np.ones(len(kept), bool)
    begins[1:] = (np.diff(kept["episode"].astype(int)) != 0) | (np.diff(steps) != 1)
    kept["episode"], kept["step"] = np.cumsum(begins), np.arange(1, len(kept) + 1)
    header = journal.read_header(source)
    kept["crc"] = journal.checksums(kept.tobytes(), kept)
    write_whole(target, journal.first_line(header._replace(world=world)) + kept.tobytes())
    return len(kept), len(records) - len(kept)
