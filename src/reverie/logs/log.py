"""`Log`: where logged transitions are, and how they are to be read."""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from reverie.core.argument_checks import shown
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, StorageError, sentence
from reverie.core.interrupts import raise_if_interrupted
from reverie.environments.env_factory import OUR_IDS
from reverie.environments.imports import imported
from reverie.logs.array_log import read_arrays
from reverie.logs.csv_log import Roles, read_csv
from reverie.logs.fitting import fitted
from reverie.logs.log_data import LogData
from reverie.logs.mapping import Column, Columns, columns_of
from reverie.logs.minari_log import MINARI, read_minari
from reverie.logs.run_log import read_run
from reverie.storage.reading import exists

FILES = (".csv", ".npz")
Reward = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


@dataclasses.dataclass(frozen=True)
class Log:
    """Logged transitions to learn from, for `Learner(experience=…)`.

    source: FILE.csv, FILE.npz, the directory of another run, or "minari:NAME".
    columns: where a column has another name than ours: {"our name": "their column"}, or
        {"our name": {"column": …, "factor": …, "offset": …}} where it has another unit too, or the path of a JSON file
        with such an object.
    reward: computes rewards again where the aim has changed: (observation [n], action [m], next observation [n]) -> number,
        all in the environment's units, or "package.module:function".
    Raises ConfigError where one of these cannot be used.
    """

    source: str | Path
    columns: Mapping[str, str | Mapping[str, Any] | Column] | str | Path | None = None
    reward: Reward | str | None = None

    def __post_init__(self):
        if not isinstance(self.source, str | os.PathLike) or not str(self.source):
            raise ConfigError(
                f"experience is {shown(self.source)}; give FILE.csv, FILE.npz, the directory of a run, or minari:NAME"
            )
        if self.reward is not None and not isinstance(self.reward, str) and not callable(self.reward):
            raise ConfigError(
                f"reward is {shown(self.reward)}; give a function (observation, action, next_observation) -> number"
            )

    @property
    def name(self) -> str:
        """The source as text."""
        return str(self.source)

    @property
    def reward_name(self) -> str | None:
        """The function that computes rewards, as text, such as "module:function"."""
        if self.reward is None or isinstance(self.reward, str):
            return self.reward
        kind = self.reward if hasattr(self.reward, "__qualname__") else type(self.reward)
        return f"{kind.__module__}:{kind.__qualname__}"

    def read(self, spec: EnvSpec | None) -> LogData:
        """Return the transitions, with rewards computed again where that is asked for.

        spec: the environment that they are fitted to, see `fitting`; None: they stay as the log has them.
        Raises ConfigError or StorageError where the log cannot be read, or is of another machine.
        """
        reward, columns = self._function(), columns_of(self.columns)
        data = self._read(spec, columns, reward is not None)
        data = data if spec is None else fitted(data, spec, columns)
        return data if reward is None else _rewarded(data, reward, str(self.reward_name))

    def _read(self, spec: EnvSpec | None, columns: Columns, computes: bool) -> LogData:
        if self.name.startswith(MINARI):
            return read_minari(self.name.removeprefix(MINARI), computes)
        path = Path(self.source)
        if os.path.isdir(path):
            return read_run(path, computes)
        ending = path.suffix.lower()
        if ending not in FILES:
            raise ConfigError(
                f"{path} is no log; give FILE.csv, FILE.npz, the directory that training wrote, or minari:NAME"
            )
        if not exists(path):
            raise StorageError(f"there is no file {path}")
        if ending == ".npz":
            return read_arrays(path, computes)
        roles = None if spec is None else Roles(spec.sensor_names, spec.actuator_names)
        return read_csv(path, roles, columns, computes)

    def _function(self) -> Reward | None:
        """Return the function that computes rewards, or None."""
        if not isinstance(self.reward, str):
            return self.reward
        found: Reward = imported(self.reward, "reward")
        if not callable(found):
            raise ConfigError(f"reward {self.reward!r} is {shown(found)}; name a function")
        return found


def log_of(given: Any) -> Log:
    """Return a log that is given as `Log`, text or path.  Raises ConfigError for anything else."""
    return given if isinstance(given, Log) else Log(given)


def is_log(text: str) -> bool:
    """Return whether text names a log rather than an environment."""
    if text.startswith(MINARI) or text.lower().endswith(FILES):
        return True
    return text not in OUR_IDS and text not in gym.registry and os.path.isdir(text)


def _rewarded(data: LogData, reward: Reward, name: str) -> LogData:
    """Return data with the rewards that a function computes."""
    found = np.empty(len(data))
    observations, following = data.observations.astype(np.float32), data.next_observations.astype(np.float32)
    for i in range(len(data)):
        raise_if_interrupted()
        try:
            found[i] = float(reward(observations[i].copy(), data.actions[i].copy(), following[i].copy()))
        except Exception as error:  # of the user's function
            raise ConfigError(f"reward {name} raised for {data.at(i)} of {data.name}: {sentence(error)}") from error
        if not math.isfinite(found[i]):
            raise ConfigError(f"reward {name} gave {found[i]} for {data.at(i)} of {data.name}; it must be finite")
    return data.changed(rewards=found)
