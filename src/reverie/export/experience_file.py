"""`export_experience`: the experience of a run as a file that others read: CSV, NumPy arrays, or a Minari dataset."""

import contextlib
import itertools
import re
import shutil
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, StorageError, one_line
from reverie.export.array_file import npz_bytes
from reverie.logs.experience_arrays import Experience, experience_of
from reverie.logs.mapping import ASKED, NEXT, SOURCE
from reverie.logs.minari_log import MINARI, library
from reverie.storage.output_file import output_at, require_ending
from reverie.storage.run import RunDirectory
from reverie.storage.tables import table_of

ENDINGS = (".csv", ".npz")
ROWS = 1_000  # that are turned into text at a time
EPISODE_BYTES = 20_000  # that HDF5 adds to each episode's arrays


class Written(NamedTuple):
    """What was written."""

    steps: int
    episodes: int
    spec: EnvSpec


def export_experience(run: RunDirectory, output: str) -> Written:
    """Write the experience of a run to `output`, and return what was written.

    output: FILE.csv, FILE.npz, or minari:NAME.  A file is written completely or not at all.
    Raises ConfigError for something else, and StorageError where nothing can be read or written.
    """
    if output.startswith(MINARI):
        _require_name(output.removeprefix(MINARI))
        library()
        found, spec = experience_of(run)
        write_minari(found, spec, output.removeprefix(MINARI), run.path.name)
    else:
        require_ending(Path(output), ENDINGS, "experience is written to minari:NAME, or to a file that ends in")
        target = output_at(output)
        found, spec = experience_of(run)
        write = csv_bytes if Path(output).suffix.lower() == ".csv" else array_bytes
        target.write(write(found, spec))
    return Written(len(found), len(found.by_episode()), spec)


def csv_bytes(found: Experience, spec: EnvSpec) -> bytes:
    """Return a row for each transition: its observation, action, reward and next observation, by their names."""
    seen, done = (
        with_units(spec.sensor_names, spec.observation_units),
        with_units(spec.actuator_names, spec.action_units),
    )
    head = ("step", "time", "episode", *seen, *done, "reward", "terminated", "truncated")
    columns = (*head, *(NEXT + name for name in seen), *(ASKED + name for name in done), SOURCE)
    if len(set(columns)) < len(columns):
        raise ConfigError(f"{spec.name}: two columns have the same name; export to .npz, which has no names of columns")
    ends = found.terminated.astype(int), found.truncated.astype(int)
    parts = (found.step, found.time, found.episode, found.observations, found.actions, found.rewards)
    rows = _rows((*parts, *ends, found.next_observations, found.asked, found.source))
    return table_of(columns, (dict(zip(columns, row, strict=True)) for row in rows))


def with_units(names: Sequence[str], units: Sequence[str]) -> tuple[str, ...]:
    """Return names as heads of columns: "bpm_4_x [mm]", or the name alone where it has no unit."""
    return tuple(f"{name} [{unit}]" if unit else name for name, unit in itertools.zip_longest(names, units))


def _rows(parts: Sequence[np.ndarray]) -> Iterator[Iterable[Any]]:
    """Yield the numbers of each row of arrays [N] or [N, ...].  Lists of numbers take far more memory than arrays."""
    for start in range(0, len(parts[0]), ROWS):
        some = [part[start : start + ROWS] for part in parts]
        # Text of float32 is shorter than that of the same number as float64, and reads back as the same float32.
        some = [part.astype(str) if part.dtype == np.float32 else part for part in some]
        wide = [part[:, None] if part.ndim == 1 else part for part in some]
        for row in zip(*(part.tolist() for part in wide), strict=True):
            yield itertools.chain(*row)


def array_bytes(found: Experience, spec: EnvSpec) -> bytes:
    """Return the fields of `Experience` as the bytes of an .npz file; `facts` holds names and bounds as JSON."""
    facts = {
        "environment": spec.name,
        "observation_names": spec.sensor_names,
        "observation_units": spec.observation_units,
        "action_names": spec.actuator_names,
        "action_units": spec.action_units,
        "action_low": spec.action_low,
        "action_high": spec.action_high,
        "actions": spec.actions,
    }
    return npz_bytes(facts, found._asdict())


def write_minari(found: Experience, spec: EnvSpec, name: str, run: str) -> None:
    """Write a Minari dataset; an episode that was cut off is truncated there.

    name: of the dataset.  run: the run's name, for the description.
    Raises StorageError where Minari cannot write it, for example where the name is taken.
    """
    import gymnasium as gym

    minari = library()
    low, high = np.array(spec.action_low), np.array(spec.action_high)
    actions = (
        gym.spaces.Discrete(spec.actions, start=spec.first_action)
        if spec.actions
        else gym.spaces.Box(low, high, dtype=np.float64)
    )
    buffers: list[Any] = []
    for part in found.by_episode():
        buffers.append(
            minari.data_collector.EpisodeBuffer(
                id=len(buffers),
                observations=np.concatenate([found.observations[part], found.next_observations[part][-1:]]),
                actions=found.actions[part][:, 0] if spec.actions else found.actions[part],
                rewards=found.rewards[part],
                terminations=found.terminated[part],
                truncations=found.truncated[part],
            )
        )
    with _whole_or_absent(minari, name) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what datasets for publication should have
        _require_disk(folder, found)
        minari.create_dataset_from_buffers(
            name,
            buffers,
            observation_space=gym.spaces.Box(-np.inf, np.inf, (spec.observation_dim,), np.float32),
            action_space=actions,
            algorithm_name="reverie",
            author="reverie",
            description=f"Experience of the run {run} on {spec.name}.",
        )


@contextlib.contextmanager
def _whole_or_absent(minari: Any, name: str) -> Generator[Path]:
    """Yield a dataset's folder, and remove what the block leaves of a new one if it raises.

    Raises StorageError in place of Minari's errors, which are of many kinds.
    """
    new: Path | None = None
    try:
        folder = Path(minari.storage.get_dataset_path(name))
        new = None if folder.exists() else folder
        yield folder
    except BaseException as error:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, Exception) and not isinstance(error, StorageError):
            raise StorageError(f"Minari cannot write the dataset {name}: {one_line(str(error))}") from error
        raise


def _require_disk(folder: Path, found: Experience) -> None:
    """Raise StorageError where the disk has no room for a dataset: HDF5 then ends the whole process."""
    needed = sum(part.nbytes for part in found) + EPISODE_BYTES * (len(found.by_episode()) + 1)
    root = next(parent for parent in folder.parents if parent.exists())
    free = shutil.disk_usage(root).free
    if free < needed:
        raise StorageError(
            f"the dataset takes about {needed / 1e6:.2g} MB, but {root} has only {free / 1e6:.2g} MB left; make room, or "
            "set MINARI_DATASETS_PATH to another disk"
        )


def _require_name(name: str) -> None:
    if not re.search(r".-v\d+$", name):
        what = f"{name} has no version" if name else "minari: lacks the name of a dataset"
        raise ConfigError(f"{what}; give for example minari:{name or 'line7/shift3'}-v0")
