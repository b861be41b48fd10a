"""Conversion of a journal to other action bounds: the same experience in new units."""

from pathlib import Path

import numpy as np

from reverie.storage.experience import ENDS, TRUNCATED
from reverie.storage.files import write_whole
from reverie.storage.journal_format import checksums, first_line, read, read_header
from reverie.storage.spec import Spec

ROUNDING = 1e-6  # tolerance for actions in [-1, 1]


def convert(
    source: Path, target: Path, old: Spec, new: Spec, aborted: frozenset[tuple[int, int]] = frozenset()
) -> tuple[int, int]:
    """Write the journal `source`, with actions in the bounds of `old`, to `target` in the bounds of `new`.

    Returns (records kept, records left out).  A record is left out if its action lies outside the new bounds.  That
    splits its episode: the part before is cut off early, and the rest becomes an episode of its own.
    aborted: (last step, episode) of episodes that were aborted: here their last record says that they were truncated,
    since steps and episodes are counted anew.
    """
    _, records, _ = read(source)
    low, high = np.array(new.action_low), np.array(new.action_high)

    def converted(name: str) -> np.ndarray:
        return (old.value().to_world(records[name]) - low) / (0.5 * (high - low)) - 1.0

    action = converted("action")
    inside = (np.abs(action) <= 1 + ROUNDING).all(-1)
    kept = records[inside].copy()
    for i in [
        i for i, last in enumerate(zip(kept["step"].tolist(), kept["episode"].tolist(), strict=True)) if last in aborted
    ]:
        kept["flags"][i] |= 0 if kept["flags"][i] & ENDS else TRUNCATED
    kept["action"] = np.clip(action[inside], -1.0, 1.0)
    if "asked" in (kept.dtype.fields or ()):  # what was asked for beyond the new bounds counts as their end
        kept["asked"] = np.clip(converted("asked")[inside], -1.0, 1.0)
    steps = records["step"][inside].astype(int)
    begins = np.ones(len(kept), bool)
    begins[1:] = (np.diff(kept["episode"].astype(int)) != 0) | (np.diff(steps) != 1)
    kept["episode"], kept["step"] = np.cumsum(begins), np.arange(1, len(kept) + 1)
    header = read_header(source)
    kept["crc"] = checksums(kept.tobytes(), kept)
    write_whole(target, first_line(header._replace(world=new)) + kept.tobytes())
    return len(kept), len(records) - len(kept)
