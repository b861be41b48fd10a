"""A selection of a journal's records, read while a learner may be writing it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reverie.core.errors import StorageError
from reverie.storage.experience import checks
from reverie.storage.files import io_errors, opened_regular
from reverie.storage.journal_format import Header, checksums, read_header, recovery

BLOCKS, BLOCK = 400, 25  # how many stretches of records are read, and how many records each has

Stretches = list[tuple[int, int]]  # (first record, number of records)


class JournalSample(NamedTuple):
    """Records [K] of a journal, in order."""

    header: Header
    records: np.ndarray


def spread(path: Path) -> JournalSample:
    """Return all records of a short journal; of a longer one, stretches of records at even distances.

    A record at the end that is being written, or torn, is left out.
    Raises StorageError where the file is no journal, or where one of these records is damaged.
    """

    def stretches(total: int) -> Stretches:
        if total <= BLOCKS * BLOCK:
            return [(0, total)]
        starts = np.linspace(0, total - BLOCK, BLOCKS).round().astype(int)
        return [(int(first), BLOCK) for first in starts]

    return _selected(path, stretches)


def newest(path: Path, most: int) -> JournalSample:
    """Return the last `most` records, or all of them where there are fewer.  Raises as `spread` does."""
    return _selected(path, lambda total: [(max(0, total - most), min(most, total))])


def _selected(path: Path, choose: Callable[[int], Stretches]) -> JournalSample:
    header = read_header(path)
    dtype = header.dtype
    parts: list[bytes] = []
    with io_errors("read", path), opened_regular(path) as file:
        start = len(file.readline())
        total = (os.fstat(file.fileno()).st_size - start) // dtype.itemsize
        for first, count in choose(total):
            file.seek(start + first * dtype.itemsize)
            parts.append(file.read(count * dtype.itemsize))
    data = b"".join(parts)
    records = np.frombuffer(data, dtype, len(data) // dtype.itemsize)
    whole = checksums(memoryview(data), records) == records["crc"]
    good = len(records) if whole.all() else int(np.argmin(whole))
    if len(records) - good > 1:
        raise StorageError(f"{path} has damaged records; {recovery(path)}")
    records = records[:good]
    for field, fit, wanted in checks(records, header.actions):
        if not np.all(fit):
            step = records["step"][int(np.argmin(fit))]
            raise StorageError(f"{path}: record {step} has an odd {field}: {wanted}; {recovery(path)}")
    return JournalSample(header, records)
