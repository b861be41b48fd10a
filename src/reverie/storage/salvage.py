"""What checksums still vouch for in a damaged journal: whole records, wherever they lie, and steps in order again."""

import re
import zlib
from typing import NamedTuple

import numpy as np

from reverie.storage.experience import TRUNCATED, checks
from reverie.storage.journal import CHECKSUM_BYTES, Header, checksums, record_dtype

LEAST = record_dtype(1, 1).itemsize
MOST = 2**16  # bytes of a record whose size nothing tells
TRIED = 400  # places at which a first record may begin


class Found(NamedTuple):
    """What is whole in a journal."""

    records: np.ndarray  # by step, each step once
    damaged_bytes: int  # that belong to no whole record
    doubled: int  # records of a step that another has already


class Renumbered(NamedTuple):
    """Records as a journal that can be loaded."""

    records: np.ndarray  # steps from 1, episodes from 1, checksums
    kept: np.ndarray  # the steps that they had
    untouched: int  # of them from the start are as they were, byte for byte
    cut_episodes: list[int]  # that end or begin at a gap, as they were numbered


def whole_records(data: bytes, dtype: np.dtype, actions: int) -> Found:
    """Return the records in `data` whose checksum holds and whose values can be, at whatever byte they begin."""
    size, payload = dtype.itemsize, dtype.itemsize - CHECKSUM_BYTES
    view, places, position, starts = memoryview(data), [], 0, _starts(data, size)
    while position + size <= len(data):
        if zlib.crc32(view[position : position + payload]) == int.from_bytes(
            view[position + payload : position + size], "little"
        ):
            places.append(position)
            position += size
            continue
        after = int(np.searchsorted(starts, position + 1))
        if after == len(starts):
            break
        position = int(starts[after])
    if not places:
        return Found(np.zeros(0, dtype), len(data), 0)
    records = np.concatenate([np.frombuffer(data, dtype, 1, place) for place in places])
    fit = records["step"] > 0
    for _, good, _ in checks(records, actions):
        fit &= good
    records = records[fit]
    _, first = np.unique(records["step"], return_index=True)
    return Found(records[first], len(data) - len(records) * size, len(records) - len(first))


def _starts(data: bytes, size: int) -> np.ndarray:
    """Return the bytes at which a record of `size` may begin: its step is small but not 0, its flags are known ones."""
    found = np.frombuffer(data, np.uint8)
    count = len(found) - size + 1
    if count <= 0:
        return np.zeros(0, int)
    fit = found[20 : 20 + count] <= 3
    for i in (4, 5, 6, 7, 21, 22, 23):
        fit &= found[i : i + count] == 0
    fit &= (found[:count] | found[1 : 1 + count] | found[2 : 2 + count] | found[3 : 3 + count]) != 0
    return np.flatnonzero(fit)


def record_size(data: bytes) -> int | None:
    """Return how many bytes a record has where no header tells: checksums find it; None where no record is whole."""
    view = memoryview(data)
    for start in _starts(data, LEAST)[:TRIED].tolist():
        total, end = zlib.crc32(view[start : start + LEAST - CHECKSUM_BYTES]), start + LEAST - CHECKSUM_BYTES
        while end + CHECKSUM_BYTES <= min(len(data), start + MOST):
            if view[end : end + CHECKSUM_BYTES] == total.to_bytes(CHECKSUM_BYTES, "little"):
                return end + CHECKSUM_BYTES - start
            total = zlib.crc32(view[end : end + 4], total)
            end += 4
    return None


def sizes_of(line: bytes, size: int, told: Header | None) -> Header | None:
    """Return the sizes of records of `size` bytes, from what is left of a first line and from what config.json tells."""
    pairs = re.findall(rb'"(\w+)": ?(\d{1,8})(?=[,}\s])', line)
    # Of a name that comes again the first counts: what is within comes later.
    found = {name.decode(): int(value) for name, value in reversed(pairs)}
    wanted = [found.get(name, 0) for name in ("observation_dim", "action_dim", "state_dim", "actions")]
    candidates = [Header(wanted[0], wanted[1], wanted[2], wanted[3])]
    if told is not None:
        rest = size - record_dtype(told.observation_dim, told.action_dim).itemsize
        candidates.insert(0, told._replace(state_dim=max(0, rest // 16)))
    for sizes in candidates:
        if min(sizes[:2]) >= 1 and record_dtype(*sizes[:3]).itemsize == size:
            return sizes
    return None


def renumbered(records: np.ndarray, worlds: int) -> Renumbered:
    """Return records, by step, with steps and episodes counted anew, so that a run can be taken up from them.

    An episode stays whole where it is; a gap ends it, as truncated, and what follows is another.  Worlds take turns: of a
    round in which one step is missing, none is kept.
    """
    rounds = (records["step"].astype(np.int64) - 1) // worlds
    _, index, count = np.unique(rounds, return_inverse=True, return_counts=True)
    full = count[index] == worlds
    if len(records):  # the last round need not be over
        last = rounds == rounds[-1]
        turns = (records["step"][last].astype(np.int64) - 1) % worlds
        full |= last & bool((turns == np.arange(len(turns))).all())
    records = records[full].copy()
    original, steps = records.copy(), records["step"].astype(np.int64)
    before: dict[int, int] = {}  # the newest record of each world
    episodes, cut = 0, set()
    for i, step in enumerate(steps.tolist()):
        world = (step - 1) % worlds
        last = before.get(world)
        gap = step > worlds if last is None else step != steps[last] + worlds
        if gap and last is not None and not records["flags"][last]:
            records["flags"][last] = TRUNCATED
            cut.add(int(original["episode"][last]))
        if last is None or gap or original["episode"][i] != original["episode"][last]:
            episodes += 1
            if gap and (last is None or original["episode"][i] == original["episode"][last]):
                cut.add(int(original["episode"][i]))
            records["episode"][i] = episodes
        else:
            records["episode"][i] = records["episode"][last]
        before[world] = i
    records["step"] = np.arange(1, len(records) + 1)
    records["crc"] = checksums(records.tobytes(), records)
    changed = np.flatnonzero(records["crc"] != original["crc"])
    return Renumbered(records, steps, int(changed[0]) if len(changed) else len(records), sorted(cut))
