"""Recovery of the valid records of a damaged journal, found by their checksums and put in order again."""

import re
import zlib
from typing import NamedTuple

import numpy as np

from reverie.storage.episodes import are_mixed
from reverie.storage.experience import ENDS, MOST_FLAGS, TRUNCATED, checks
from reverie.storage.journal import record_dtype
from reverie.storage.journal_format import CHECKSUM_BYTES, Header, checksums

LEAST = record_dtype(1, 1, version=1).itemsize
MOST = 2**16  # bytes of a record whose size is unknown
TRIED = 400  # positions at which a first record may begin


class IntactRecords(NamedTuple):
    """The valid content of a journal."""

    records: np.ndarray  # in order of steps, each step once
    damaged_bytes: int  # bytes that belong to no valid record
    doubled: int  # records of a step that another record has already


class Renumbered(NamedTuple):
    """Records as a journal that can be loaded."""

    records: np.ndarray  # with new steps from 1, episodes from 1, and checksums
    kept: np.ndarray  # their old steps
    episodes: np.ndarray  # their old episodes
    untouched: int  # number of records at the start that did not change at all
    cut_episodes: list[int]  # old numbers of episodes that end or begin at a gap


def whole_records(data: bytes, dtype: np.dtype, actions: int) -> IntactRecords:
    """Return the records in `data` with valid checksum and values, at whatever byte they begin."""
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
        return IntactRecords(np.zeros(0, dtype), len(data), 0)
    records = np.concatenate([np.frombuffer(data, dtype, 1, place) for place in places])
    fit = records["step"] > 0
    for _, good, _ in checks(records, actions):
        fit &= good
    records = records[fit]
    _, first = np.unique(records["step"], return_index=True)
    return IntactRecords(records[first], len(data) - len(records) * size, len(records) - len(first))


def _starts(data: bytes, size: int) -> np.ndarray:
    """Return where a record of `size` bytes may begin: its step is small and not 0, and its flags are known."""
    found = np.frombuffer(data, np.uint8)
    count = len(found) - size + 1
    if count <= 0:
        return np.zeros(0, int)
    fit = found[20 : 20 + count] <= MOST_FLAGS
    for i in (4, 5, 6, 7, 21, 22, 23):
        fit &= found[i : i + count] == 0
    fit &= (found[:count] | found[1 : 1 + count] | found[2 : 2 + count] | found[3 : 3 + count]) != 0
    return np.flatnonzero(fit)


def record_size(data: bytes) -> int | None:
    """Return the bytes of a record without a header, found by checksums; None where no record is whole."""
    view = memoryview(data)
    for start in _starts(data, LEAST)[:TRIED].tolist():
        total, end = zlib.crc32(view[start : start + LEAST - CHECKSUM_BYTES]), start + LEAST - CHECKSUM_BYTES
        while end + CHECKSUM_BYTES <= min(len(data), start + MOST):
            if data[end : end + CHECKSUM_BYTES] == total.to_bytes(CHECKSUM_BYTES, "little"):
                return end + CHECKSUM_BYTES - start
            total = zlib.crc32(view[end : end + 4], total)
            end += 4
    return None


def sizes_of(line: bytes, size: int, from_config: Header | None) -> Header | None:
    """Return the sizes that fit records of `size` bytes, from the remains of a first line and from config.json.

    from_config: what config.json says.  Returns None where neither fits.
    """
    pairs = re.findall(rb'"(\w+)": ?(\d{1,8})(?=[,}\s])', line)
    # If a name occurs twice, its first value counts: nested values come later.
    found = {name.decode(): int(value) for name, value in reversed(pairs)}
    wanted = [found.get(name, 0) for name in ("observation_dim", "action_dim", "state_dim", "actions")]
    named = re.search(rb"reverie-journal-([12])", line)
    versions = (1, 2) if named is not None and named[1] == b"1" else (2, 1)
    candidates = [Header(wanted[0], wanted[1], wanted[2], wanted[3], version=version) for version in versions]
    if from_config is not None:
        # States first as the line has them, then as many as there is room for.
        for version in reversed(versions):
            plain = from_config._replace(state_dim=0, version=version)
            rest = size - plain.dtype.itemsize
            candidates.insert(0, plain._replace(state_dim=max(0, rest // 16)))
        candidates.sort(key=lambda sizes: sizes.state_dim != wanted[2])
    for sizes in candidates:
        if min(sizes[:2]) >= 1 and sizes.dtype.itemsize == size:
            return sizes
    return None


def renumbered(records: np.ndarray, env_count: int) -> Renumbered:
    """Return records, sorted by step, with new steps and episodes, so that a run can continue from them.

    A gap ends an episode as truncated, and what follows is another episode.  Environments take turns: a round with a
    missing step is dropped as a whole.  Episodes of collectors mix: those that go on after a gap are ended there.
    """
    if env_count == 1 and are_mixed(records):
        return _renumbered_mixed(records)
    rounds = (records["step"].astype(np.int64) - 1) // env_count
    _, index, count = np.unique(rounds, return_inverse=True, return_counts=True)
    full = count[index] == env_count
    if len(records):  # the last round may be incomplete
        last = rounds == rounds[-1]
        turns = (records["step"][last].astype(np.int64) - 1) % env_count
        full |= last & bool((turns == np.arange(len(turns))).all())
    records = records[full].copy()
    original, steps = records.copy(), records["step"].astype(np.int64)
    before: dict[int, int] = {}  # the newest record of each environment
    episodes, cut = 0, set[int]()
    for i, step in enumerate(steps.tolist()):
        turn = (step - 1) % env_count
        last = before.get(turn)
        gap = step > env_count if last is None else step != steps[last] + env_count
        if gap and last is not None and not records["flags"][last] & ENDS:
            records["flags"][last] |= TRUNCATED
            cut.add(int(original["episode"][last]))
        if last is None or gap or original["episode"][i] != original["episode"][last]:
            episodes += 1
            if gap and (last is None or original["episode"][i] == original["episode"][last]):
                cut.add(int(original["episode"][i]))
            records["episode"][i] = episodes
        else:
            records["episode"][i] = records["episode"][last]
        before[turn] = i
    return _result(records, original, cut)


def _renumbered_mixed(records: np.ndarray) -> Renumbered:
    """Return what `renumbered` does, for episodes that mix."""
    original, records = records, records.copy()
    gaps = np.cumsum(np.diff(original["step"].astype(np.int64), prepend=0) != 1).tolist()  # before each record
    newest: dict[int, int] = {}  # the newest record of each episode
    episodes, cut = 0, set[int]()
    for i, episode in enumerate(original["episode"].tolist()):
        last = newest.get(episode)
        if last is not None and gaps[last] == gaps[i]:
            records["episode"][i] = records["episode"][last]
        else:
            episodes += 1
            records["episode"][i] = episodes
            if last is not None and not records["flags"][last] & ENDS:
                records["flags"][last] |= TRUNCATED
            if last is not None or (i == 0 and gaps[i]):
                cut.add(episode)
        newest[episode] = i
    return _result(records, original, cut)


def _result(records: np.ndarray, original: np.ndarray, cut: set[int]) -> Renumbered:
    """Return records with steps from 1 and new checksums.  original: as they were.  cut: see `Renumbered`."""
    records["step"] = np.arange(1, len(records) + 1)
    records["crc"] = checksums(records.tobytes(), records)
    changed = np.flatnonzero(records["crc"] != original["crc"])
    untouched = int(changed[0]) if len(changed) else len(records)
    steps, episodes = (original[name].astype(np.int64) for name in ("step", "episode"))
    return Renumbered(records, steps, episodes, untouched, sorted(cut))
