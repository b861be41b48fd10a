"""The lock of a folder of cells: one process fills the folder at a time."""

from pathlib import Path

import filelock

from reverie.storage.files import io_errors, make_folder, take_lock


class FolderLock:
    """Makes a folder and locks it.  remedy: what to do where the system refuses.  otherwise: what to do where it is busy."""

    def __init__(self, path: Path, remedy: str, otherwise: str):
        self._path, self._remedy = path, remedy
        self._busy = f"{path} is being filled by another process; {otherwise}"
        self._lock: filelock.BaseFileLock | None = None

    def take(self) -> None:
        """Make the folder where it is missing, and take its lock.  Raises StorageError where another process holds it."""
        with io_errors("create", self._path, self._remedy):
            make_folder(self._path)
        with io_errors("lock", self._path, self._remedy):
            self._lock = take_lock(self._path, self._busy)

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
