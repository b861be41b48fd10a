"""The run directory: where each file of a run lies, its configuration, and the lock that keeps a second process out."""

import itertools
import json
from pathlib import Path
from typing import Any

import filelock

from reverie.core.errors import StorageError
from reverie.storage.files import LOCK, make_folder, read_regular, take_lock, told, write_whole
from reverie.storage.reading import exists

FORMAT = 1


def unused(path: Path) -> Path:
    """Return `path`, or the first of `path`-2, `path`-3, … where nothing lies yet."""
    names = itertools.chain([path.name], (f"{path.name}-{i}" for i in itertools.count(2)))
    return next(free for name in names if not exists(free := path.with_name(name)))


class RunDirectory:
    """Paths of one run; see docs/run-directory.md for what each file holds."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.call_file = self.path / "call.json"
        self.journal_file = self.path / "experience" / "journal.bin"
        self.latest_file = self.path / "checkpoint" / "latest.safetensors"
        self.best_file = self.path / "checkpoint" / "best.safetensors"
        self.episodes_file = self.path / "episodes.csv"
        self.evaluations_file = self.path / "evaluations.csv"
        self.metrics_file = self.path / "metrics.csv"
        self.tensorboard_folder = self.path / "tensorboard"
        self._lock: filelock.BaseFileLock | None = None

    @property
    def own_files(self) -> set[Path]:
        """The files that the run lives from."""
        return {path for name, path in vars(self).items() if name.endswith("_file")} | {self.path / LOCK}

    @property
    def holds_run(self) -> bool:
        """Whether a run was begun here."""
        return exists(self.config_file) or exists(self.journal_file)

    def require_new(self) -> None:
        """Raise StorageError where a run was begun here."""
        if self.holds_run:
            raise StorageError(
                f"{self.path} already holds a run; go on with --resume (Learner.load), or choose another directory"
            )

    def open(self) -> None:
        """Make the folders and take the lock.  Raises StorageError where another process (or learner) holds it."""
        with told("create", self.path):
            for file in (self.journal_file, self.latest_file):
                if file.parent.is_symlink():
                    raise StorageError(f"{file.parent} is a symbolic link; a run writes into folders of its own alone")
                make_folder(file.parent)
            busy = f"{self.path} is in use by another process; wait for it to end, or choose another directory"
            self._lock = take_lock(self.path, busy)

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json, whole or not at all."""
        write_whole(self.config_file, (json.dumps(config, indent=2) + "\n").encode())

    def read_config(self) -> dict[str, Any]:
        """Return config.json.  Raises StorageError where there is none, or it is damaged or of another version."""
        if not self.holds_run:
            raise StorageError(f"{self.path} holds no run (no config.json); give the directory that training wrote")
        try:
            with told("read", self.config_file):
                config = json.loads(read_regular(self.config_file))
            version = config["format"]
            if version == FORMAT:
                _ = [config["agent"][name] for name in ("name", "settings")], config["seed"], config["tensorboard"]
                _ = config["env" if "env" in config else "spec"]
        except (ValueError, KeyError, TypeError):
            raise StorageError(f"{self.config_file} is damaged; restore it, or start another run") from None
        if version != FORMAT:
            raise StorageError(f"{self.config_file} has format {version}; this version of reverie reads {FORMAT}")
        return config

    def write_call(self, call: dict[str, int]) -> None:
        """Note the command-line call under way ({"start": step, "steps": n}), so that --resume can finish it."""
        write_whole(self.call_file, (json.dumps(call) + "\n").encode())

    def end_call(self) -> None:
        """Note that the call under way did all that it was asked."""
        with told("write", self.call_file):
            self.call_file.unlink(missing_ok=True)

    def read_call(self) -> dict[str, int] | None:
        """Return the call that was cut short, or None where the last one ended."""
        try:
            call = json.loads(read_regular(self.call_file))
            return {"start": int(call["start"]), "steps": int(call["steps"])}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"{self.call_file} is damaged; delete it, and --steps counts from where the run stands"
            ) from None


def flat(agent: dict[str, Any]) -> dict[str, Any]:
    """Return what config.json says of an agent as one level of names: its settings, imagination's, "model.…" the model's."""
    found = dict(agent["settings"])
    if "imagination" in agent:
        model = agent["imagination"]["model"]
        found |= agent["imagination"]["settings"] | {"model": model["name"]}
        found |= {f"model.{name}": value for name, value in model["settings"].items()}
    return found
