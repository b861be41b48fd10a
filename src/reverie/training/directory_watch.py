"""Handling of a run directory that disappears during learning: report it, and save what can be saved."""

import contextlib
import os
import warnings
from pathlib import Path

from reverie.core.errors import ReverieError, ReverieWarning, StorageError
from reverie.core.words import count
from reverie.storage.config import Config, read_config
from reverie.storage.files import file_identity, io_errors, make_folder, read_regular, write_whole
from reverie.storage.journal import Journal
from reverie.storage.journal_format import recovery
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory, unused
from reverie.training.resume_commands import resume_line


class DirectoryWatch:
    """Checks that an open run is still where it was opened, and saves its journal elsewhere if not."""

    def __init__(self, run: RunDirectory, journal: Journal):
        self._run, self._journal = run, journal
        self._folder, self._here = file_identity(run.path), _working_folder()
        # stays valid if this program changes its working folder
        self._path = Path(os.path.normpath(Path(self._here) / run.path))
        self._config: bytes | None = None
        self._held: Config | None = None
        with contextlib.suppress(OSError):  # a journal is kept even without a config
            self._config = read_regular(run.config_file)
            self._held = read_config(run.config_file)

    def check(self) -> str | None:
        """Return None where everything is in place, else a sentence that says what happened and where the steps are.

        Raises StorageError where the directory cannot be looked at.
        """
        run, journal = self._run, self._journal
        with io_errors("look at", run.path):
            if run.is_in_place and journal.is_in_place:
                if journal.was_cut():
                    return f"{journal.path} was cut by another program during learning; {recovery(journal.path)}"
                self._put_config_back()
                return None
            if (now := _working_folder()) != self._here and journal.is_at(Path(self._here) / journal.path):
                return (
                    f"{run.path} cannot be found, since this program changed its folder from {self._here} to {now}; all "
                    f"{count(journal.count, 'step')} are in {self._path}: give out= as an absolute path"
                )
            if journal.is_in_place:
                return (
                    f"{run.path / '.lock'} was removed or replaced during learning, so that another process may "
                    f"write there too; all {count(journal.count, 'step')} are there: make sure that no other does, and "
                    f"continue with {self._line(run.path)}"
                )
            what = self._path if file_identity(self._path) != self._folder else journal.path
            if (now := journal.moved_to) is not None:
                return f"{what} was moved or replaced during learning; all {count(journal.count, 'step')} are in {now}"
        return f"{what} was removed or replaced during learning; {self._keep()}"

    def _put_config_back(self) -> None:
        """Write config.json again if it was removed, since a run cannot be continued without it."""
        if self._config is not None and not exists(self._run.config_file):
            warnings.warn(f"{self._run.config_file} was removed; it is written again", ReverieWarning, stacklevel=2)
            write_whole(self._run.config_file, self._config)

    def _keep(self) -> str:
        """Write the journal's bytes, which only the open file still has, to a directory to continue from; say where."""
        run, journal = self._run, self._journal
        steps = f"all {count(journal.count, 'step')}"
        try:
            if run.is_in_place and file_identity(journal.path) is None:
                with io_errors("create", journal.path.parent):
                    make_folder(journal.path.parent)
                write_whole(journal.path, journal.content())
                return f"{steps} were written there again: continue with {self._line(run.path)}"
            kept = RunDirectory(unused(self._path.with_name(self._path.name + "-kept")))
            self._write(kept)
        except (StorageError, OSError) as error:
            return f"{steps} are lost, since they could not be saved: {error}"
        return f"{steps} are kept in {kept.path}: continue there with {self._line(kept.path)}"

    def _line(self, path: Path) -> str:
        """Return the command that continues the run at `path`."""
        with contextlib.suppress(ReverieError, TypeError, ValueError):  # a config that cannot be read
            if self._held is not None:
                return resume_line(self._held, path)
        return f"rv.Learner.load({str(path)!r})"

    def _write(self, kept: RunDirectory) -> None:
        with io_errors("create", kept.path):
            make_folder(kept.journal_file.parent)
        write_whole(kept.journal_file, self._journal.content())
        if self._config is not None:
            write_whole(kept.config_file, self._config)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
