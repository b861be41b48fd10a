"""The films in run directories, as many as a page may carry."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reverie.core.words import listed, size
from reverie.experiments.analysis.run_data import RunData
from reverie.report.document import Film, FilmKind, Films, Part, Text
from reverie.storage.files import io_errors
from reverie.storage.reading import read_whole

KINDS: dict[str, FilmKind] = {".mp4": "mp4", ".gif": "gif"}
LARGEST = 1_800_000  # bytes of all films of a page, which is to stay below 5 MB


class _File(NamedTuple):
    path: Path
    bytes: int
    changed: float


def films_of(runs: Sequence[RunData], title: str = "Films", most: int = LARGEST) -> list[Part]:
    """Return the films of some runs, the newest of each run first; [] where there are none.

    title: above them.  most: bytes; films that would make the page larger are named instead.
    Raises StorageError where one cannot be read.
    """
    films: list[Film] = []
    left_out: list[str] = []
    for data in runs:
        for file in _files(data.run.path):
            if file.bytes > most:
                left_out.append(f"{file.path} ({size(file.bytes)})")
                continue
            most -= file.bytes
            name = file.path.name if len(runs) == 1 else f"{data.label}: {file.path.name}"
            text = f"The greedy policy of {data.run.path}."
            films.append(Film(name, text, read_whole(file.path), KINDS[file.path.suffix.lower()]))
    parts: list[Part] = [Films(title, films)] if films else []
    if left_out:
        parts.append(Text([f"Left out, because the page would become too large: {listed(left_out)}."]))
    return parts


def _files(folder: Path) -> list[_File]:
    """Return the films in a folder, the newest first; links and what else is no file are left out."""
    with io_errors("list", folder):
        found = [path for path in folder.iterdir() if path.suffix.lower() in KINDS]
        files = [(path, path.stat()) for path in found if path.is_file() and not path.is_symlink()]
    kept = [_File(path, facts.st_size, facts.st_mtime) for path, facts in files]
    return sorted(kept, key=lambda file: (-file.changed, file.path.name))
