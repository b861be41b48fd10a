"""NumPy archives (.npz) that may come from other programs.  Nothing is unpickled."""

import io
from pathlib import Path
from typing import TypeVar

import numpy as np

from reverie.core.errors import StorageError
from reverie.storage.reading import decode, read_whole, short_text

T = TypeVar("T")
REMEDY = "correct it, or give another file"
FACTS = "facts"  # the entry that holds JSON text


def read_archive(path: Path, kind: type[T]) -> tuple[dict[str, np.ndarray], T | None]:
    """Return the arrays in a file by name, and its facts (None where it has none).

    kind: the schema of the facts.
    Raises StorageError where the file is damaged, or holds what only unpickling would read.
    """
    data = read_whole(path, REMEDY)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except Exception as error:  # parsers may raise anything for foreign bytes
        raise StorageError(f"{path} is damaged, or holds no plain arrays ({short_text(error)}); {REMEDY}") from None
    if FACTS not in held:
        return held, None
    try:
        return held, decode(str(held.pop(FACTS)), kind)
    except ValueError as error:
        raise StorageError(f"{path} is no log, or its facts are damaged ({error}); {REMEDY}") from None
