"""Recovery of a damaged run: what is whole is written to a new directory.  The damaged run is not changed."""

import contextlib
import csv
import dataclasses
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from reverie.core.errors import StorageError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count
from reverie.storage import checkpoint, events, tables
from reverie.storage.config import Config, read_config
from reverie.storage.copy import copy_others, new_folder
from reverie.storage.files import LOCK, read_regular, write_whole
from reverie.storage.journal_format import Header, first_line, read_header
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory, unused
from reverie.storage.salvage import Renumbered, record_size, renumbered, sizes_of, whole_records
from reverie.training import evaluation
from reverie.training.resume_commands import resume_line
from reverie.training.run_identity import config_facts, is_complete, rebuilt
from reverie.training.run_logger import METRICS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@dataclasses.dataclass
class Recovery:
    """What was recovered, and what was not."""

    run: str
    out: str
    steps: int = 0
    lost_steps: list[list[int]] = dataclasses.field(
        default_factory=list
    )  # [first, last] of each gap, by their old numbers
    damaged_bytes: int = 0
    doubled_records: int = 0
    cut_episodes: list[int] = dataclasses.field(default_factory=list)
    journal: str = "whole"
    config: str = "whole"
    checkpoint: str = "none"
    left_out: list[str] = dataclasses.field(default_factory=list)
    to_go_on: str | None = None  # the command to continue training

    @property
    def goes_on(self) -> bool:
        """Whether training can continue from the new directory."""
        return not self.config.startswith("lost")


def recover(path: Path, out: Path | None = None) -> Recovery:
    """Write the whole parts of the run in `path` to a new directory: `out`, or `path`-recovered.

    Raises StorageError where nothing can be saved, where the run is in use, or where `out` exists already.
    """
    run = RunDirectory(path)
    if not path.is_dir():
        raise StorageError(f"there is no folder {path}; give the directory that training wrote")
    if not run.holds_run:
        raise StorageError(f"nothing can be saved from {path}: it holds neither config.json nor experience/journal.bin")
    _refuse_used(run)
    name = path if path.name not in ("", "..") else path.resolve()
    out = unused(name.with_name(name.name + "-recovered")) if out is None else out
    if out.resolve().is_relative_to(path.resolve()):
        raise StorageError(f"cannot write {out}: it lies within the damaged run; choose another -o")
    report = Recovery(str(path), str(out))
    config = _without_lost_log(run, _config(run, report), report)
    line, found = _experience(run, config, report)
    with new_folder(out) as folder:
        new = RunDirectory(folder)
        for file in (new.journal_file, new.latest_file):
            file.parent.mkdir()
        write_whole(new.journal_file, line + found.records.tobytes())
        if config is not None:
            write_whole(new.config_file, _config_bytes(run, config, found, report))
        _tables(run, new, found, report)
        _checkpoints(run, new, found, report)
        _call(run, new, found, report)
        if config is not None and (exists(new.call_file) or report.checkpoint != f"of step {report.steps}"):
            report.to_go_on = resume_line(config, out)
        report.left_out += copy_others(run.path, folder, _written_anew(run))
        raise_if_interrupted()
    return report


def _refuse_used(run: RunDirectory) -> None:
    """Raise StorageError while a process learns in the directory.  Changes nothing there."""
    lock = run.path / LOCK
    if fcntl is None or not lock.is_file():
        return
    with open(lock, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"{run.path} is in use by another process; wait for it to end") from None


def _config(run: RunDirectory, report: Recovery) -> Config | None:
    try:
        return read_config(run.config_file)
    except StorageError as error:
        reason = str(error)
    header = None
    with contextlib.suppress(StorageError, OSError):
        header = read_header(run.journal_file)
    for steps, place, facts in _copies(run, header):
        with contextlib.suppress(ValueError):
            config = rebuilt(facts, header)
            report.config = f"rebuilt from {place}, as of step {steps}"
            return config
    report.config = f"lost, and there is no copy of it: {reason}"
    return None


def _without_lost_log(run: RunDirectory, config: Config | None, report: Recovery) -> Config | None:
    """Return a config that names no logged transitions where the run's copy of them is damaged."""
    if config is None or config.experience is None:
        return config
    try:
        if zlib.crc32(read_regular(run.logged_file)) == config.experience.crc:
            return config
    except (StorageError, OSError):
        pass
    report.left_out.append("experience/logged.safetensors: damaged, so nothing more is learnt from the log")
    report.config = "without its logged transitions" if report.config == "whole" else report.config
    return config.changed(experience=None)


def _copies(run: RunDirectory, header: Header | None) -> list[tuple[int, str, dict[str, Any]]]:
    """Return (step, place, content of config.json then) for each copy that is found, the newest first."""
    found = []
    for file in sorted(run.latest_file.parent.glob("*.safetensors")):
        with contextlib.suppress(StorageError, OSError, KeyError, TypeError, ValueError):
            facts = checkpoint.read(file)[1]
            found.append((int(facts["steps"]), f"checkpoint/{file.name}", facts.get("config") or facts["identity"]))
    if header is not None and header.begun is not None:
        found.append((0, "the journal's first line", header.begun))
    return sorted(found, key=lambda copy: copy[0], reverse=True)


def _written_anew(run: RunDirectory) -> set[Path]:
    """Return the files of a run that `recover` does not simply copy."""
    checkpoints = set(run.latest_file.parent.glob("*.safetensors"))
    others = {run.journal_file.with_name("journal.next")}
    return (run.own_files | checkpoints | others) - {run.logged_file}


def _call(run: RunDirectory, new: RunDirectory, found: Renumbered, report: Recovery) -> None:
    """Keep the command that was cut short; steps that were lost are learnt again."""
    try:
        call = run.read_call()
    except StorageError:
        report.left_out.append("call.json: damaged")
        return
    if call is not None:
        new.write_call(msgspec.structs.replace(call, start=_now(call.start, found)))


def _experience(run: RunDirectory, config: Config | None, report: Recovery) -> tuple[bytes, Renumbered]:
    """Return a first line and the whole records.  Raises StorageError where there are none."""
    try:
        data = read_regular(run.journal_file)
    except OSError as error:
        raise StorageError(
            f"nothing can be saved from {run.path}: {run.journal_file} cannot be read ({error.strerror or error})"
        ) from None
    line = data.partition(b"\n")[0] + b"\n"
    try:
        header = read_header(run.journal_file)
        body = data[len(line) :]
        if header.begun is not None and not is_complete(header.begun, config):
            header = header._replace(begun=None if config is None else config_facts(config))
            line, report.journal = first_line(header), "what its first line says about the start of the run was rebuilt"
    except StorageError:
        header, line, body = _header_anew(run, config, data, report)
    found = whole_records(body, header.dtype, header.actions)
    if not len(found.records) and len(body):
        raise StorageError(f"nothing can be saved from {run.path}: no record of {run.journal_file} is intact")
    report.damaged_bytes, report.doubled_records = found.damaged_bytes, found.doubled
    settings = {} if config is None else config.agent.settings
    env_count = settings.get("worlds", 1)
    new = renumbered(found.records, env_count if isinstance(env_count, int) and env_count > 0 else 1)
    report.steps, report.cut_episodes, report.lost_steps = len(new.records), new.cut_episodes, _gaps(new.kept)
    if report.journal == "whole" and (report.damaged_bytes or report.lost_steps or report.doubled_records):
        report.journal = "damaged records"
    return line, new


def _header_anew(
    run: RunDirectory, config: Config | None, data: bytes, report: Recovery
) -> tuple[Header, bytes, bytes]:
    """Return sizes, a first line and the bytes that may hold records, where the first line is damaged."""
    size = record_size(data)
    if size is None:
        raise StorageError(f"nothing can be saved from {run.path}: no record of {run.journal_file} is intact")
    spec = None if config is None else config.env_spec
    known = None
    if config is not None and spec is not None:
        known = Header(spec.observation_dim, len(spec.action_low) or 1, 0, spec.actions, spec, config_facts(config))
    header = sizes_of(data[:4096], size, known)
    if header is None:
        raise StorageError(
            f"nothing can be saved from {run.path}: the first line of {run.journal_file} is damaged, and neither it nor "
            f"config.json says what a record of {count(size, 'byte')} holds"
        )
    report.journal = "the first line was rebuilt"
    return header, first_line(header), data


def _gaps(kept: np.ndarray) -> list[list[int]]:
    steps = np.concatenate([[0], kept])
    at = np.flatnonzero(np.diff(steps) > 1)
    return [[int(steps[i]) + 1, int(steps[i + 1]) - 1] for i in at]


def _config_bytes(run: RunDirectory, config: Config, found: Renumbered, report: Recovery) -> bytes:
    """Return the bytes of config.json; the chapters of its history are counted in the new steps."""
    if report.config == "whole" and (not config.history or found.untouched == len(found.records)):
        return read_regular(run.config_file)
    chapters = [
        msgspec.structs.replace(c, step=_now(c.step, found), learnt_from=_now(c.learnt_from, found))
        for c in config.history
    ]
    config = config.changed(history=chapters, signature=None)
    return (json.dumps(msgspec.to_builtins(config), indent=2) + "\n").encode()


def _now(step: int, found: Renumbered) -> int:
    """Return how many of the first `step` steps were kept."""
    return int(np.searchsorted(found.kept, step, side="right"))


def _tables(run: RunDirectory, new: RunDirectory, found: Renumbered, report: Recovery) -> None:
    """Copy the rows that can be read, with their new steps and episodes.  episodes.csv is rebuilt when the run is opened."""
    for old, file, columns in (
        (run.evaluations_file, new.evaluations_file, evaluation.COLUMNS),
        (run.metrics_file, new.metrics_file, METRICS),
        (run.events_file, new.events_file, events.COLUMNS),
    ):
        rows, lost = _rows(old, columns)
        if rows and old == run.metrics_file:
            rows = [row for row in rows if int(row["step"]) <= found.untouched]
        for row in rows:
            now = _now(int(row["step"]), found)
            change = int(found.records["episode"][now - 1]) - int(found.episodes[now - 1]) if now else 0
            if change and row.get("episode"):
                row["episode"] = str(max(0, int(row["episode"]) + change))
            row["step"] = str(now)
        if rows:
            write_whole(file, tables.table_of(rows[0], rows))
        if lost:
            report.left_out.append(f"{count(lost, 'row')} of {old.name}")


def _rows(path: Path, columns: Mapping[str, Any]) -> tuple[list[dict[str, str]], int]:
    """Return the whole rows of a table, as text, and the number of others."""
    try:
        lines = read_regular(path).decode(errors="replace").splitlines()
    except OSError:
        return [], 0
    names = lines[0].split(",") if lines else []
    if not set(columns) <= set(names):
        return [], max(0, len(lines) - 1)
    rows = []
    for line in lines[1:]:
        with contextlib.suppress(ValueError, csv.Error):
            (fields,) = csv.reader(io.StringIO(line))
            row = dict(zip(names, fields, strict=True))
            for name, text in row.items():
                columns.get(name, tables.figure)(text)
            rows.append(row)
    return rows, len(lines) - 1 - len(rows)


def _checkpoints(run: RunDirectory, new: RunDirectory, found: Renumbered, report: Recovery) -> None:
    """Keep the newest checkpoint that fits the recovered steps, and the best policy."""
    fits: list[tuple[int, Path]] = []
    for file in sorted(run.latest_file.parent.glob("*.safetensors")):
        try:
            _, facts = checkpoint.read(file)
            steps, crc = int(facts["steps"]), facts["crc"]
        except (StorageError, OSError, KeyError, TypeError, ValueError):
            report.left_out.append(f"checkpoint/{file.name}: damaged")
            continue
        if file.name == run.best_file.name:
            write_whole(new.best_file, read_regular(file))
        elif 0 <= steps <= found.untouched and crc in (None, int(found.records["crc"][steps - 1]) if steps else None):
            fits.append((steps, file))
        else:
            report.left_out.append(f"checkpoint/{file.name}: it was learnt from steps that are lost")
            if not new.best_file.exists() and not run.best_file.exists():
                # a policy to act with, though not to continue learning from
                write_whole(new.best_file, read_regular(file))
    if fits:
        steps, file = max(fits)
        write_whole(new.latest_file, read_regular(file))
        report.checkpoint = f"of step {steps}"
